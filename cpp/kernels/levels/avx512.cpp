// SPDX-License-Identifier: Apache-2.0
// Level `avx512`: AVX-512 F, BW, DQ, VL, VPOPCNTDQ, VBMI and VNNI, and F16C (Ice Lake, Zen 4 and
// later). Every processor with VPOPCNTDQ and BW has VBMI and VNNI: Intel's since Ice Lake and AMD's
// since Zen 4 have all four, and Knights Mill, the only other one with VPOPCNTDQ, has none of them.
//
// instruction     Golden Cove  Zen 4     Zen 5     per 512 bits of a pair
// VPXORQ          1c, p05      1c, 2/clk 1c, 4/clk 1
// VPTERNLOGQ      1c, p05      1c, 2/clk 1c, 4/clk 1/3: the carry of three words
// VPOPCNTQ        3c, p5       2c, 1/clk 2c, 2/clk 2/3
// VPADDQ          1c, p05      1c, 2/clk 1c, 4/clk 2/3
//                                                  magnitudes: 512 bits of a pair, runs of r digits
// VPERMB          3c, p5       1/clk     2/clk     4/3: 6 bits of 64 documents each
// VPADDB          1c, p05      2/clk     4/clk     4/3 (1 - 1/r)
// VPADDW          1c, p05      2/clk     4/clk     8/3r: widening
// VPSRLW          1c, p0       1/clk     2/clk     4/3r: widening
//                                                  magnitudes, one query: 512 bits, 5 planes
// VPANDQ          1c, p05      1c, 2/clk 1c, 4/clk 5
// VPOPCNTQ        3c, p5       2c, 1/clk 2c, 2/clk 5
// VPDPWSSD        5c, p05      4c, 1/clk 4c, 2/clk 4
//
// Bottleneck: 8 instructions for three words where plain counting takes 9, on the two ports of
// Golden Cove (384 bits a cycle instead of 341) and the four 256-bit pipes of Zen 4 (the same).
// With magnitudes the same ports: VPERMB and VPADDB together take 1.24 cycles on Zen 4. Runs have 3
// to 5 digits if values of queries are normally distributed, so widening is a quarter.

// One query: memory. In L1, 3 instructions for 512 bits; with magnitudes, for each of 5 planes
// VPANDQ, VPOPCNTQ and VPDPWSSD, bound by the pipe or two that the latter two share.

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own intrinsics read registers that they leave undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "kernels/generic.hpp"

#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512DQ__) ||     \
    !defined(__AVX512VL__) || !defined(__AVX512VPOPCNTDQ__) || !defined(__F16C__) || \
    !defined(__AVX512VBMI__) || !defined(__AVX512VNNI__) || defined(__AMX_TILE__) || \
    defined(__BMI2__)
#error "the flags of this file must be exactly the features that dispatch.cpp tests"
#endif

namespace bitsift {
namespace {

struct Avx512 {
  using Crc = CrcBySse42<Avx512>;  // which the level implies
  static constexpr std::size_t kLanes = 8;
  static constexpr std::size_t kTileVectors = 2;
  static constexpr std::size_t kWordsPerFlush = SIZE_MAX;  // 64-bit counts do not overflow
  static constexpr bool kMasksBytes = false;
  static constexpr bool kCarrySave = true;
  using Vector = __m512i;

