// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/matrix.hpp"
#include "base/metric.hpp"
#include "kernels/kernels.hpp"
#include "rescoring/candidates.hpp"
#include "search/queries.hpp"

namespace bitsift {

// How the weighted Hamming distance w of a query and a code estimates the metric between the query
// and the vector that was coded. The product with a document is about
//   e = scale * (sum - 2 w) * factor,
// of its own factor; cosine and dot are constant + e + term, and l2 is
// sqrt(constant + term^2 - 2 e). Factors and terms are the upper halves of float32 (bfloat16).
struct Estimate {
  Metric metric;
  Matrix<std::uint16_t> factors;  // a factor and, if there is a second column, a term for each code
  const double* scales;           // these for each query
  const double* sums;
  const double* constants;
};

// Orders the candidates of each query by their codes: by (weighted Hamming distance, id) and then
// `scores` are the distances, or, with an estimate, by what it estimates. Queries are weighted.
// Writes n_queries x k; where there are fewer candidates, row -1 and the worst score.
void rescore_codes(const Kernels& kernels, Matrix<std::uint8_t> codes, const Queries& queries,
                   const CandidateRows& candidates, const Estimate* estimate, std::size_t n_threads,
                   float* scores, std::int64_t* rows);

}  // namespace bitsift
