// SPDX-License-Identifier: Apache-2.0
#include "rescore.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "thread_pool.hpp"

namespace bitsift {
namespace {

constexpr std::size_t kBytesPerPiece = 1 << 19;

struct Scored {
  float badness;  // ascending for every metric
  std::int64_t row;
};

struct ByBadnessThenId {
  const std::int64_t* ids;

  bool operator()(const Scored& a, const Scored& b) const {
    if (a.badness != b.badness) return a.badness < b.badness;
    return ids == nullptr ? a.row < b.row : ids[a.row] < ids[b.row];
  }
};

// Candidates that are scored together.
constexpr std::size_t kAtOnce = 4;

// Scores of one query and a few vectors, the smaller the better.
template <class Value>
class Scorer {
 public:
  Scorer(const Kernels& kernels, Metric metric, std::size_t n)
      : kernels_(kernels), metric_(metric), query_(n) {}

  void set_query(const float* query) {
    std::copy(query, query + query_.size(), query_.begin());
    double product;
    double square;
    kernels_.dot_f32(query_.data(), &query, 1, 0, query_.size(), &product, &square);
    query_norm_ = std::sqrt(square);
  }

  // `n_ahead` vectors that come next follow the others.
  void score(const Value* const* vectors, std::size_t n_vectors, std::size_t n_ahead,
             float* badness) const {
    double exact[kAtOnce];
    score_exactly(vectors, n_vectors, n_ahead, exact);
    for (std::size_t i = 0; i < n_vectors; ++i) {
      const auto rounded = static_cast<float>(exact[i]);
      // Only a damaged file holds such a value; the order must be total all the same.
      badness[i] = std::isnan(rounded) ? std::numeric_limits<float>::infinity() : rounded;
    }
  }

 private:
  void score_exactly(const Value* const* vectors, std::size_t n_vectors, std::size_t n_ahead,
                     double* badness) const {
    const std::size_t n = query_.size();
    if (metric_ == Metric::kL2) {
      l2()(query_.data(), vectors, n_vectors, n_ahead, n, badness);
      for (std::size_t i = 0; i < n_vectors; ++i) badness[i] = std::sqrt(badness[i]);
      return;
    }
    double squares[kAtOnce] = {};
    dot()(query_.data(), vectors, n_vectors, n_ahead, n, badness,
          metric_ == Metric::kCosine ? squares : nullptr);
    for (std::size_t i = 0; i < n_vectors; ++i) {
      if (metric_ == Metric::kDot) {
        badness[i] = -badness[i];
      } else {
        const double norms = query_norm_ * std::sqrt(squares[i]);
        badness[i] = norms == 0 ? 0 : -(badness[i] / norms);  // a zero vector has no direction
      }
    }
  }

  auto dot() const {
    if constexpr (std::is_same_v<Value, Half>)
      return kernels_.dot_f16;
    else
      return kernels_.dot_f32;
  }
  auto l2() const {
    if constexpr (std::is_same_v<Value, Half>)
      return kernels_.l2_f16;
    else
      return kernels_.l2_f32;
  }

