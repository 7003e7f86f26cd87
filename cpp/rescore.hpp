// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "integers.hpp"
#include "kernels/kernels.hpp"
#include "matrix.hpp"
#include "metric.hpp"

namespace bitsift {

// Original vectors as integers of `type`, dim of them a row.
struct IntegerVectors {
  Matrix<std::uint8_t> rows;
  IntegerType type;
  std::size_t dim;
  Scale scale;
};

// What is rescored: n_queries x n_candidates rows of the originals, -1 for none; every other value
// must be below their number. The best k are kept. ids == nullptr: a row's number is its id.
struct CandidateRows {
  Matrix<std::int64_t> rows;
  const std::int64_t* ids;
  std::size_t k;
};

// Scores the candidates of each query against the original vectors and keeps the best k, best
// first: cosine and dot descending, l2 (Euclidean distance) ascending, ties by ascending id. Writes
// n_queries x k; where there are fewer candidates, row -1 and the worst score.
void rescore(const Kernels& kernels, Metric metric, Matrix<float> originals, Matrix<float> queries,
             const CandidateRows& candidates, std::size_t n_threads, float* scores,
             std::int64_t* rows);
void rescore(const Kernels& kernels, Metric metric, Matrix<Half> originals, Matrix<float> queries,
             const CandidateRows& candidates, std::size_t n_threads, float* scores,
             std::int64_t* rows);
void rescore(const Kernels& kernels, Metric metric, const IntegerVectors& originals,
             Matrix<float> queries, const CandidateRows& candidates, std::size_t n_threads,
             float* scores, std::int64_t* rows);

}  // namespace bitsift
