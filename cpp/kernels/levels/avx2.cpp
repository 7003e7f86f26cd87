// SPDX-License-Identifier: Apache-2.0
// Level `avx2`: AVX2 and F16C (Haswell, Zen and later).
//
// instruction          Haswell   Ice Lake  Zen 3     256 bits of a pair: batch  one query
// VPSHUFB              1c, p5    1c, p15   1c, 2/clk                     2      2
// VPADDB               1c, p15   1c, p015  1c, 4/clk                     2      2
// VPXOR, VPAND         1c, p015  1c, p015  1c, 4/clk                     -      3
// VPSRLW               1c, p0    1c, p01   1c, 2/clk                     -      1
// VPSADBW              5c, p0    3c, p5    3c, 2/clk                     -      1 a row
// VPMADDUBSW + VPADDW  5c, p0    5c, p01   3c, 2/clk   magnitudes only:  8 each
//
// Bottleneck of a batch: VPSHUFB, a look-up of 4 bits for 32 documents. Of one query: memory;
// before that 8 instructions, two look-ups for 256 bits (Mula, Kurz, Lemire, arXiv:1611.07612); with
// magnitudes 9 for each of 5 planes.

#include <immintrin.h>

#include "kernels/generic.hpp"

#if !defined(__AVX2__) || !defined(__F16C__) || defined(__AVX512F__) || defined(__BMI2__)
#error "the flags of this file must be exactly the features that dispatch.cpp tests"
#endif

namespace bitsift {
namespace {

struct Avx2 {
  static constexpr std::size_t kLanes = 4;
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
  static Vector bitwise_and(Vector a, Vector b) { return _mm256_and_si256(a, b); }
  static Vector bitwise_or(Vector a, Vector b) { return _mm256_or_si256(a, b); }
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
  static Vector twice_plus(Vector a, Vector b) { return add(add(a, a), b); }
  // These lanes of x (bit i is lane i), zero in the others.
  template <std::uint32_t kOf>
  static Vector only(Vector x) {
    const auto lane = [](int i) { return (kOf >> i & 1) != 0 ? -1LL : 0LL; };
    return _mm256_and_si256(x, _mm256_setr_epi64x(lane(0), lane(1), lane(2), lane(3)));
  }
  static std::uint32_t negative_lanes(Vector x) {
    return static_cast<std::uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(x)));
  }
  static Vector concealed(Vector x) {
    __asm__ volatile("" : "+x"(x));
    return x;
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

  // Vector i has 4 / kWords rows of kWords words each; lane j of the result is the sum of row j.
  template <std::size_t kWords>
  static Vector short_row_sums(const Vector* v) {
    if constexpr (kWords == 1) return v[0];
    if constexpr (kWords == 2) {
      const Vector sums =
          _mm256_add_epi64(_mm256_unpacklo_epi64(v[0], v[1]), _mm256_unpackhi_epi64(v[0], v[1]));
      return _mm256_permute4x64_epi64(sums, 0b11'01'10'00);
    }
  }
  static Vector load_halves(const std::uint8_t* low, const std::uint8_t* high) {
    return _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(high),
                               reinterpret_cast<const __m128i*>(low));
  }
  // Two matrices of 16 x 16 bytes, one in the lower and one in the upper halves. Interleaving row i
  // with row i + 8, four times, turns them over.
  static void transpose_bytes(Vector* rows) {
    for (int round = 0; round < 4; ++round) {
      Vector next[16];
      for (int i = 0; i < 8; ++i) {
        next[2 * i] = _mm256_unpacklo_epi8(rows[i], rows[i + 8]);
        next[2 * i + 1] = _mm256_unpackhi_epi8(rows[i], rows[i + 8]);
      }
      for (int i = 0; i < 16; ++i) rows[i] = next[i];
    }
  }
  static void store_nibbles(std::uint8_t* high, std::uint8_t* low, Vector bytes) {
    const Vector low_nibbles = _mm256_set1_epi8(0x0F);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(high),
                        _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low_nibbles));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), _mm256_and_si256(bytes, low_nibbles));
  }
  static Vector load_table(const std::uint8_t* p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Vector look_up(Vector table, Vector nibbles) {
    return _mm256_shuffle_epi8(table, nibbles);
  }
  static void add_widened(Vector bytes, Vector* totals) {
    const Vector zero = _mm256_setzero_si256();
    totals[0] = _mm256_add_epi16(totals[0], _mm256_unpacklo_epi8(bytes, zero));
    totals[1] = _mm256_add_epi16(totals[1], _mm256_unpackhi_epi8(bytes, zero));
  }
  static Vector broadcast16(std::uint16_t x) { return _mm256_set1_epi16(static_cast<short>(x)); }
  static Vector max16(Vector a, Vector b) { return _mm256_max_epu16(a, b); }
  // By how much `distances` are below `bounds`, at least 0.
  static Vector room16(Vector bounds, Vector distances) {
    return _mm256_subs_epu16(bounds, distances);
  }
  static bool is_zero(Vector x) { return _mm256_testz_si256(x, x) != 0; }

  static constexpr std::size_t kQueryVectors = 2;
  static constexpr std::size_t kProductRows = 4;
  static constexpr std::size_t kProductWordsPerFlush = 8;  // 8 * 16 * 2 * 127 < 2^15
  using Products = __m256i;
  static Products no_products() { return _mm256_setzero_si256(); }
  static Products load_queries(const std::int8_t* p, std::size_t v) { return load(p + 32 * v); }
  static Products add_products(Products sums, const std::uint8_t* four, Products queries) {
    std::int32_t document;
    __builtin_memcpy(&document, four, 4);
    return _mm256_add_epi16(sums, _mm256_maddubs_epi16(_mm256_set1_epi32(document), queries));
  }
  static Products flush_products(Products totals, Products sums) {
    return _mm256_add_epi32(totals, _mm256_madd_epi16(sums, _mm256_set1_epi16(1)));
  }
  static void store_products(std::int32_t* out, std::size_t v, Products x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 8 * v), x);
  }
  static void expand_bits(std::uint64_t word, std::uint8_t* out) {
    const Vector byte_of =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const Vector bit_of = broadcast(0x8040201008040201);
    for (int half = 0; half < 2; ++half, word >>= 32) {
      const Vector bytes =
          _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(word & 0xFFFFFFFF)), byte_of);
      const Vector is_set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit_of), bit_of);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 32 * half),
                          _mm256_and_si256(is_set, _mm256_set1_epi8(1)));
    }
  }

  static constexpr std::size_t kDoubles = 4;
  static constexpr std::size_t kDotVectors = 1;  // more sums do not fit the registers
  using Doubles = __m256d;
  static Doubles load_doubles(const double* p) { return _mm256_loadu_pd(p); }
  static Doubles load_doubles(const float* p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
  static Doubles load_doubles(const Half* p) {
    return _mm256_cvtps_pd(_mm_cvtph_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static Doubles load_doubles(const std::int8_t* p) {
    std::int32_t four;
    __builtin_memcpy(&four, p, 4);
    return _mm256_cvtepi32_pd(_mm_cvtepi8_epi32(_mm_cvtsi32_si128(four)));
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

constinit const Kernels kAvx2Kernels =
    make_kernels<Avx2>(Isa::kAvx2, "avx2", make_lookup_kernel<Avx2>());

}  // namespace bitsift
