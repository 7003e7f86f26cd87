// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/kernels.hpp"
#include "matrix.hpp"

namespace bitsift {

enum class Metric : std::uint8_t { kCosine, kDot, kL2 };

// Scores the candidates of each query against the original vectors and keeps the best k, best
// first: cosine and dot descending, l2 (Euclidean distance) ascending, ties by ascending id.
//
// candidates: n_queries x n_candidates rows of `originals`, -1 for none; every other value must be
// below originals.n_rows. ids == nullptr: a row's number is its id. Writes n_queries x k; where
// there are fewer candidates, row -1 and the worst score.
void rescore(const Kernels& kernels, Metric metric, Matrix<float> originals, Matrix<float> queries,
             Matrix<std::int64_t> candidates, const std::int64_t* ids, std::size_t k,
             std::size_t n_threads, float* scores, std::int64_t* rows);
void rescore(const Kernels& kernels, Metric metric, Matrix<Half> originals, Matrix<float> queries,
             Matrix<std::int64_t> candidates, const std::int64_t* ids, std::size_t k,
             std::size_t n_threads, float* scores, std::int64_t* rows);

}  // namespace bitsift
