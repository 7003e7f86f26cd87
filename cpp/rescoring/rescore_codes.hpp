// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/matrix.hpp"
#include "base/metric.hpp"
#include "kernels/kernels.hpp"
#include "rescoring/candidates.hpp"
#include "search/queries.hpp"

namespace bitsift {

// How the weighted Hamming distance w of a query and a code estimates the metric between the query
// and the original vector. Their product is about
//   e = scale * (sum - 2 w) * f1
// with the scale and sum of the query and the first factor f1 of the vector. Cosine and dot are
// constant + e + f2, l2 is sqrt(constant + f2^2 - 2 e). The second factor f2 is 0 if a vector has
// only one. Factors are bfloat16, the upper halves of float32.
struct Estimate {
  Metric metric;
  Segments<std::uint16_t> factors;  // one or two for each code: see Correction
  const double* scales;             // one for each query, like the next two
  const double* sums;
  const double* constants;
};

// Scores the candidates of each query by their codes and keeps the best k, best first, ties by
// ascending id. Scores are weighted Hamming distances or, with an estimate, estimates of the
// metric. Queries must have magnitudes. Writes n_queries x k; where there are fewer candidates, row
// -1 and the worst score. Throws std::out_of_range if a candidate is not a row.
void rescore_codes(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                   const Queries& queries, const CandidateRows& candidates,
                   const Estimate* estimate, std::size_t n_threads, float* scores,
                   std::int64_t* rows);

}  // namespace bitsift
