// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "base/matrix.hpp"
#include "kernels/kernels.hpp"
#include "search/queries.hpp"
#include "search/scan_method.hpp"

namespace bitsift {

// Bytes of codes that a thread takes at a time.
inline constexpr std::size_t kScanPieceBytes = 1 << 18;

struct ScanOptions {
  std::size_t k = 10;
  const std::int64_t* ids = nullptr;  // nullptr: a row's number is its id
  std::size_t n_threads = 1;
  std::optional<ScanMethod> method = std::nullopt;  // not given: the cheapest by `costs`
  MethodCostTable* costs = &default_method_costs();
};

// The k rows of `codes` nearest to each query by (distance, id). Writes n_queries x k; where k
// exceeds the rows, row -1 and the largest int32.
void scan(const Kernels& kernels, Matrix<std::uint8_t> codes, const Queries& queries,
          const ScanOptions& options, std::int32_t* distances, std::int64_t* rows);

}  // namespace bitsift
