// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <optional>

#include "base/row_mask.hpp"
#include "base/segments.hpp"
#include "kernels/kernels.hpp"
#include "search/queries.hpp"
#include "search/scan_method.hpp"

namespace bitsift {

// A scan may leave the last rows to its caller if `*wanted` is true when it has scanned from
// `least_rows` to `most_rows`.
struct EarlyEnd {
  const std::atomic<bool>* wanted = nullptr;
  std::size_t least_rows = 0;
  std::size_t most_rows = 0;
};

struct ScanOptions {
  std::size_t k = 10;
  RowIds ids = {};
  std::size_t n_threads = 1;
  std::optional<ScanMethod> method = std::nullopt;  // not given: the cheapest by `costs`
  MethodCostTable* costs = &default_method_costs();
  EarlyEnd early_end = {};
  RowMask mask = {};          // the rows that take part
  std::size_t first_row = 0;  // the number of the first row of the codes in the mask
};

// The k rows of `codes` nearest to each query by (distance, id), of those that take part. Writes
// n_queries x k; where k exceeds these rows, row -1 and the largest int32. Returns how many rows it
// has scanned, from the first one on: all, unless it has ended early.
std::size_t scan(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                 const Queries& queries, const ScanOptions& options, std::int32_t* distances,
                 std::int64_t* rows);

}  // namespace bitsift
