// SPDX-License-Identifier: Apache-2.0
// Level `scalar`: the architecture's floor, no intrinsics; right everywhere before it is fast.
//
// A byte's count is found by adding neighbouring bits, pairs and nibbles inside a 64-bit word (the
// floor of x86-64 has no POPCNT): 10 operations a word. Bottleneck: those operations.

#include "kernels/generic.hpp"

namespace bitsift {
namespace {

// Exact: every binary16 is a binary32.
inline float to_float(Half half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half.bits & 0x8000) << 16;
  const std::uint32_t exponent = (half.bits >> 10) & 0x1F;
  const std::uint32_t fraction = half.bits & 0x3FF;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t biased = exponent == 0x1F ? 0xFF : exponent + (127 - 15);
  const std::uint32_t bits = sign | (biased << 23) | (fraction << 13);
  float result;
  __builtin_memcpy(&result, &bits, 4);
  return result;
}

struct Scalar {
  static constexpr std::size_t kLanes = 1;
  static constexpr std::size_t kTileVectors = 4;
  static constexpr std::size_t kWordsPerFlush = 31;  // 31 * 8 < 256
  static constexpr bool kCarrySave = false;
  using Vector = std::uint64_t;

  static Vector load(const void* p) {
    Vector x;
    __builtin_memcpy(&x, p, 8);
    return x;
  }
  static Vector load_partial(const std::uint8_t* p, std::size_t n_bytes) {
    Vector x = 0;
    for (std::size_t i = 0; i < n_bytes; ++i) x |= static_cast<Vector>(p[i]) << (8 * i);
    return x;
  }
  static Vector broadcast(std::uint64_t x) { return x; }
  static Vector exclusive_or(Vector a, Vector b) { return a ^ b; }
  static Vector bitwise_and(Vector a, Vector b) { return a & b; }
  static Vector bitwise_or(Vector a, Vector b) { return a | b; }
  static Vector count(Vector x) {
    x -= (x >> 1) & 0x5555555555555555;
    x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333);
    return (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0F;
  }
  static Vector add(Vector a, Vector b) { return a + b; }
  static Vector twice_plus(Vector a, Vector b) { return add(add(a, a), b); }
  static Vector lane_sums(Vector bytes) {
    const Vector pairs = (bytes & 0x00FF00FF00FF00FF) + ((bytes >> 8) & 0x00FF00FF00FF00FF);
    return (pairs * 0x0001000100010001) >> 48;
  }
  static Vector add_lanes(Vector a, Vector b) { return a + b; }
  static Vector min_lanes(Vector a, Vector b) {
    return static_cast<std::int64_t>(a) < static_cast<std::int64_t>(b) ? a : b;
  }
  static std::uint32_t negative_lanes(Vector x) { return static_cast<std::uint32_t>(x >> 63); }
  static Vector concealed(Vector x) {
    __asm__ volatile("" : "+r"(x));
    return x;
  }
  static void store_lanes(std::uint64_t* out, Vector x) { *out = x; }
  static Vector row_sums(const Vector* rows) { return *rows; }

  static void transpose(Vector* /*one word*/) {}

  static constexpr std::size_t kQueryVectors = 16;
  static constexpr std::size_t kProductRows = 1;
  static constexpr std::size_t kProductWordsPerFlush = SIZE_MAX;
  using Products = std::int32_t;
  static Products no_products() { return 0; }
  static const std::int8_t* load_queries(const std::int8_t* p, std::size_t v) { return p + 4 * v; }
  static Products add_products(Products sum, const std::uint8_t* four, const std::int8_t* query) {
    for (std::size_t i = 0; i < 4; ++i) sum += four[i] * query[i];
    return sum;
  }
  static Products flush_products(Products total, Products sum) { return total + sum; }
  static void store_products(std::int32_t* out, std::size_t v, Products x) { out[v] = x; }
  static void expand_bits(std::uint64_t word, std::uint8_t* out) { expand_bytes(word, out); }
  static Products concealed(Products x) {
    __asm__ volatile("" : "+r"(x));
    return x;
  }
  static const std::int8_t* concealed(const std::int8_t* x) {
    __asm__ volatile("" : "+r"(x));
    return x;
  }

  static constexpr std::size_t kDoubles = 1;
  static constexpr std::size_t kDotVectors = 1;  // more sums do not fit the registers
  using Doubles = double;
  static Doubles load_doubles(const double* p) { return *p; }
  static Doubles load_doubles(const float* p) { return static_cast<double>(*p); }
  static Doubles load_doubles(const Half* p) { return static_cast<double>(to_float(*p)); }
  static Doubles load_doubles(const std::int8_t* p) { return static_cast<double>(*p); }
  static Doubles subtract(Doubles a, Doubles b) { return a - b; }
  static Doubles multiply(Doubles a, Doubles b) { return a * b; }
  static Doubles add_doubles(Doubles a, Doubles b) { return a + b; }
  static void store(double* p, Doubles x) { *p = x; }

  static float value(float x) { return x; }
  static double value(double x) { return x; }
  static float value(Half x) { return to_float(x); }

  template <class Value, class Threshold>
  static std::uint64_t greater(const Value* values, const Threshold* thresholds, bool* finite) {
    std::uint64_t bits = 0;
    bool all_finite = true;
    for (std::size_t i = 0; i < 64; ++i) {
      const auto x = value(values[i]);
      bits |= static_cast<std::uint64_t>(x > thresholds[i]) << i;
      all_finite &= (x - x == 0);
    }
    *finite &= all_finite;
    return bits;
  }
};

}  // namespace

constinit const Kernels kScalarKernels =
    make_kernels<Scalar>(Isa::kScalar, "scalar", make_popcount_kernel<Scalar>());

}  // namespace bitsift
