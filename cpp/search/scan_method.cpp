// SPDX-License-Identifier: Apache-2.0
#include "search/scan_method.hpp"

#include <algorithm>
#include <bit>

namespace bitsift {
namespace {

// Up to this number of queries, scanning for each query by itself may win: it transposes nothing,
// and rows stay in a cache from one query to the next.
constexpr std::size_t kMostRowQueries = 16;
// Fewer bytes of codes may lie in a cache from one scan to the next.
constexpr std::size_t kUncachedBytes = std::size_t{1} << 24;

bool lies_in_memory(const ScanShape& shape) {
  return shape.n_rows >= kUncachedBytes / shape.n_bytes;
}

}  // namespace

EligibleMethods::EligibleMethods(const Kernels& kernels, const ScanShape& shape) {
  const std::size_t n_queries = shape.n_queries;
  if (n_queries > 1) {
    methods_[n_++] = ScanMethod::kBatch;
    if (kernels.product != nullptr) methods_[n_++] = ScanMethod::kProduct;
  }
  // More queries find the rows in a cache.
  if (lies_in_memory(shape) && n_queries <= (shape.weighted ? 1 : kMaxRowQueries)) {
    methods_[n_++] = ScanMethod::kRowsAhead;
    methods_[n_++] = ScanMethod::kRowsFarAhead;
  }
  if (n_queries <= kMostRowQueries) methods_[n_++] = ScanMethod::kRows;
  if (n_queries < batch_kernel(kernels, shape.n_bytes, shape.weighted).least_queries) {
    std::swap(methods_[0], methods_[n_ - 1]);
  }
}

MethodCosts& MethodCostTable::costs_of(const Kernels& kernels, const ScanShape& shape) {
  const std::size_t n_queries = shape.n_queries;
  // 1, 2, 3 and 4 queries have shapes of their own; more share one up to each power of two.
  const std::size_t query_shape =
      n_queries <= 4 ? n_queries - 1 : static_cast<std::size_t>(std::bit_width(n_queries - 1)) + 1;
  const auto byte_shape = static_cast<std::size_t>(std::bit_width(shape.n_bytes - 1));
  return costs_[static_cast<std::size_t>(kernels.isa)][shape.weighted ? 1 : 0]
               [lies_in_memory(shape) ? 1 : 0][shape.n_threads > 1 ? 1 : 0]
               [std::min(query_shape, kQueryShapes - 1)][std::min(byte_shape, kByteShapes - 1)];
}

MethodCostTable& default_method_costs() {
  static MethodCostTable table;
  return table;
}

}  // namespace bitsift