  static Vector load(const void* p) { return _mm512_loadu_si512(p); }
  static Vector load_partial(const std::uint8_t* p, std::size_t n_bytes) {
    return _mm512_maskz_loadu_epi8((__mmask64{1} << n_bytes) - 1, p);
  }
  static Vector broadcast(std::uint64_t x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
  static Vector exclusive_or(Vector a, Vector b) { return _mm512_xor_si512(a, b); }
  static Vector bitwise_and(Vector a, Vector b) { return _mm512_and_si512(a, b); }
  static Vector bitwise_or(Vector a, Vector b) { return _mm512_or_si512(a, b); }
  // The majority of x, y, z, given the parity p of the three: x where x = y, else not p.
  static Vector carry(Vector x, Vector y, Vector p) {
    return _mm512_ternarylogic_epi64(x, y, p, 0b11010100);
  }
  static Vector count(Vector x) { return _mm512_popcnt_epi64(x); }
  static Vector add(Vector a, Vector b) { return _mm512_add_epi64(a, b); }
  static Vector lane_sums(Vector words) { return words; }
  static Vector add_lanes(Vector a, Vector b) { return _mm512_add_epi64(a, b); }
  static Vector min_lanes(Vector a, Vector b) { return _mm512_min_epi64(a, b); }
  // 2 a + b, where `a` is below 2^15.
  static Vector twice_plus(Vector a, Vector b) {
    return _mm512_dpwssd_epi32(b, a, _mm512_set1_epi32(2));
  }
  // These lanes of x (bit i is lane i), zero in the others.
  template <std::uint32_t kOf>
  static Vector only(Vector x) {
    return _mm512_maskz_mov_epi64(kOf, x);
  }
  static std::uint32_t negative_lanes(Vector x) { return _mm512_movepi64_mask(x); }
  static Vector concealed(Vector x) {
    __asm__ volatile("" : "+v"(x));
    return x;
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

  // The vectors are eight rows of kWords words each; lane j of the result is the sum of row j.
  template <std::size_t kWords>
  static Vector short_row_sums(const Vector* v) {
    const auto pairs = [](Vector a, Vector b) {
      return _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    };
    if constexpr (kWords == 1) return v[0];
    if constexpr (kWords == 2) {
      const Vector order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
      return _mm512_permutexvar_epi64(order, pairs(v[0], v[1]));
    }
    if constexpr (kWords == 3) {  // word w of row i is lane 3 i + w of the three vectors
      const auto words = [&](__m512i order, __mmask8 in_third) {
        return _mm512_mask_permutexvar_epi64(_mm512_permutex2var_epi64(v[0], order, v[1]), in_third,
                                             order, v[2]);
      };
      const Vector first = words(_mm512_setr_epi64(0, 3, 6, 9, 12, 15, 18, 21), 0xC0);
      const Vector second = words(_mm512_setr_epi64(1, 4, 7, 10, 13, 16, 19, 22), 0xE0);
      const Vector third = words(_mm512_setr_epi64(2, 5, 8, 11, 14, 17, 20, 23), 0xE0);
      return _mm512_add_epi64(_mm512_add_epi64(first, second), third);
    }
    if constexpr (kWords == 4) {
      const Vector a = pairs(v[0], v[1]);
      const Vector b = pairs(v[2], v[3]);
      const Vector sums =
          _mm512_add_epi64(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xDD));
      const Vector order = _mm512_setr_epi64(0, 2, 1, 3, 4, 6, 5, 7);
      return _mm512_permutexvar_epi64(order, sums);
    }
  }
  static void transpose(Vector* rows) {
    Vector even[4];  // words 0, 2, 4, 6 of rows 2i and 2i + 1
    Vector odd[4];
    for (int i = 0; i < 4; ++i) {
      even[i] = _mm512_unpacklo_epi64(rows[2 * i], rows[2 * i + 1]);
      odd[i] = _mm512_unpackhi_epi64(rows[2 * i], rows[2 * i + 1]);
    }
    for (int i = 0; i < 2; ++i) {
      const Vector* pairs = i == 0 ? even : odd;
      const Vector low_04 = _mm512_shuffle_i64x2(pairs[0], pairs[1], 0x88);
      const Vector low_26 = _mm512_shuffle_i64x2(pairs[0], pairs[1], 0xDD);
      const Vector high_04 = _mm512_shuffle_i64x2(pairs[2], pairs[3], 0x88);
      const Vector high_26 = _mm512_shuffle_i64x2(pairs[2], pairs[3], 0xDD);
      rows[i] = _mm512_shuffle_i64x2(low_04, high_04, 0x88);
      rows[i + 2] = _mm512_shuffle_i64x2(low_26, high_26, 0x88);
      rows[i + 4] = _mm512_shuffle_i64x2(low_04, high_04, 0xDD);
      rows[i + 6] = _mm512_shuffle_i64x2(low_26, high_26, 0xDD);
    }
  }

  static constexpr std::size_t kDigitBits = 6;
  static constexpr std::size_t kLookupVectors = 4;
  static constexpr std::size_t kLookupBlocks = 2;
  using Table = __m512i;
  static Table load_table(const std::uint8_t* p) { return load(p); }
  // The upper two bits of an index do not matter.
  static Vector look_up(Table table, Vector digits) {
    return _mm512_permutexvar_epi8(digits, table);
  }
  // columns[j] has byte j of each of 64 codes of 16 bytes from `offset` on. Interleaving row i with
  // row i + 8, four times, turns four matrices of 16 x 16 bytes over.
  static void transpose_bytes(const std::uint8_t* const* codes, std::size_t offset,
                              Vector* columns) {
    const auto piece = [&](int i) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes[i] + offset));
    };
    Vector rows[16];
    for (int i = 0; i < 16; ++i) {
      rows[i] = _mm512_castsi128_si512(piece(i));
      rows[i] = _mm512_inserti32x4(rows[i], piece(i + 16), 1);
      rows[i] = _mm512_inserti32x4(rows[i], piece(i + 32), 2);
      rows[i] = _mm512_inserti32x4(rows[i], piece(i + 48), 3);
    }
    for (int round = 0; round < 4; ++round) {
      for (int i = 0; i < 8; ++i) {
        columns[2 * i] = _mm512_unpacklo_epi8(rows[i], rows[i + 8]);
        columns[2 * i + 1] = _mm512_unpackhi_epi8(rows[i], rows[i + 8]);
      }
      for (int i = 0; i < 16; ++i) rows[i] = columns[i];
    }
  }
  // Three columns of bytes as four of digits, whose upper two bits are any.
  static void split_digits(const Vector* bytes, Vector* digits) {
    const auto select = [](Vector mask, Vector a, Vector b) {
      return _mm512_ternarylogic_epi64(mask, a, b, 0b11001010);
    };
    digits[0] = _mm512_srli_epi16(bytes[0], 2);
    digits[1] = select(_mm512_set1_epi8(0x30), _mm512_slli_epi16(bytes[0], 4),
                       _mm512_srli_epi16(bytes[1], 4));
    digits[2] = select(_mm512_set1_epi8(0x3C), _mm512_slli_epi16(bytes[1], 2),
                       _mm512_srli_epi16(bytes[2], 6));
    digits[3] = bytes[2];
  }
  static Vector add_bytes(Vector a, Vector b) { return _mm512_add_epi8(a, b); }
  static Vector add16(Vector a, Vector b) { return _mm512_add_epi16(a, b); }
  // Sums of even bytes, as 16 bits; 256 times those of the odd ones are in them, modulo 2^16.
  static Vector add_even(Vector sums, Vector bytes) { return _mm512_add_epi16(sums, bytes); }
  static Vector add_odd(Vector sums, Vector bytes) {
    return _mm512_add_epi16(sums, _mm512_srli_epi16(bytes, 8));
  }
  static Vector even_sums(Vector even, Vector odd) {
    return _mm512_sub_epi16(even, _mm512_slli_epi16(odd, 8));
  }
  static Vector broadcast16(std::uint16_t x) { return _mm512_set1_epi16(static_cast<short>(x)); }
  static Vector max16(Vector a, Vector b) { return _mm512_max_epu16(a, b); }
  // By how much `distances` are below `bounds`, at least 0.
  static Vector room16(Vector bounds, Vector distances) {
    return _mm512_subs_epu16(bounds, distances);
  }
  static bool is_zero(Vector x) { return _mm512_test_epi64_mask(x, x) == 0; }

