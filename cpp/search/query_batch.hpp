// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

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

  const std::uint8_t* row(std::size_t i) const { return rows_.data() + i * row_stride_; }
  // The bit-planes of a query's magnitudes, plane_stride() bytes apart.
  const std::uint8_t* planes(std::size_t i) const {
    return planes_.data() + i * n_planes_ * row_stride_;
  }
  std::size_t n_planes() const { return n_planes_; }
  std::size_t plane_stride() const { return row_stride_; }

  std::size_t n_groups(const BatchKernel& kernel) const {
    return (size_ + kernel.group_queries - 1) / kernel.group_queries;
  }
  // `kernel` is the `batch` or the `product` of one table.
  const void* groups(const BatchKernel& kernel) const;

 private:
  struct Groups {
    std::once_flag made;
    KernelMemory memory;
  };

  void make_planes();
  void make_groups(const BatchKernel& kernel, Groups& groups) const;

  std::size_t size_;
  std::size_t n_bytes_;
  std::size_t row_stride_;
  std::size_t n_planes_ = 0;
  std::vector<std::uint8_t> rows_;
  std::vector<std::uint8_t> planes_;
  std::vector<const std::uint8_t*> magnitudes_;
  mutable Groups unweighted_groups_;
  mutable Groups product_groups_;
};

}  // namespace bitsift
