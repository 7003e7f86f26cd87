// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/matrix.hpp"
#include "base/metric.hpp"

namespace bitsift {

// Factors that turn a product with the signs of a vector y into an estimate of the product with y.
// Gao, Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for
// Approximate Nearest Neighbor Search" (doi:10.1145/3654970). They are rounded to bfloat16, the
// upper half of a float32.
//
// y is a centred vector: x minus `threshold`, or x itself if `threshold` is nullptr. The first
// factor is |y|^2 / |y|_1. The second is |y| for l2, else the product of x and the threshold. For
// cosine without a threshold, the first is divided by |y|; with one, |x| must be 1.
struct Correction {
  Metric metric;
  const float* threshold;

  // n_factors() in python/bitsift/encoding/correction.py has the same rule.
  std::size_t n_columns() const { return metric == Metric::kL2 || threshold != nullptr ? 2 : 1; }
};

// Writes n_columns() factors for each vector, the same bytes on every machine. Returns false if a
// factor exceeds the range of float32.
bool correction_factors(const Correction& correction, Matrix<float> vectors, std::size_t n_threads,
                        std::uint16_t* out);

}  // namespace bitsift
