// SPDX-License-Identifier: Apache-2.0
// Packing: floats to bits.
#pragma once

#include "kernels/kernels.hpp"

namespace bitsift {

// numpy.packbits puts the first value into the highest bit of a byte; comparisons put it lowest.
static inline std::uint64_t reverse_bits_of_bytes(std::uint64_t x) {
  x = ((x >> 1) & 0x5555555555555555) | ((x & 0x5555555555555555) << 1);
  x = ((x >> 2) & 0x3333333333333333) | ((x & 0x3333333333333333) << 2);
  return ((x >> 4) & 0x0F0F0F0F0F0F0F0F) | ((x & 0x0F0F0F0F0F0F0F0F) << 4);
}

template <class Simd, class Value, class Threshold>
bool pack(const Value* values, const Threshold* thresholds, std::size_t n_values,
          std::uint8_t* out) noexcept {
  bool finite = true;
  std::size_t i = 0;
  for (; i + 64 <= n_values; i += 64) {
    const std::uint64_t bits =
        reverse_bits_of_bytes(Simd::greater(values + i, thresholds + i, &finite));
    __builtin_memcpy(out + i / 8, &bits, 8);
  }
  if (const std::size_t n_left = n_values - i) {
    // 0 > 0 is false: the pad bits come out zero.
    Value last_values[64] = {};
    Threshold last_thresholds[64] = {};
    for (std::size_t j = 0; j < n_left; ++j) {
      last_values[j] = values[i + j];
      last_thresholds[j] = thresholds[i + j];
    }
    std::uint64_t bits =
        reverse_bits_of_bytes(Simd::greater(last_values, last_thresholds, &finite));
    for (std::size_t j = 0; j < n_left; j += 8, bits >>= 8) {
      out[(i + j) / 8] = static_cast<std::uint8_t>(bits);
    }
  }
  return finite;
}

// Eight bools at a time: (x | x + 0x7f..) has a byte's highest bit set where it is not zero, and
// the multiplication gathers the eight highest bits into one byte, first value first.
template <class Simd>
void pack_bool(const std::uint8_t* values, std::size_t n_values, std::uint8_t* out) noexcept {
  constexpr std::uint64_t kLow7 = 0x7F7F7F7F7F7F7F7F;
  for (std::size_t i = 0; i < n_values; i += 8) {
    std::uint64_t x = 0;
    if (i + 8 <= n_values) {
      __builtin_memcpy(&x, values + i, 8);
    } else {
      for (std::size_t j = 0; i + j < n_values; ++j) {
        x |= static_cast<std::uint64_t>(values[i + j]) << (8 * j);
      }
    }
    const std::uint64_t ones = ((((x & kLow7) + kLow7) | x) & ~kLow7) >> 7;
    out[i / 8] = static_cast<std::uint8_t>((ones * 0x8040201008040201) >> 56);
  }
}

}  // namespace bitsift
