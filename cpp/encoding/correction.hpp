// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/matrix.hpp"
#include "base/metric.hpp"

namespace bitsift {

// What a product with the signs of a vector y lacks to be one with y: each vector's factor
// |y|^2 / |y|_1 and, where the metric needs it, a term: Gao, Long, "RaBitQ: Quantizing
// High-Dimensional Vectors with a Theoretical Error Bound for Approximate Nearest Neighbor Search"
// (doi:10.1145/3654970). As the upper halves of float32, rounded.
//
// y is a vector relative to `centre`, or, if that is nullptr, the vector itself. Then the factor
// for cosine is divided by |y|; otherwise vectors must have been of length 1. The term is the
// product of vector and centre; for l2 it is |y|.
struct Correction {
  Metric metric;
  const float* centre;

  std::size_t n_columns() const { return metric == Metric::kL2 || centre != nullptr ? 2 : 1; }
};

// Writes n_columns() numbers a row. Returns false if one is beyond float32's range. The same bytes
// everywhere.
bool correction_factors(const Correction& correction, Matrix<float> vectors, std::size_t n_threads,
                        std::uint16_t* out);

}  // namespace bitsift
