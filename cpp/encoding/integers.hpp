// SPDX-License-Identifier: Apache-2.0
// Vectors as small integers, one or several to a byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/matrix.hpp"

namespace bitsift {

enum class IntegerType : std::uint8_t {
  kInt8,
  kUint8,    // integer + 128
  kInt4,     // two to a byte, the first in the high half; -8 to 7
  kTernary,  // five to a byte: digits integer + 1 of a number in base 3, the first one highest
};

constexpr std::size_t integers_per_byte(IntegerType type) {
  return type == IntegerType::kInt4 ? 2 : type == IntegerType::kTernary ? 5 : 1;
}

constexpr std::size_t bytes_for(IntegerType type, std::size_t n) {
  return (n + integers_per_byte(type) - 1) / integers_per_byte(type);
}

// Unpacks n integers from bytes_for(type, n) bytes. `out` has room for all integers of these bytes
// and for 8 more.
void unpack_integers(IntegerType type, const std::uint8_t* bytes, std::size_t n,
                     std::int8_t* out) noexcept;

// Quantizes values by the bounds of their dimension: 256 or 16 steps from the lower to the upper
// bound, rounded to even and clipped; ternary: -1 below the bounds, 0 within, 1 above. Upper bounds
// must exceed lower ones. NaN becomes the lowest integer; ternary: 0. Writes rows of
// bytes_for(type, values.n_columns) bytes; integers that pad the last byte are 0.
void encode_integers(IntegerType type, Matrix<float> values, const float* lower, const float* upper,
                     std::size_t n_threads, std::uint8_t* out);
void encode_integers(IntegerType type, Matrix<double> values, const float* lower,
                     const float* upper, std::size_t n_threads, std::uint8_t* out);

}  // namespace bitsift
