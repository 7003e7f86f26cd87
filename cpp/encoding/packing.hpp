// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/matrix.hpp"
#include "kernels/kernels.hpp"

namespace bitsift {

// codes[i] = bits of values.row(i) > thresholds, MSB first. One threshold for each column. `codes`
// is C-contiguous, ceil(n_columns / 8) bytes a row. Returns false if a value is infinite or NaN.
bool pack(const Kernels& kernels, Matrix<float> values, const float* thresholds,
          std::size_t n_threads, std::uint8_t* codes);
bool pack(const Kernels& kernels, Matrix<Half> values, const float* thresholds,
          std::size_t n_threads, std::uint8_t* codes);
bool pack(const Kernels& kernels, Matrix<double> values, const double* thresholds,
          std::size_t n_threads, std::uint8_t* codes);
// A bit is set where a value is not zero.
void pack(const Kernels& kernels, Matrix<std::uint8_t> values, std::size_t n_threads,
          std::uint8_t* codes);

}  // namespace bitsift
