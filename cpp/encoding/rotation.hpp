// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/matrix.hpp"

namespace bitsift {

// What is done to vectors before their signs are taken: y = R (x / |x| - centre).
struct CentredRotation {
  bool normalize;       // otherwise x is taken as it is; a zero vector always is
  const float* centre;  // one for each dimension
  Matrix<float> flips;  // of R: rows of +1 and -1; none for no rotation
};

// A rotation has rounds of two flips, or of one where the dimensions are a power of two.
std::size_t flips_per_round(std::size_t n_dims);

// Writes the prepared rows, as float32. Returns false if a value is not finite. In a fixed order of
// operations: the same bytes everywhere.
bool centre_and_rotate(const CentredRotation& preparation, Matrix<float> values,
                       std::size_t n_threads, float* out);

}  // namespace bitsift
