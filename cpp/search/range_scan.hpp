// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/row_mask.hpp"
#include "base/segments.hpp"
#include "kernels/kernels.hpp"
#include "search/neighbor.hpp"
#include "search/queries.hpp"
#include "search/scan_method.hpp"

namespace bitsift {

// The costs of range scans: rows within a limit that does not fall are many at times, and what is
// done with them costs too.
MethodCostTable& range_method_costs();

struct RangeOptions {
  RowIds ids = {};
  std::size_t n_threads = 1;
  std::optional<ScanMethod> method = std::nullopt;  // not given: the cheapest by `costs`
  MethodCostTable* costs = &range_method_costs();
  RowMask mask = {};          // the rows that take part
  std::size_t first_row = 0;  // the number of the first row of the codes in the mask
};

// For each query, rows by (distance, id).
using FoundRows = std::vector<std::vector<Neighbor>>;

// Finds for each query all rows at a distance of at most limits[query], of those that take part. A
// negative limit finds none.
FoundRows range_scan(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                     const Queries& queries, std::span<const std::int64_t> limits,
                     const RangeOptions& options);

// Writes how many rows range_scan() would find for each query, and keeps none.
void count_range(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                 const Queries& queries, std::span<const std::int64_t> limits,
                 const RangeOptions& options, std::int64_t* counts);

// What range_scan() finds among the first `n_rows` of the codes.
struct RangePart {
  FoundRows found;
  std::size_t n_rows;
};

// Finds at most `most_found` rows, of all queries together: among as many of the first rows as it
// can, at least one if there are any. How many depends neither on the kernel nor on the number of
// threads. Keeps, for a moment, at most n_threads / 16 times as many more. There are at most
// kMaxBatchQueries queries, and no more than `most_found`; else it throws std::invalid_argument.
RangePart range_scan_part(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                          const Queries& queries, std::span<const std::int64_t> limits,
                          std::size_t most_found, const RangeOptions& options);

}  // namespace bitsift
