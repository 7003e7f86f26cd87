// SPDX-License-Identifier: Apache-2.0
#include "search/query_batch.hpp"

#include <algorithm>
#include <cstring>

namespace bitsift {
namespace {

KernelMemory zeros(std::size_t n_bytes) {
  KernelMemory memory(n_bytes);
  std::memset(memory.get(), 0, n_bytes);
  return memory;
}

}  // namespace

QueryBatch::QueryBatch(const Queries& queries, std::size_t begin, std::size_t end)
    : size_(end - begin),
      n_bytes_(queries.codes.n_columns),
      row_stride_((n_bytes_ + kQueryPadding - 1) / kQueryPadding * kQueryPadding),
      rows_(zeros(size_ * row_stride_)) {
  for (std::size_t i = 0; i < size_; ++i) {
    std::memcpy(rows_.get() + i * row_stride_, queries.codes.row(begin + i), n_bytes_);
  }
  if (queries.weighted()) {
    for (std::size_t i = 0; i < size_; ++i) {
      magnitudes_.push_back(queries.magnitudes.row(begin + i));
    }
    make_planes();
  }
}

void QueryBatch::make_planes() {
  planes_ = zeros(size_ * kMagnitudeBits * row_stride_);
  for (std::size_t i = 0; i < size_; ++i) {
    std::byte* planes = planes_.get() + i * kMagnitudeBits * row_stride_;
    for (std::size_t byte = 0; byte < n_bytes_; ++byte) {
      std::uint64_t eight;
      std::memcpy(&eight, magnitudes_[i] + 8 * byte, 8);
      for (std::size_t p = 0; p < kMagnitudeBits; ++p) {
        // The multiplication gathers the lowest bits of eight bytes in one, the first byte's
        // highest.
        const std::uint64_t bits = eight >> p & 0x0101010101010101;
        planes[p * row_stride_ + byte] = static_cast<std::byte>(bits * 0x8040201008040201 >> 56);
      }
    }
  }
}

const std::byte* QueryBatch::groups(const BatchKernel& kernel) const {
  Groups& groups = groups_[static_cast<std::size_t>(kernel.layout)];
  if (const std::byte* made = groups.made.load(std::memory_order_acquire)) return made;
  const std::lock_guard lock(groups.mutex);
  if (groups.made.load(std::memory_order_relaxed) == nullptr) make_groups(kernel, groups);
  return groups.made.load(std::memory_order_relaxed);
}

void QueryBatch::make_groups(const BatchKernel& kernel, Groups& groups) const {
  groups.memory = KernelMemory(n_groups(kernel) * group_bytes(kernel));
  for (std::size_t g = 0; g < n_groups(kernel); ++g) {
    const std::size_t first = g * kernel.group_queries;
    const std::size_t n = std::min(kernel.group_queries, size_ - first);
    const std::uint8_t* codes[kMaxGroupQueries];
    for (std::size_t i = 0; i < n; ++i) codes[i] = row(first + i);
    kernel.fill_group(codes, weighted() ? magnitudes_.data() + first : nullptr, n, n_bytes_,
                      groups.memory.get() + g * group_bytes(kernel));
  }
  groups.made.store(groups.memory.get(), std::memory_order_release);
}

}  // namespace bitsift
