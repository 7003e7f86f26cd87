// SPDX-License-Identifier: Apache-2.0
#include "encoding/checksums.hpp"

#include <algorithm>

#include "base/thread_pool.hpp"

namespace bitsift {

void Checksums::add(const std::uint8_t* bytes, std::size_t n, std::size_t n_threads) {
  const std::size_t n_first = n_in_last_ == 0 ? 0 : std::min(n, n_bytes_ - n_in_last_);
  const std::size_t n_whole = (n - n_first) / n_bytes_;
  std::vector<std::uint32_t> found(n_whole);
  const std::uint8_t* whole = bytes + n_first;
  for_each_piece(n_whole, 1, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      found[i] = kernels_.crc32c(0, whole + i * n_bytes_, n_bytes_);
    }
  });
  values_.reserve(values_.size() + 1 + n_whole);
  last_ = kernels_.crc32c(last_, bytes, n_first);
  n_in_last_ += n_first;
  if (n_in_last_ == n_bytes_) {
    values_.push_back(last_);
    last_ = 0;
    n_in_last_ = 0;
  }
  values_.insert(values_.end(), found.begin(), found.end());
  const std::size_t n_done = n_first + n_whole * n_bytes_;
  last_ = kernels_.crc32c(last_, bytes + n_done, n - n_done);
  n_in_last_ += n - n_done;
}

std::vector<std::uint32_t> Checksums::values() const {
  std::vector<std::uint32_t> values = values_;
  if (n_in_last_ > 0) values.push_back(last_);
  return values;
}

}  // namespace bitsift
