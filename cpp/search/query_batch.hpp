// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/interruption.hpp"
#include "kernels/kernels.hpp"
#include "search/kernel_memory.hpp"
#include "search/queries.hpp"

namespace bitsift {

// Queries that are worth scanning together, at most: their groups, the results that they keep, and
// a tile of documents stay in L1 and L2.
inline constexpr std::size_t kMaxBatchQueries = 256;

// Queries that are scanned together, in the layouts of kernels: as rows from the beginning, in
// groups for a batch kernel when first asked for. Thread-safe.
class QueryBatch {
 public:
  QueryBatch(const Queries& queries, std::size_t begin, std::size_t end);
  QueryBatch(const QueryBatch&) = delete;
  QueryBatch& operator=(const QueryBatch&) = delete;

  std::size_t size() const { return size_; }
  bool weighted() const { return !magnitudes_.empty(); }

  const std::uint8_t* row(std::size_t i) const { return bytes_of(rows_) + i * row_stride_; }
  // The kMagnitudeBits bit-planes of a query's magnitudes, plane_stride() bytes apart.
  const std::uint8_t* planes(std::size_t i) const {
    return bytes_of(planes_) + i * kMagnitudeBits * row_stride_;
  }
  std::size_t plane_stride() const { return row_stride_; }

  std::size_t n_groups(const BatchKernel& kernel) const {
    return (size_ + kernel.group_queries - 1) / kernel.group_queries;
  }
  std::size_t group_bytes(const BatchKernel& kernel) const {
    return kernel.group_header_bytes + (n_bytes_ + 7) / 8 * kernel.group_word_bytes;
  }
  // `kernel` is one of the batch kernels of one table.
  const std::byte* groups(const BatchKernel& kernel) const;

 private:
  // No std::call_once: where an exception leaves it, some C libraries block its next caller.
  struct Groups {
    std::mutex mutex;
    std::atomic<const std::byte*> made{nullptr};
    KernelMemory memory;
  };

  static const std::uint8_t* bytes_of(const KernelMemory& memory) {
    return reinterpret_cast<const std::uint8_t*>(memory.get());
  }
  void make_planes();
  void make_groups(const BatchKernel& kernel, Groups& groups) const;

  std::size_t size_;
  std::size_t n_bytes_;
  std::size_t row_stride_;
  KernelMemory rows_;
  KernelMemory planes_;
  std::vector<const std::uint8_t*> magnitudes_;
  mutable Groups groups_[kGroupLayouts];
};

// Bytes of codes, times queries, that a thread compares before it looks for an interruption: some
// 10 ms of the slowest kernel.
inline constexpr std::size_t kBytesBetweenChecks = std::size_t{1} << 22;

// Some groups of a batch.
struct GroupSlice {
  const std::byte* groups;
  std::size_t n_groups;
  std::size_t first_query;
};

// Calls body(slice) for all groups of a batch, so few at a time that one call of a kernel for a
// tile compares no more than about kBytesBetweenChecks.
template <class Body>
void for_each_slice(const BatchKernel& kernel, const QueryBatch& batch, std::size_t n_bytes,
                    Checkpoint& checkpoint, Body&& body) {
  const std::byte* groups = batch.groups(kernel);
  const std::size_t n_groups = batch.n_groups(kernel);
  const std::size_t per_group = kernel.tile_rows * kernel.group_queries * n_bytes;
  const std::size_t at_once = std::max<std::size_t>(1, kBytesBetweenChecks / per_group);
  for (std::size_t group = 0; group < n_groups; group += at_once) {
    const std::size_t n = std::min(at_once, n_groups - group);
    checkpoint.did(n * per_group);
    body(GroupSlice{groups + group * batch.group_bytes(kernel), n, group * kernel.group_queries});
  }
}

}  // namespace bitsift
