// SPDX-License-Identifier: Apache-2.0
#include "rescore.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "thread_pool.hpp"

namespace bitsift {
namespace {

constexpr std::size_t kBytesPerPiece = 1 << 17;

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

// Score of one query and one vector, the smaller the better.
template <class Value>
class Scorer {
 public:
  Scorer(const Kernels& kernels, Metric metric, std::size_t n)
      : kernels_(kernels), metric_(metric), query_(n) {}

  void set_query(const float* query) {
    std::copy(query, query + query_.size(), query_.begin());
    double sums[2];
    kernels_.dot_f32(query_.data(), query, query_.size(), sums);
    query_norm_ = std::sqrt(sums[1]);
  }

  float badness(const Value* vector) const {
    const float result = static_cast<float>(exact_badness(vector));
    // Only a damaged file holds such a value; the order must be total all the same.
    return std::isnan(result) ? std::numeric_limits<float>::infinity() : result;
  }

 private:
  double exact_badness(const Value* vector) const {
    if (metric_ == Metric::kL2) return std::sqrt(l2(vector));
    double sums[2];
    dot(vector, sums);
    if (metric_ == Metric::kDot) return -sums[0];
    const double norms = query_norm_ * std::sqrt(sums[1]);
    return norms == 0 ? 0 : -(sums[0] / norms);  // a zero vector has no direction
  }

  void dot(const float* vector, double* sums) const {
    kernels_.dot_f32(query_.data(), vector, query_.size(), sums);
  }
  void dot(const Half* vector, double* sums) const {
    kernels_.dot_f16(query_.data(), vector, query_.size(), sums);
  }
  double l2(const float* vector) const {
    return kernels_.l2_f32(query_.data(), vector, query_.size());
  }
  double l2(const Half* vector) const {
    return kernels_.l2_f16(query_.data(), vector, query_.size());
  }

  const Kernels& kernels_;
  Metric metric_;
  std::vector<double> query_;
  double query_norm_ = 0;
};

template <class Value>
void prefetch(const Value* vector, std::size_t n) {
  const auto* bytes = reinterpret_cast<const char*>(vector);
  for (std::size_t i = 0; i < n * sizeof(Value); i += 64) __builtin_prefetch(bytes + i);
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
    Scorer<Value> scorer(kernels, metric, originals.n_columns);
    for (std::size_t pair = begin; pair < end; ++pair) {
      const std::size_t query = pair / n_candidates;
      const std::size_t i = pair % n_candidates;
      if (pair == begin || i == 0) scorer.set_query(queries.row(query));
      const std::int64_t* query_candidates = candidates.row(query);
      if (i + 1 < n_candidates && query_candidates[i + 1] >= 0) {
        prefetch(originals.row(static_cast<std::size_t>(query_candidates[i + 1])),
                 originals.n_columns);
      }
      const std::int64_t row = query_candidates[i];
      scored[pair] = {0, row};
      if (row >= 0)
        scored[pair].badness = scorer.badness(originals.row(static_cast<std::size_t>(row)));
    }
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
