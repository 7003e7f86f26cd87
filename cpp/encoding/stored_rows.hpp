// SPDX-License-Identifier: Apache-2.0
// What must hold of rows that come from a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/matrix.hpp"
#include "kernels/kernels.hpp"

namespace bitsift {

// The first row that has a value which is infinite or NaN.
std::optional<std::size_t> first_not_finite(Matrix<float> rows, std::size_t n_threads);
std::optional<std::size_t> first_not_finite(Matrix<double> rows, std::size_t n_threads);
std::optional<std::size_t> first_not_finite(Matrix<Half> rows, std::size_t n_threads);

// The first code of which a bit of `mask`, in the last byte, is set.
std::optional<std::size_t> first_with_pad_bits(Matrix<std::uint8_t> codes, std::uint8_t mask,
                                               std::size_t n_threads);

}  // namespace bitsift
