// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#include "kernels/kernels.hpp"
#include "matrix.hpp"

namespace bitsift {

// Memory in the layout of a kernel: aligned, and not touched before the kernel writes it.
class KernelMemory {
 public:
  KernelMemory() = default;
  explicit KernelMemory(std::size_t n_bytes)
      : bytes_(static_cast<std::byte*>(::operator new(n_bytes, kAlignment))) {}

  std::byte* get() const { return bytes_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{kTileAlignment};
  struct Delete {
    void operator()(std::byte* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<std::byte, Delete> bytes_;
};

// A tile of documents, for as long as a batch of queries needs it.
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
