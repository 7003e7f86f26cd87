// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/matrix.hpp"

namespace bitsift {

// The transform of vectors before they are packed: y = R (x / |x| - threshold).
struct CentredRotation {
  bool normalize;          // otherwise x is not divided; a zero vector never is
  const float* threshold;  // one for each dimension
  Matrix<float> flips;     // the signs in R, +1 or -1; no rows: no rotation
};

// The rows of flips in one round of a rotation: 1 if n_dims is a power of two, else 2.
std::size_t flips_per_round(std::size_t n_dims);

// Writes the transformed rows. Returns false if a value in them is not finite. The order of
// operations is fixed: the same bytes on every machine.
bool centre_and_rotate(const CentredRotation& rotation, Matrix<float> values, std::size_t n_threads,
                       float* out);

}  // namespace bitsift
