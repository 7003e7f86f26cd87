// SPDX-License-Identifier: Apache-2.0
// The floating-point environment of the calling thread: how it rounds, whether it takes subnormal
// numbers for zero, and what it traps. Other libraries change it, some by merely being loaded;
// scores are the same bits because all arithmetic of the core runs in the default one.
#pragma once

#include <cstdint>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <cfenv>
#endif

namespace bitsift {

// The control and the sticky flags. The statements are volatile and clobber memory: what is
// computed from memory, into memory, stays on its side of them.
using FloatState = std::uint64_t;

#if defined(__x86_64__)

// MXCSR: round to nearest, keep subnormals, mask all exceptions, no flag raised.
inline constexpr FloatState kDefaultFloatState = 0x1F80;

inline FloatState float_state() noexcept {
  std::uint32_t mxcsr;
  __asm__ volatile("stmxcsr %0" : "=m"(mxcsr) : : "memory");
  return mxcsr;
}

inline void set_float_state(FloatState state) noexcept {
  const auto mxcsr = static_cast<std::uint32_t>(state & 0xFFFF);  // setting other bits faults
  __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr) : "memory");
}

#elif defined(__aarch64__)

// FPCR in the lower half and FPSR, the flags, in the upper one: all zeros by default.
inline constexpr FloatState kDefaultFloatState = 0;

inline FloatState float_state() noexcept {
  std::uint64_t control;
  std::uint64_t flags;
  __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(control), "=r"(flags) : : "memory");
  return (flags << 32) | (control & 0xFFFFFFFF);
}

inline void set_float_state(FloatState state) noexcept {
  const std::uint64_t control = state & 0xFFFFFFFF;
  const std::uint64_t flags = state >> 32;
  __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(control), "r"(flags) : "memory");
}

#else

// The rounding mode: all that C++ can name.
inline constexpr FloatState kDefaultFloatState = FE_TONEAREST;

inline FloatState float_state() noexcept { return static_cast<FloatState>(std::fegetround()); }

inline void set_float_state(FloatState state) noexcept { std::fesetround(static_cast<int>(state)); }

#endif

// The default environment for the life of this object; then what it found, flags included.
class DefaultFloats {
 public:
  DefaultFloats() noexcept : found_(float_state()) { set_float_state(kDefaultFloatState); }
  ~DefaultFloats() { set_float_state(found_); }
  DefaultFloats(const DefaultFloats&) = delete;
  DefaultFloats& operator=(const DefaultFloats&) = delete;

 private:
  FloatState found_;
};

}  // namespace bitsift
