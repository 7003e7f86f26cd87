// SPDX-License-Identifier: Apache-2.0
#include "rescoring/rescore.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <iterator>
#include <type_traits>
#include <vector>

#include "base/platform.hpp"
#include "base/recent_costs.hpp"
#include "base/thread_pool.hpp"
#include "rescoring/ranking.hpp"

namespace bitsift {
namespace {

// Vectors that a kernel scores together.
constexpr std::size_t kVectorsAtOnce = 8;

// How often a kernel prefetches each cache line: vectors that are scored next are so many times
// kVectorsAtOnce. Which is faster depends on the processor (kernels/loops/rescoring.hpp).
enum class Prefetching : std::uint8_t { kThrice, kOnce };
constexpr Prefetching kPrefetchings[] = {Prefetching::kThrice, Prefetching::kOnce};
constexpr std::size_t kMostVectorsAhead = 3 * kVectorsAtOnce;
// Smaller pieces are not timed.
constexpr std::size_t kTimedBytes = 1 << 16;

std::size_t vectors_ahead(Prefetching prefetching) {
  return prefetching == Prefetching::kOnce ? kVectorsAtOnce : kMostVectorsAhead;
}

// Seconds for each byte of such originals.
using PrefetchingCosts = RecentCosts<Prefetching, std::size(kPrefetchings)>;

template <class Originals>
PrefetchingCosts& costs_of(const Kernels& kernels) {
  static PrefetchingCosts costs[kIsas];
  return costs[static_cast<std::size_t>(kernels.isa)];
}

// Whether every product of an 8-bit integer and the step is exact: 7 bits of the step are zero.
bool is_exact(double step) {
  constexpr std::uint64_t kLowBits = (std::uint64_t{1} << 7) - 1;
  constexpr double kLeast = 0x1p-900;
  constexpr double kMost = 0x1p900;
  const double size = std::abs(step);
  return (std::bit_cast<std::uint64_t>(step) & kLowBits) == 0 && size > kLeast && size < kMost;
}

Scale with_exactness(Scale scale, std::size_t dim) {
  scale.exact = std::all_of(scale.step, scale.step + dim, is_exact);
  return scale;
}

// Originals that kernels read in place.
template <class Memory, class Value = Memory>
class InPlace {
 public:
  using Stored = Value;

  explicit InPlace(const Segments<Memory>& rows) : rows_(rows) {}

  std::size_t n_rows() const { return rows_.n_rows(); }
  std::size_t row_bytes() const { return rows_.n_columns() * sizeof(Value); }
  const Value* stored(std::size_t row) const {
    return reinterpret_cast<const Value*>(rows_.row(row));
  }
  Scale scale() const { return {}; }

  // Makes vectors for a kernel of `n` stored ones. `n_ahead` more stored vectors follow, which are
  // scored next; returns how many of these the kernel has to prefetch.
  std::size_t fetch(const Value* const* stored, std::size_t n, std::size_t n_ahead,
                    const Value** vectors) {
    std::copy(stored, stored + n + n_ahead, vectors);
    return n_ahead;
  }

 private:
  Segments<Memory> rows_;
};

// Originals as 8-bit integers, read in place.
class OnScale : public InPlace<std::uint8_t, std::int8_t> {
 public:
  explicit OnScale(const IntegerVectors& vectors)
      : InPlace(vectors.rows), scale_(with_exactness(vectors.scale, vectors.dim)) {}

  Scale scale() const { return scale_; }

 private:
  Scale scale_;
};

// Originals as integers of other types, unpacked a few at a time.
class Unpacked {
 public:
  using Stored = std::uint8_t;

  explicit Unpacked(const IntegerVectors& vectors)
      : vectors_(vectors),
        room_(bytes_for(vectors.type, vectors.dim) * integers_per_byte(vectors.type) + 8),
        integers_(kVectorsAtOnce * room_) {}

  std::size_t n_rows() const { return vectors_.rows.n_rows(); }
  std::size_t row_bytes() const { return vectors_.rows.n_columns(); }
  const std::uint8_t* stored(std::size_t row) const { return vectors_.rows.row(row); }
  Scale scale() const { return vectors_.scale; }

