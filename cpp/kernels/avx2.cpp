// SPDX-License-Identifier: Apache-2.0
// Level `avx2`: AVX2 and F16C (Haswell, Zen and later).
//
// instruction          Haswell   Zen 3       per 256 bits of a pair
// VPXOR, VPAND, VPADDB 1c, p015  1c, 4/clk   5
// VPSRLW               1c, p0    1c, 2/clk   1
// VPSHUFB              1c, p5    1c, 2/clk   2
// VPSADBW              5c, p0    3c, 2/clk   1/31: bytes are summed up first
//
// Bottleneck: VPSHUFB, two nibble look-ups for 256 bits (Mula, Kurz, Lemire, arXiv:1611.07612).

#include <immintrin.h>

#include "kernels/generic.hpp"

#if !defined(__AVX2__) || !defined(__F16C__) || defined(__AVX512F__) || defined(__BMI2__)
#error "the flags of this file must be exactly the features that dispatch.cpp tests"
#endif

namespace bitsift {
namespace {

struct Avx2 {
  static constexpr std::size_t kLanes = 4;
  static constexpr std::size_t kTileVectors = 2;
  static constexpr std::size_t kWordsPerFlush = 31;  // 31 * 8 < 256
  using Vector = __m256i;

  static Vector load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  // Whole words by a masked load, which does not touch what it does not load; then single bytes.
  static Vector load_partial(const std::uint8_t* p, std::size_t n_bytes) {
    const auto n_words = static_cast<long long>(n_bytes / 8);
    const Vector lane = _mm256_setr_epi64x(0, 1, 2, 3);
    Vector x = _mm256_maskload_epi64(reinterpret_cast<const long long*>(p),
                                     _mm256_cmpgt_epi64(_mm256_set1_epi64x(n_words), lane));
    if (n_bytes % 8 != 0) {
      std::uint64_t last = 0;
      for (std::size_t i = n_bytes / 8 * 8; i < n_bytes; ++i) {
        last |= static_cast<std::uint64_t>(p[i]) << (8 * (i % 8));
      }
      const Vector is_last = _mm256_cmpeq_epi64(_mm256_set1_epi64x(n_words), lane);
      x = _mm256_or_si256(x, _mm256_and_si256(is_last, broadcast(last)));
    }
    return x;
  }
  static Vector broadcast(std::uint64_t x) { return _mm256_set1_epi64x(static_cast<long long>(x)); }
  static Vector exclusive_or(Vector a, Vector b) { return _mm256_xor_si256(a, b); }
  static Vector count(Vector x) {
    const Vector nibble_counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0,
                                                  1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const Vector low_nibbles = _mm256_set1_epi8(0x0F);
    const Vector low = _mm256_and_si256(x, low_nibbles);
    const Vector high = _mm256_and_si256(_mm256_srli_epi16(x, 4), low_nibbles);
    return _mm256_add_epi8(_mm256_shuffle_epi8(nibble_counts, low),
                           _mm256_shuffle_epi8(nibble_counts, high));
  }
  static Vector add(Vector a, Vector b) { return _mm256_add_epi8(a, b); }
  static Vector lane_sums(Vector bytes) { return _mm256_sad_epu8(bytes, _mm256_setzero_si256()); }
  static Vector add_lanes(Vector a, Vector b) { return _mm256_add_epi64(a, b); }
  static std::uint32_t at_most(Vector sums, Vector limit) {
    const Vector beyond = _mm256_cmpgt_epi64(sums, limit);
    return ~static_cast<std::uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(beyond))) & 0xF;
  }
  static void store_lanes(std::uint64_t* out, Vector x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), x);
  }
  // Lane i of the result is the sum of the lanes of rows[i].
  static Vector row_sums(const Vector* rows) {
    const auto pairs = [](Vector a, Vector b) {
      return _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    };
    const Vector rows_01 = pairs(rows[0], rows[1]);
    const Vector rows_23 = pairs(rows[2], rows[3]);
    return _mm256_add_epi64(_mm256_permute2x128_si256(rows_01, rows_23, 0x20),
                            _mm256_permute2x128_si256(rows_01, rows_23, 0x31));
  }

  static constexpr std::size_t kDoubles = 4;
  using Doubles = __m256d;
  static Doubles load_doubles(const double* p) { return _mm256_loadu_pd(p); }
  static Doubles load_doubles(const float* p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
  static Doubles load_doubles(const Half* p) {
    return _mm256_cvtps_pd(_mm_cvtph_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static Doubles subtract(Doubles a, Doubles b) { return _mm256_sub_pd(a, b); }
  static Doubles multiply(Doubles a, Doubles b) { return _mm256_mul_pd(a, b); }
  static Doubles add_doubles(Doubles a, Doubles b) { return _mm256_add_pd(a, b); }
  static void store(double* p, Doubles x) { _mm256_storeu_pd(p, x); }

  static __m256 load_floats(const float* p) { return _mm256_loadu_ps(p); }
  static __m256 load_floats(const Half* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  template <class Value>
  static std::uint64_t greater(const Value* values, const float* thresholds, bool* finite) {
    std::uint64_t bits = 0;
    __m256 not_finite = _mm256_setzero_ps();
    for (std::size_t i = 0; i < 64; i += 8) {
      const __m256 x = load_floats(values + i);
      const __m256 above = _mm256_cmp_ps(x, load_floats(thresholds + i), _CMP_GT_OQ);
      bits |= static_cast<std::uint64_t>(static_cast<unsigned>(_mm256_movemask_ps(above))) << i;
      // inf - inf and NaN - NaN are not equal to themselves.
      const __m256 zero = _mm256_sub_ps(x, x);
      not_finite = _mm256_or_ps(not_finite, _mm256_cmp_ps(zero, zero, _CMP_UNORD_Q));
    }
    *finite &= _mm256_movemask_ps(not_finite) == 0;
    return bits;
  }
  static std::uint64_t greater(const double* values, const double* thresholds, bool* finite) {
    std::uint64_t bits = 0;
    __m256d not_finite = _mm256_setzero_pd();
    for (std::size_t i = 0; i < 64; i += 4) {
      const __m256d x = _mm256_loadu_pd(values + i);
      const __m256d above = _mm256_cmp_pd(x, _mm256_loadu_pd(thresholds + i), _CMP_GT_OQ);
      bits |= static_cast<std::uint64_t>(static_cast<unsigned>(_mm256_movemask_pd(above))) << i;
      const __m256d zero = _mm256_sub_pd(x, x);
      not_finite = _mm256_or_pd(not_finite, _mm256_cmp_pd(zero, zero, _CMP_UNORD_Q));
    }
    *finite &= _mm256_movemask_pd(not_finite) == 0;
    return bits;
  }
};

}  // namespace

constinit const Kernels kAvx2Kernels = make_kernels<Avx2>(Isa::kAvx2, "avx2");

}  // namespace bitsift
