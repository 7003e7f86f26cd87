// SPDX-License-Identifier: Apache-2.0
// Level `avx512`: AVX-512 F, BW, DQ, VL and VPOPCNTDQ, and F16C (Ice Lake, Zen 4 and later).
//
// instruction     Golden Cove  Zen 4     Zen 5     per 512 bits of a pair
// VPXORQ          1c, p05      1c, 2/clk 1c, 4/clk 1
// VPOPCNTQ        3c, p5       2c, 1/clk 2c, 2/clk 1
// VPADDQ          1c, p05      1c, 2/clk 1c, 4/clk 1
//
// Bottleneck: 3 instructions on 2 ports, 341 bits a cycle on Golden Cove; VPOPCNTQ on Zen.

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own intrinsics read registers that they leave undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "kernels/generic.hpp"

#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512DQ__) ||     \
    !defined(__AVX512VL__) || !defined(__AVX512VPOPCNTDQ__) || !defined(__F16C__) || \
    defined(__AVX512VNNI__) || defined(__BMI2__)
#error "the flags of this file must be exactly the features that dispatch.cpp tests"
#endif

namespace bitsift {
namespace {

struct Avx512 {
  static constexpr std::size_t kLanes = 8;
  static constexpr std::size_t kTileVectors = 2;
  static constexpr std::size_t kWordsPerFlush = SIZE_MAX;  // 64-bit counts do not overflow
  using Vector = __m512i;

  static Vector load(const void* p) { return _mm512_loadu_si512(p); }
  static Vector load_partial(const std::uint8_t* p, std::size_t n_bytes) {
    return _mm512_maskz_loadu_epi8((__mmask64{1} << n_bytes) - 1, p);
  }
  static Vector broadcast(std::uint64_t x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
  static Vector exclusive_or(Vector a, Vector b) { return _mm512_xor_si512(a, b); }
  static Vector count(Vector x) { return _mm512_popcnt_epi64(x); }
  static Vector add(Vector a, Vector b) { return _mm512_add_epi64(a, b); }
  static Vector lane_sums(Vector words) { return words; }
  static Vector add_lanes(Vector a, Vector b) { return _mm512_add_epi64(a, b); }
  static std::uint32_t at_most(Vector sums, Vector limit) {
    return _mm512_cmple_epi64_mask(sums, limit);
  }
  static void store_lanes(std::uint64_t* out, Vector x) { _mm512_storeu_si512(out, x); }
  // Lane i of the result is the sum of the lanes of rows[i].
  static Vector row_sums(const Vector* rows) {
    const auto pairs = [](Vector a, Vector b) {
      return _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    };
    const auto quarters = [](Vector a, Vector b) {
      return _mm512_add_epi64(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xDD));
    };
    return quarters(quarters(pairs(rows[0], rows[1]), pairs(rows[2], rows[3])),
                    quarters(pairs(rows[4], rows[5]), pairs(rows[6], rows[7])));
  }

  static constexpr std::size_t kDoubles = 8;
  using Doubles = __m512d;
  static Doubles load_doubles(const double* p) { return _mm512_loadu_pd(p); }
  static Doubles load_doubles(const float* p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
  static Doubles load_doubles(const Half* p) {
    return _mm512_cvtps_pd(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static Doubles subtract(Doubles a, Doubles b) { return _mm512_sub_pd(a, b); }
  static Doubles multiply(Doubles a, Doubles b) { return _mm512_mul_pd(a, b); }
  static Doubles add_doubles(Doubles a, Doubles b) { return _mm512_add_pd(a, b); }
  static void store(double* p, Doubles x) { _mm512_storeu_pd(p, x); }

  static constexpr int kNotFinite =
      0x99;  // VFPCLASS: quiet NaN, +infinity, -infinity, signalling NaN
  static __m512 load_floats(const float* p) { return _mm512_loadu_ps(p); }
  static __m512 load_floats(const Half* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  template <class Value>
  static std::uint64_t greater(const Value* values, const float* thresholds, bool* finite) {
    std::uint64_t bits = 0;
    unsigned not_finite = 0;
    for (std::size_t i = 0; i < 64; i += 16) {
      const __m512 x = load_floats(values + i);
      const std::uint64_t above = _mm512_cmp_ps_mask(x, load_floats(thresholds + i), _CMP_GT_OQ);
      bits |= above << i;
      not_finite |= _mm512_fpclass_ps_mask(x, kNotFinite);
    }
    *finite &= not_finite == 0;
    return bits;
  }
  static std::uint64_t greater(const double* values, const double* thresholds, bool* finite) {
    std::uint64_t bits = 0;
    unsigned not_finite = 0;
    for (std::size_t i = 0; i < 64; i += 8) {
      const __m512d x = _mm512_loadu_pd(values + i);
      const std::uint64_t above =
          _mm512_cmp_pd_mask(x, _mm512_loadu_pd(thresholds + i), _CMP_GT_OQ);
      bits |= above << i;
      not_finite |= _mm512_fpclass_pd_mask(x, kNotFinite);
    }
    *finite &= not_finite == 0;
    return bits;
  }
};

}  // namespace

constinit const Kernels kAvx512Kernels = make_kernels<Avx512>(Isa::kAvx512, "avx512");

}  // namespace bitsift
