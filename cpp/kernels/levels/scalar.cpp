// SPDX-License-Identifier: Apache-2.0
// Level `scalar`: the architecture's floor, no intrinsics; right everywhere before it is fast.
//
// operation         bytes  Zen 3            768 bits of a pair: one query  batch
// AND, OR, XOR        8    1c, 4/clk                            50         -
// shift, add          8    1c, 4/clk                            80         -
// AND, OR, XOR       16    1c, 4/clk                            -          20: 4 full adders
// load               16    2/clk                                -          4
//                                         with magnitudes:
// all of the above    8    1c, 4/clk                            650        -
// load, load, add     1, 16, 16: 3, 2, 4/clk                    -          12 each
//
// A byte's count is found by adding neighbouring bits, pairs and nibbles inside a 64-bit word (the
// floor of x86-64 has no POPCNT): 10 operations a word. A batch instead adds one bit of 128
// documents at once: a full adder, 5 operations, for two of three bits. Bottleneck: these
// operations, on vectors of 16 bytes where the architecture has them. With magnitudes a batch
// loads the distances of 4 bits of a document to 16 queries; bottleneck: loads.

#include "kernels/generic.hpp"

namespace bitsift {
namespace {

struct Scalar {
  using Crc = CrcByTables<Scalar>;
  static constexpr std::size_t kLanes = 1;
  static constexpr std::size_t kWordsPerFlush = 31;  // 31 * 8 < 256
  static constexpr bool kMasksBytes = false;
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
  static std::uint32_t negative_lanes(Vector x) { return static_cast<std::uint32_t>(x >> 63); }
  static Vector concealed(Vector x) {
    __asm__ volatile("" : "+r"(x));
    return x;
  }
  static void store_lanes(std::uint64_t* out, Vector x) { *out = x; }
  static Vector row_sums(const Vector* rows) { return *rows; }

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
  static constexpr bool kFusesProducts = false;
  static Doubles add_exact_product(Doubles sum, Doubles a, Doubles b) { return sum + a * b; }
  static double sum_lanes(Doubles x) { return x; }

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

// Two words: a vector of 16 bytes where the architecture's floor has them, else a pair of words.
struct ScalarSlices {
  static constexpr std::size_t kLanes = 2;
  using Vector [[gnu::vector_size(16)]] = std::uint64_t;

  static Vector load(const void* p) {
    Vector x;
    __builtin_memcpy(&x, p, 16);
    return x;
  }
  static void store_lanes(std::uint64_t* out, Vector x) { __builtin_memcpy(out, &x, 16); }
  static Vector broadcast(std::uint64_t x) { return Vector{x, x}; }
  static Vector exclusive_or(Vector a, Vector b) { return a ^ b; }
  static Vector bitwise_and(Vector a, Vector b) { return a & b; }
  static Vector bitwise_or(Vector a, Vector b) { return a | b; }
  // A full adder: adds x and y to `sum`, and returns what is carried.
  static Vector add_bits(Vector& sum, Vector x, Vector y) {
    const Vector either = sum ^ x;
    const Vector carry = (sum & x) | (either & y);
    sum = either ^ y;
    return carry;
  }
  static Vector concealed(Vector x) {
#if defined(__SSE2__)
    __asm__ volatile("" : "+x"(x));
#elif defined(__aarch64__)
    __asm__ volatile("" : "+w"(x));
#else
    __asm__ volatile("" : "+m"(x));
#endif
    return x;
  }
};

// The same as 16 bytes or 8 sums of them.
struct ScalarBytes : ScalarSlices {
  using Sums [[gnu::vector_size(16)]] = std::uint16_t;

  static Sums sums(Vector x) { return reinterpret_cast<Sums>(x); }
  static Vector vector(Sums x) { return reinterpret_cast<Vector>(x); }
  // No sum carries into its neighbour.
  static Vector add_bytes(Vector a, Vector b) { return a + b; }
  // Sums of even bytes, as 16 bits; 256 times those of the odd ones are in them, modulo 2^16.
  static Vector add_even(Vector even, Vector bytes) { return vector(sums(even) + sums(bytes)); }
  static Vector add_odd(Vector odd, Vector bytes) { return vector(sums(odd) + (sums(bytes) >> 8)); }
  static Vector even_sums(Vector even, Vector odd) { return vector(sums(even) - (sums(odd) << 8)); }
  static Vector broadcast16(std::uint16_t x) { return vector(Sums{} + x); }
  static Vector max16(Vector a, Vector b) { return vector(sums(a) < sums(b) ? sums(b) : sums(a)); }
  // By how much `distances` are below `bounds`, at least 0.
  static Vector room16(Vector bounds, Vector distances) {
    return vector(sums(bounds) > sums(distances) ? sums(bounds) - sums(distances) : Sums{});
  }
  static bool is_zero(Vector x) { return (x[0] | x[1]) == 0; }
};

}  // namespace

constinit const Kernels kScalarKernels = make_kernels<Scalar>(
    Isa::kScalar, "scalar", make_sliced_kernel<ScalarSlices>(), make_loaded_kernel<ScalarBytes>());

}  // namespace bitsift
