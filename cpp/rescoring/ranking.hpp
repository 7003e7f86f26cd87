// SPDX-License-Identifier: Apache-2.0
// The order of scored candidates.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <span>

#include "base/checked_order.hpp"
#include "base/thread_pool.hpp"
#include "rescoring/candidates.hpp"

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

struct ByBadnessThenRow {
  bool operator()(const Scored& a, const Scored& b) const {
    return a.badness != b.badness ? a.badness < b.badness : a.row < b.row;
  }
};

struct ByBadnessThenId {
  RowIds ids;  // not the numbers

  bool operator()(const Scored& a, const Scored& b) const {
    if (a.badness != b.badness) return a.badness < b.badness;
    return ids[static_cast<std::size_t>(a.row)] < ids[static_cast<std::size_t>(b.row)];
  }
};

// Room for the scores of all candidates. The threads that score touch it first.
inline std::unique_ptr<Scored[]> room_for_scores(std::size_t n) {
  return std::make_unique_for_overwrite<Scored[]>(n);
}

// Writes the places of at most 64 candidates to `order`, best first. Returns false if two are
// equally good. Compares all pairs: without branches, that takes less time than sorting.
inline bool order_few(const Scored* scored, std::size_t n, std::uint8_t* order) {
  float badness[64];
  std::fill(badness, badness + 64, std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; i < n; ++i) badness[i] = scored[i].badness;
  const std::size_t n_padded = (n + 3) / 4 * 4;
  std::uint64_t taken = 0;
  for (std::size_t i = 0; i < n; ++i) {
    std::int32_t n_better = 0;
    for (std::size_t j = 0; j < n_padded; ++j) n_better += badness[j] < badness[i] ? 1 : 0;
    const auto place = static_cast<std::size_t>(n_better);
    order[place] = static_cast<std::uint8_t>(i);
    taken |= std::uint64_t{1} << place;
  }
  return static_cast<std::size_t>(std::popcount(taken)) == n;
}

// Brings the results of each step to the front, in order: a step sorts what earlier ones left.
template <class Less>
void order_by_steps(Scored* scored, std::size_t n, std::size_t k, std::span<const Step> steps,
                    const Less& order) {
  std::size_t n_ordered = 0;
  for (const Step& step : steps) {
    const std::size_t end = std::min(step.n_candidates, n);
    const std::size_t n_results = std::min({step.n_results, k, end});
    if (n_results <= n_ordered) continue;
    with_checks(end - n_ordered, order, [&](const auto& less) {
      std::partial_sort(scored + n_ordered, scored + n_results, scored + end, less);
    });
    n_ordered = n_results;
  }
}

// Writes the k best candidates of each query, or all in their order: n_queries x k. Row -1 is no
// candidate. Where fewer than k are left, writes row -1 and the worst score. Scores are the badness
// if `ascending`, else its negative. `scored` are those of the candidates, in their order.
inline void rank(Scored* scored, std::size_t n_queries, const CandidateRows& candidates,
                 bool ascending, std::size_t n_threads, float* scores, std::int64_t* rows) {
  const std::size_t n_candidates = candidates.rows.n_columns;
  const std::size_t k = candidates.k;
  const Step everything = {.n_results = k, .n_candidates = n_candidates};
  const std::span<const Step> steps =
      candidates.steps.empty() ? std::span(&everything, 1) : candidates.steps;
  constexpr float kWorst = std::numeric_limits<float>::infinity();
  // 0 - x and not -x: no score is a negative zero.
  const auto score = [ascending](float badness) { return ascending ? badness : 0.0f - badness; };
  const std::size_t n_at_once = 1 + (1 << 12) / (std::max(n_candidates, k) + 1);
  for_each_piece(n_queries, n_at_once, n_threads, [&](std::size_t begin, std::size_t end) {
    Checkpoint checkpoint(kValuesBetweenChecks);
    for (std::size_t query = begin; query < end; ++query) {
      Scored* first = scored + query * n_candidates;
      if (candidates.keep_order) {
        for (std::size_t i = 0; i < k; ++i) {
          checkpoint.did(1);
          scores[query * k + i] = score(first[i].row < 0 ? kWorst : first[i].badness);
          rows[query * k + i] = first[i].row;
        }
        continue;
      }
      Scored* last =
          std::remove_if(first, first + n_candidates, [](const Scored& s) { return s.row < 0; });
      const auto n_left = static_cast<std::size_t>(last - first);
      const std::size_t n = std::min(k, n_left);
      std::uint8_t order[64];
      const bool is_ordered = steps.front().n_candidates >= n_left && n_left <= std::size(order) &&
                              order_few(first, n_left, order);
      if (!is_ordered && candidates.ids.are_numbers()) {
        order_by_steps(first, n_left, k, steps, ByBadnessThenRow{});
      } else if (!is_ordered) {
        order_by_steps(first, n_left, k, steps, ByBadnessThenId{candidates.ids});
      }
      for (std::size_t i = 0; i < k; ++i) {
        checkpoint.did(1);
        const Scored found = i < n ? first[is_ordered ? order[i] : i] : Scored{kWorst, -1};
        scores[query * k + i] = score(found.badness);
        rows[query * k + i] = found.row;
      }
    }
  });
}

}  // namespace bitsift