  std::size_t fetch(const std::uint8_t* const* stored, std::size_t n, std::size_t n_ahead,
                    const std::int8_t** vectors) {
    n_ahead = std::min(n_ahead, kVectorsAtOnce);
    for (std::size_t i = n; i < n + n_ahead; ++i) prefetch(stored[i], row_bytes());
    for (std::size_t i = 0; i < n; ++i) {
      unpack_integers(vectors_.type, stored[i], vectors_.dim, integers_.data() + i * room_);
      vectors[i] = integers_.data() + i * room_;
    }
    return 0;
  }

 private:
  IntegerVectors vectors_;
  std::size_t room_;
  std::vector<std::int8_t> integers_;
};

// Scores a few vectors at a time for one query; the smaller, the better.
template <class Value>
class Scorer {
 public:
  Scorer(const Kernels& kernels, Metric metric, std::size_t n, Scale scale)
      : kernels_(kernels), metric_(metric), query_(n), scale_(scale) {}

  void set_query(const float* query) {
    std::copy(query, query + query_.size(), query_.begin());
    if (metric_ != Metric::kCosine) return;
    double product;
    double square;
    kernels_.dot_f32(query_.data(), &query, 1, 0, query_.size(), &product, &square);
    query_norm_ = std::sqrt(square);
  }

  // `n_ahead` more vectors follow, which are scored next.
  void score(const Value* const* vectors, std::size_t n_vectors, std::size_t n_ahead,
             float* badness) const {
    double exact[kVectorsAtOnce];
    if (metric_ == Metric::kL2) {
      l2(vectors, n_vectors, n_ahead, exact);
      for (std::size_t i = 0; i < n_vectors; ++i) exact[i] = std::sqrt(exact[i]);
    } else {
      double squares[kVectorsAtOnce] = {};
      dot(vectors, n_vectors, n_ahead, exact, metric_ == Metric::kCosine ? squares : nullptr);
      for (std::size_t i = 0; i < n_vectors; ++i) {
        if (metric_ == Metric::kDot) {
          exact[i] = -exact[i];
        } else {
          const double norms = query_norm_ * std::sqrt(squares[i]);
          exact[i] = norms == 0 ? 0 : -(exact[i] / norms);  // a zero vector has no direction
        }
      }
    }
    for (std::size_t i = 0; i < n_vectors; ++i) badness[i] = badness_of(exact[i]);
  }

 private:
  void dot(const Value* const* vectors, std::size_t n_vectors, std::size_t n_ahead, double* dots,
           double* squares) const {
    const std::size_t n = query_.size();
    if constexpr (std::is_same_v<Value, std::int8_t>)
      kernels_.dot_i8(query_.data(), vectors, scale_, n_vectors, n_ahead, n, dots, squares);
    else if constexpr (std::is_same_v<Value, Half>)
      kernels_.dot_f16(query_.data(), vectors, n_vectors, n_ahead, n, dots, squares);
    else
      kernels_.dot_f32(query_.data(), vectors, n_vectors, n_ahead, n, dots, squares);
  }
  void l2(const Value* const* vectors, std::size_t n_vectors, std::size_t n_ahead,
          double* squares) const {
    const std::size_t n = query_.size();
    if constexpr (std::is_same_v<Value, std::int8_t>)
      kernels_.l2_i8(query_.data(), vectors, scale_, n_vectors, n_ahead, n, squares);
    else if constexpr (std::is_same_v<Value, Half>)
      kernels_.l2_f16(query_.data(), vectors, n_vectors, n_ahead, n, squares);
    else
      kernels_.l2_f32(query_.data(), vectors, n_vectors, n_ahead, n, squares);
  }

