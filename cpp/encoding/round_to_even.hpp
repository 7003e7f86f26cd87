// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace bitsift {

// Rounds to even, for |x| < 2^51, in two operations that every instruction set has for vectors:
// beyond 2^52 the step of a double is 1.
inline double round_to_even(double x) {
  constexpr double kLarge = 0x1.8p52;
  return (x + kLarge) - kLarge;
}

}  // namespace bitsift