  static constexpr std::size_t kDoubles = 8;
  static constexpr std::size_t kDotVectors = 8;
  using Doubles = __m512d;
  static Doubles load_doubles(const double* p) { return _mm512_loadu_pd(p); }
  static Doubles load_doubles(const float* p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
  static Doubles load_doubles(const Half* p) {
    return _mm512_cvtps_pd(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  using Wide = std::int32_t;
  static Doubles load_doubles(const Wide* p) {
    return _mm512_cvtepi32_pd(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static void widen_16(const std::int8_t* p, Wide* out) {
    _mm512_store_si512(out,
                       _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static Doubles subtract(Doubles a, Doubles b) { return _mm512_sub_pd(a, b); }
  static Doubles multiply(Doubles a, Doubles b) { return _mm512_mul_pd(a, b); }
  static Doubles add_doubles(Doubles a, Doubles b) { return _mm512_add_pd(a, b); }
  static constexpr bool kFusesProducts = true;
  static Doubles add_exact_product(Doubles sum, Doubles a, Doubles b) {
    return _mm512_fmadd_pd(a, b, sum);
  }
  static double sum_lanes(Doubles x) {
    const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd(x, 1));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
  }

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

constinit const Kernels kAvx512Kernels = make_kernels<Avx512>(
    Isa::kAvx512, "avx512", make_popcount_kernel<Avx512>(), make_lookup_kernel<Avx512>());

}  // namespace bitsift
