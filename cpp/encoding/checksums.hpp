// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kernels.hpp"

namespace bitsift {

// The CRC-32C of each `n_bytes` of bytes that come one behind the other, in any division.
class Checksums {
 public:
  Checksums(const Kernels& kernels, std::size_t n_bytes) : kernels_(kernels), n_bytes_(n_bytes) {}

  // If it throws, nothing has been taken.
  void add(const std::uint8_t* bytes, std::size_t n, std::size_t n_threads);
  // The last one is of the bytes that are left.
  std::vector<std::uint32_t> values() const;

 private:
  const Kernels& kernels_;
  std::size_t n_bytes_;
  std::vector<std::uint32_t> values_;
  std::uint32_t last_ = 0;     // of the bytes behind these
  std::size_t n_in_last_ = 0;  // less than n_bytes_
};

}  // namespace bitsift