  const Kernels& kernels_;
  Metric metric_;
  std::vector<double> query_;
  double query_norm_ = 0;
};

// Scores pairs [begin, end) of (query, candidate), numbered query by query.
template <class Value>
void score_pairs(Scorer<Value> scorer, Matrix<Value> originals, Matrix<float> queries,
                 Matrix<std::int64_t> candidates, std::size_t begin, std::size_t end,
                 Scored* scored) {
  const std::size_t n_candidates = candidates.n_columns;
  std::vector<std::size_t> pairs;
  std::vector<const Value*> vectors;
  pairs.reserve(end - begin);
  vectors.reserve(end - begin);
  for (std::size_t pair = begin; pair < end; ++pair) {
    const std::int64_t row = candidates.row(pair / n_candidates)[pair % n_candidates];
    scored[pair] = {0, row};
    if (row < 0) continue;
    pairs.push_back(pair);
    vectors.push_back(originals.row(static_cast<std::size_t>(row)));
  }
  std::size_t last_query = queries.n_rows;
  for (std::size_t i = 0; i < pairs.size();) {
    const std::size_t query = pairs[i] / n_candidates;
    if (query != last_query) scorer.set_query(queries.row(query));
    last_query = query;
    std::size_t n = 1;
    while (n < kAtOnce && i + n < pairs.size() && pairs[i + n] / n_candidates == query) ++n;
    const std::size_t n_ahead = std::min(kAtOnce, pairs.size() - i - n);
    float badness[kAtOnce];
    scorer.score(vectors.data() + i, n, n_ahead, badness);
    for (std::size_t j = 0; j < n; ++j) scored[pairs[i + j]].badness = badness[j];
    i += n;
  }
}

template <class Value>
void rescore_all(const Kernels& kernels, Metric metric, Matrix<Value> originals,
                 Matrix<float> queries, Matrix<std::int64_t> candidates, const std::int64_t* ids,
                 std::size_t k, std::size_t n_threads, float* scores, std::int64_t* rows) {
  const std::size_t n_candidates = candidates.n_columns;
  const std::size_t n_pairs = queries.n_rows * n_candidates;
  std::vector<Scored> scored(n_pairs);

  // Pieces of pairs, not of queries: one query with many candidates uses every thread, and so many
  // threads wait for the disk at once where the originals are mapped from a file.
  const std::size_t piece = 1 + kBytesPerPiece / (originals.n_columns * sizeof(Value));
  for_each_piece(n_pairs, piece, n_threads, [&](std::size_t begin, std::size_t end) {
    score_pairs(Scorer<Value>(kernels, metric, originals.n_columns), originals, queries, candidates,
                begin, end, scored.data());
  });

  constexpr float kWorst = std::numeric_limits<float>::infinity();
  // 0 - x and not -x: no score is a negative zero.
  const auto score = [metric](float badness) {
    return metric == Metric::kL2 ? badness : 0.0f - badness;
  };
  const std::size_t n_sorted_at_once = 1 + (1 << 12) / (n_candidates + 1);
  for_each_piece(
      queries.n_rows, n_sorted_at_once, n_threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t query = begin; query < end; ++query) {
          const auto first = scored.begin() + static_cast<std::ptrdiff_t>(query * n_candidates);
          const auto last = std::remove_if(first, first + static_cast<std::ptrdiff_t>(n_candidates),
                                           [](const Scored& s) { return s.row < 0; });
          const std::size_t n = std::min(k, static_cast<std::size_t>(last - first));
          std::partial_sort(first, first + static_cast<std::ptrdiff_t>(n), last,
                            ByBadnessThenId{ids});
          for (std::size_t i = 0; i < k; ++i) {
            const Scored found =
                i < n ? *(first + static_cast<std::ptrdiff_t>(i)) : Scored{kWorst, -1};
            scores[query * k + i] = score(found.badness);
            rows[query * k + i] = found.row;
          }
        }
      });
}

}  // namespace

void rescore(const Kernels& kernels, Metric metric, Matrix<float> originals, Matrix<float> queries,
             Matrix<std::int64_t> candidates, const std::int64_t* ids, std::size_t k,
             std::size_t n_threads, float* scores, std::int64_t* rows) {
  rescore_all(kernels, metric, originals, queries, candidates, ids, k, n_threads, scores, rows);
}

void rescore(const Kernels& kernels, Metric metric, Matrix<Half> originals, Matrix<float> queries,
             Matrix<std::int64_t> candidates, const std::int64_t* ids, std::size_t k,
             std::size_t n_threads, float* scores, std::int64_t* rows) {
  rescore_all(kernels, metric, originals, queries, candidates, ids, k, n_threads, scores, rows);
}

}  // namespace bitsift
