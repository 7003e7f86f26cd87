// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/matrix.hpp"

namespace bitsift {

// Queries rounded to scale * magnitude * sign, with magnitudes 0 to 31, for asymmetric scoring.
// For n queries of d values: codes n x ceil(d / 8), magnitudes n x 8 ceil(d / 8), all others n.
struct RoundedQueries {
  std::uint8_t* codes;  // a bit is set where a value is positive
  std::uint8_t* magnitudes;
  double* scales;
  double* norms;     // Euclidean, before rounding
  double* sums;      // of the magnitudes
  double* products;  // with the threshold, before rounding
};

// `threshold` has a value for each dimension. Values must be finite for the numbers to mean
// something; the magnitude of NaN is 0, as is that of infinity. Writes the same bytes on every
// machine.
void round_queries(Matrix<double> values, const float* threshold, std::size_t n_threads,
                   const RoundedQueries& out);

}  // namespace bitsift