  const Kernels& kernels_;
  Metric metric_;
  std::vector<double> query_;
  double query_norm_ = 0;
  Scale scale_;
};

// Scores pairs [begin, end) of (query, candidate), numbered query by query. Kernels prefetch up to
// `most_ahead` vectors.
template <class Value, class Originals>
void score_pairs(Scorer<Value> scorer, Originals originals, Matrix<float> queries,
                 Matrix<std::int64_t> candidates, std::size_t begin, std::size_t end,
                 std::size_t most_ahead, Scored* scored) {
  const std::size_t n_candidates = candidates.n_columns;
  std::vector<Scored*> scores;
  std::vector<const typename Originals::Stored*> stored;
  scores.reserve(end - begin);
  stored.reserve(end - begin);
  std::vector<std::size_t> ends;  // of the candidates of each query
  const std::size_t first_query = begin / n_candidates;
  for (std::size_t query = first_query; query * n_candidates < end; ++query) {
    const std::size_t first = query * n_candidates;
    const std::int64_t* rows = candidates.row(query);
    for (std::size_t i = begin > first ? begin - first : 0; i < std::min(n_candidates, end - first);
         ++i) {
      scored[first + i] = {0, rows[i]};
      if (rows[i] < 0) continue;
      scores.push_back(scored + first + i);
      stored.push_back(originals.stored(static_cast<std::size_t>(rows[i])));
    }
    ends.push_back(scores.size());
  }
  std::size_t i = 0;
  for (std::size_t q = 0; q < ends.size(); ++q) {
    if (i < ends[q]) scorer.set_query(queries.row(first_query + q));
    if (q + 1 < ends.size()) {
      prefetch(queries.row(first_query + q + 1), queries.n_columns * sizeof(float));
    }
    while (i < ends[q]) {
      const std::size_t n = std::min(kVectorsAtOnce, ends[q] - i);
      std::size_t n_ahead = std::min(most_ahead, stored.size() - i - n);
      const Value* vectors[kVectorsAtOnce + kMostVectorsAhead];
      n_ahead = originals.fetch(stored.data() + i, n, n_ahead, vectors);
      float badness[kVectorsAtOnce];
      scorer.score(vectors, n, n_ahead, badness);
      for (std::size_t j = 0; j < n; ++j) scores[i + j]->badness = badness[j];
      i += n;
    }
  }
}

template <class Value, class Originals>
void rescore_all(const Kernels& kernels, Metric metric, const Originals& originals,
                 Matrix<float> queries, const CandidateRows& candidates, std::size_t n_threads,
                 float* scores, std::int64_t* rows) {
  check_candidates(candidates, originals.n_rows());
  const std::size_t n_candidates = candidates.rows.n_columns;
  const std::size_t n_pairs = queries.n_rows * n_candidates;
  const auto scored = room_for_scores(n_pairs);

  // Work is split by pairs, not by queries: one query with many candidates uses every thread. Where
  // the originals are mapped from a file, that many threads wait for the disk at once.
  const std::size_t piece = 1 + kRescorePieceBytes / originals.row_bytes();
  PrefetchingCosts& costs = costs_of<Originals>(kernels);
  for_each_piece(n_pairs, piece, n_threads, [&](std::size_t begin, std::size_t end) {
    const auto score = [&](Prefetching prefetching) {
      score_pairs(Scorer<Value>(kernels, metric, queries.n_columns, originals.scale()), originals,
                  queries, candidates.rows, begin, end, vectors_ahead(prefetching), scored.get());
    };
    const std::size_t n_bytes = (end - begin) * originals.row_bytes();
    if (n_bytes < kTimedBytes) return score(costs.best(kPrefetchings));
    const Prefetching prefetching = costs.next(kPrefetchings);
    const auto start = std::chrono::steady_clock::now();
    score(prefetching);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    costs.learn(prefetching, seconds.count() / static_cast<double>(n_bytes));
  });
  rank(scored.get(), queries.n_rows, candidates, metric == Metric::kL2, n_threads, scores, rows);
}

}  // namespace

void rescore(const Kernels& kernels, Metric metric, const Segments<float>& originals,
             Matrix<float> queries, const CandidateRows& candidates, std::size_t n_threads,
             float* scores, std::int64_t* rows) {
  rescore_all<float>(kernels, metric, InPlace(originals), queries, candidates, n_threads, scores,
                     rows);
}

void rescore(const Kernels& kernels, Metric metric, const Segments<Half>& originals,
             Matrix<float> queries, const CandidateRows& candidates, std::size_t n_threads,
             float* scores, std::int64_t* rows) {
  rescore_all<Half>(kernels, metric, InPlace(originals), queries, candidates, n_threads, scores,
                    rows);
}

void rescore(const Kernels& kernels, Metric metric, const IntegerVectors& originals,
             Matrix<float> queries, const CandidateRows& candidates, std::size_t n_threads,
             float* scores, std::int64_t* rows) {
  if (originals.type == IntegerType::kInt8) {
    rescore_all<std::int8_t>(kernels, metric, OnScale(originals), queries, candidates, n_threads,
                             scores, rows);
  } else {
    rescore_all<std::int8_t>(kernels, metric, Unpacked(originals), queries, candidates, n_threads,
                             scores, rows);
  }
}

}  // namespace bitsift
