// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/matrix.hpp"
#include "kernels/kernels.hpp"
#include "search/kernel_memory.hpp"

namespace bitsift {

// A tile of documents in the layout of a batch kernel. May be filled again and again.
class Tile {
 public:
  Tile(const BatchKernel& kernel, std::size_t n_bytes)
      : kernel_(&kernel), n_bytes_(n_bytes), memory_((n_bytes + 7) / 8 * kernel.tile_word_bytes) {}

  void fill(Matrix<std::uint8_t> codes, std::size_t begin, std::size_t n_rows) {
    kernel_->fill_tile(codes.row(begin), codes.stride, n_rows, n_bytes_, memory_.get());
  }
  const void* get() const { return memory_.get(); }

 private:
  const BatchKernel* kernel_;
  std::size_t n_bytes_;
  KernelMemory memory_;
};

// Calls body(begin, n_rows) for each tile of rows [begin, end).
template <class Body>
void for_each_tile(const BatchKernel& kernel, std::size_t begin, std::size_t end, Body&& body) {
  for (; begin < end; begin += kernel.tile_rows) {
    body(begin, std::min(kernel.tile_rows, end - begin));
  }
}

}  // namespace bitsift
