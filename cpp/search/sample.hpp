// SPDX-License-Identifier: Apache-2.0
// A scan for many results begins without limits and admits k (1 + ln(rows / k)) rows for each
// query, most of them in vain: for k = 1000 of a million, eight for each result. So a sample of the
// rows is scanned first. It tells a distance within which k rows lie, very likely. If fewer do, the
// scan has found fewer than k rows, and is done again without the sample.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>

namespace bitsift {

// Every step-th row, and the rank in this sample of the row whose distance bounds the scan.
struct Sample {
  std::size_t step;
  std::size_t n_rows;
  std::size_t rank;
};

// A sample that costs less than it saves, if there is one.
inline std::optional<Sample> worthwhile_sample(std::size_t n_rows, std::size_t k,
                                               std::size_t n_queries) {
  // Fewer queries are bound by memory, and a smaller k admits few rows.
  constexpr std::size_t kLeastQueries = 16;
  constexpr std::size_t kLeastK = 32;
  // To sample more rows than this times k, or more than a part of all, costs more than it saves.
  constexpr std::size_t kRowsPerResult = 32;
  constexpr std::size_t kLeastStep = 8;
  if (n_queries < kLeastQueries || k < kLeastK || n_rows / kLeastStep < k) return std::nullopt;
  // Odd: rows often repeat with an even period.
  const std::size_t step = std::max(kLeastStep, n_rows / k / kRowsPerResult) | 1;
  const std::size_t n_sampled = n_rows / step;
  // So many of the k nearest are in the sample on average. Four standard deviations and three rows
  // more: one query in 30,000 has more of them there.
  const double mean = static_cast<double>(k) / static_cast<double>(step);
  const auto rank = static_cast<std::size_t>(mean + 4 * std::sqrt(mean) + 3);
  if (2 * rank > n_sampled) return std::nullopt;
  return Sample{.step = step, .n_rows = n_sampled, .rank = rank};
}

}  // namespace bitsift
