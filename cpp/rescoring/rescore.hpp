// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/matrix.hpp"
#include "base/metric.hpp"
#include "kernels/kernels.hpp"
#include "rescoring/candidates.hpp"

namespace bitsift {

// Bytes of originals that a thread takes at a time.
inline constexpr std::size_t kRescorePieceBytes = 1 << 20;

// Scores the candidates of each query against the original vectors and keeps the best k, best
// first: cosine and dot descending, l2 (Euclidean distance) ascending, ties by ascending id. Writes
// n_queries x k; where there are fewer candidates, row -1 and the worst score. Throws
// std::out_of_range if a candidate is not a row.
void rescore(const Kernels& kernels, Metric metric, const Segments<float>& originals,
             Matrix<float> queries, const CandidateRows& candidates, std::size_t n_threads,
             float* scores, std::int64_t* rows);
void rescore(const Kernels& kernels, Metric metric, const Segments<Half>& originals,
             Matrix<float> queries, const CandidateRows& candidates, std::size_t n_threads,
             float* scores, std::int64_t* rows);
void rescore(const Kernels& kernels, Metric metric, const IntegerVectors& originals,
             Matrix<float> queries, const CandidateRows& candidates, std::size_t n_threads,
             float* scores, std::int64_t* rows);

}  // namespace bitsift
