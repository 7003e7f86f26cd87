// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/matrix.hpp"
#include "base/metric.hpp"

namespace bitsift {

// Numbers that turn a product with the signs of a vector y into an estimate of the product with y:
// a factor |y|^2 / |y|_1 for each vector and, where the metric needs it, a term. Gao, Long,
// "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for Approximate
// Nearest Neighbor Search" (doi:10.1145/3654970). Both are rounded to bfloat16, the upper half of a
// float32.
//
// y is a vector minus `centre`, or the vector itself if `centre` is nullptr. Without a centre, the
// factor for cosine is divided by |y|. With one, vectors must have had length 1 before it was
// subtracted. The term is the product of the vector and the centre; for l2 it is |y|.
struct Correction {
  Metric metric;
  const float* centre;

  std::size_t n_columns() const { return metric == Metric::kL2 || centre != nullptr ? 2 : 1; }
};

// Writes n_columns() numbers for each vector, the same bytes on every machine. Returns false if a
// number exceeds the range of float32.
bool correction_factors(const Correction& correction, Matrix<float> vectors, std::size_t n_threads,
                        std::uint16_t* out);

}  // namespace bitsift
