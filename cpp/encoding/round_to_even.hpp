// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace bitsift {

// Rounds to an integer, ties to even, for |x| < 2^51. Two additions, which compilers vectorise on
// every instruction set: from 2^52 on, neighbouring doubles differ by 1.
inline double round_to_even(double x) {
  constexpr double kLarge = 0x1.8p52;
  return (x + kLarge) - kLarge;
}

}  // namespace bitsift
