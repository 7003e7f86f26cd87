// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "kernels/kernels.hpp"

namespace bitsift {

// Memory that a kernel lays out: aligned, and not initialised.
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

}  // namespace bitsift
