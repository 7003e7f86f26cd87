// SPDX-License-Identifier: Apache-2.0
// The order of scored candidates.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/thread_pool.hpp"

namespace bitsift {

struct Scored {
  float badness;  // the smaller, the better, for every metric
  std::int64_t row;
};

// NaN, which only a damaged file causes, ranks last: the order must be total.
inline float badness_of(double exact) {
  const auto rounded = static_cast<float>(exact);
  return std::isnan(rounded) ? std::numeric_limits<float>::infinity() : rounded;
}

struct ByBadnessThenId {
  const std::int64_t* ids;

  bool operator()(const Scored& a, const Scored& b) const {
    if (a.badness != b.badness) return a.badness < b.badness;
    return ids == nullptr ? a.row < b.row : ids[a.row] < ids[b.row];
  }
};

// Writes the k best candidates of each query: n_queries x k. Row -1 is no candidate. Where fewer
// than k are left, writes row -1 and the worst score. Scores are the badness if `ascending`, else
// its negative.
inline void rank(std::vector<Scored>& scored, std::size_t n_queries, std::size_t n_candidates,
                 const std::int64_t* ids, std::size_t k, bool ascending, std::size_t n_threads,
                 float* scores, std::int64_t* rows) {
  constexpr float kWorst = std::numeric_limits<float>::infinity();
  // 0 - x and not -x: no score is a negative zero.
  const auto score = [ascending](float badness) { return ascending ? badness : 0.0f - badness; };
  const std::size_t n_at_once = 1 + (1 << 12) / (n_candidates + 1);
  for_each_piece(n_queries, n_at_once, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t query = begin; query < end; ++query) {
      const auto first = scored.begin() + static_cast<std::ptrdiff_t>(query * n_candidates);
      const auto last = std::remove_if(first, first + static_cast<std::ptrdiff_t>(n_candidates),
                                       [](const Scored& s) { return s.row < 0; });
      const std::size_t n = std::min(k, static_cast<std::size_t>(last - first));
      std::partial_sort(first, first + static_cast<std::ptrdiff_t>(n), last, ByBadnessThenId{ids});
      for (std::size_t i = 0; i < k; ++i) {
        const Scored found = i < n ? *(first + static_cast<std::ptrdiff_t>(i)) : Scored{kWorst, -1};
        scores[query * k + i] = score(found.badness);
        rows[query * k + i] = found.row;
      }
    }
  });
}

}  // namespace bitsift
