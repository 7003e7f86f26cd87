// SPDX-License-Identifier: Apache-2.0
// Level `avx2`: AVX2 and F16C (Haswell, Zen and later).
//
// instruction          Haswell   Ice Lake  Zen 3     256 bits of a pair: batch  one query
// VPSHUFB              1c, p5    1c, p15   1c, 2/clk                     1      2
// VPADDB               1c, p15   1c, p015  1c, 4/clk                     4/3    2
// VPXOR, VPAND         1c, p015  1c, p015  1c, 4/clk                     2/3    3
// VPSRLW               1c, p0    1c, p01   1c, 2/clk                     1/3    1
// VPSADBW              5c, p0    3c, p5    3c, 2/clk                     -      1/4 or 1 a row
// VPSRLW, 2 VPADDW     1c, p0    1c, p01   1c, 2/clk   magnitudes: 2/r each       -
//
// With magnitudes a batch takes 2 VPSHUFB and 2 VPADDB, and widens each run of r digits of 4 bits:
// 4 to 10. Bottleneck of a batch: all of these together, 10 for three look-ups of 4 bits for 32
// documents and two queries; with magnitudes VPSHUFB. Of one query: memory; before that 8
// instructions, two look-ups for 256 bits (Mula, Kurz, Lemire, arXiv:1611.07612); with magnitudes 9
// for each of 5 planes. Four rows take 15 more: their sums are crossed as bytes (6 VPUNPCKQDQ,
// VPADDQ, 3 more), one VPSADBW adds them, and limits are tested. So on Zen 3, of whose four pipes
// two shuffle and shift, rows of 24 bytes are compared at 9 bytes a cycle and those of 64 and more
// at 13 to 16, where memory gives 8 to 9.

#include <immintrin.h>

#include "kernels/generic.hpp"

#if !defined(__AVX2__) || !defined(__F16C__) || defined(__AVX512F__) || defined(__BMI2__)
#error "the flags of this file must be exactly the features that dispatch.cpp tests"
#endif

namespace bitsift {
namespace {

// 32 equal bytes, and 32 others.
struct MaskedBytes {
  std::uint8_t of[64] = {};
  constexpr MaskedBytes(std::uint8_t first, std::uint8_t second) {
    for (int i = 0; i < 64; ++i) of[i] = i < 32 ? first : second;
  }
};

struct Avx2 {
  using Crc = CrcBySse42<Avx2>;  // which the level implies
  static constexpr std::size_t kLanes = 4;
  static constexpr std::size_t kWordsPerFlush = 31;  // 31 * 8 < 256
  static constexpr bool kMasksBytes = true;
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
  static Vector load_halves(const std::uint8_t* low, const std::uint8_t* high) {
    return _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(high),
                               reinterpret_cast<const __m128i*>(low));
  }
  static Vector load_words(const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c,
                           const std::uint8_t* d) {
    const auto two = [](const std::uint8_t* low, const std::uint8_t* high) {
      return _mm_castpd_si128(
          _mm_loadh_pd(_mm_castsi128_pd(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(low))),
                       reinterpret_cast<const double*>(high)));
    };
    return _mm256_set_m128i(two(c, d), two(a, b));
  }
  // All bits of the last n bytes, at least 1, of a vector, half or word, or of the first n.
  static Vector last_bytes(std::size_t n) {
    alignas(64) static constexpr MaskedBytes kMasked = {0, 0xFF};
    return load(kMasked.of + n);
  }
  static Vector last_bytes_of_halves(std::size_t n) {
    alignas(64) static constexpr MaskedBytes kMasked = {0, 0xFF};
    return load_halves(kMasked.of + 16 + n, kMasked.of + 16 + n);
  }
  static Vector last_bytes_of_words(std::size_t n) {
    return broadcast(~std::uint64_t{0} << (64 - 8 * n));
  }
  static Vector first_bytes_of_halves(std::size_t n) {
    alignas(64) static constexpr MaskedBytes kMasked = {0xFF, 0};
    return load_halves(kMasked.of + 32 - n, kMasked.of + 32 - n);
  }
  static Vector broadcast(std::uint64_t x) { return _mm256_set1_epi64x(static_cast<long long>(x)); }
  static Vector exclusive_or(Vector a, Vector b) { return _mm256_xor_si256(a, b); }
  static Vector bitwise_and(Vector a, Vector b) { return _mm256_and_si256(a, b); }
  static Vector bitwise_or(Vector a, Vector b) { return _mm256_or_si256(a, b); }
  static Vector count(Vector x) { return count_within(x, _mm256_set1_epi8(-1)); }
  // Bytes that `mask` does not have count as 0.
  static Vector count_within(Vector x, Vector mask) {
    const Vector nibble_counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0,
                                                  1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const Vector low_nibbles = _mm256_and_si256(mask, _mm256_set1_epi8(0x0F));
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
  // Sums of two lanes: of a, of b, of a, of b. Here and below lanes may be eight bytes, too, that
  // do not overflow.
  static Vector pair_sums(Vector a, Vector b) {
    return _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
  }
  // Lane i of the result is the sum of the lanes of rows[i].
  static Vector row_sums(const Vector* rows) {
    const Vector rows_01 = pair_sums(rows[0], rows[1]);
    const Vector rows_23 = pair_sums(rows[2], rows[3]);
    return _mm256_add_epi64(_mm256_permute2x128_si256(rows_01, rows_23, 0x20),
                            _mm256_permute2x128_si256(rows_01, rows_23, 0x31));
  }

  // Vector i has 4 / kWords rows of kWords words each; lane j of the result is the sum of row j.
  template <std::size_t kWords>
  static Vector short_row_sums(const Vector* v) {
    if constexpr (kWords == 1) return v[0];
    if constexpr (kWords == 2) {
      return _mm256_permute4x64_epi64(pair_sums(v[0], v[1]), 0b11'01'10'00);
    }
  }
  static constexpr std::size_t kDigitBits = 4;
  static constexpr std::size_t kLookupVectors = 4;
  static constexpr std::size_t kLookupBlocks = 1;
  using Table = __m256i;
  static Table load_table(const std::uint8_t* p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Vector look_up(Table table, Vector digits) { return _mm256_shuffle_epi8(table, digits); }
  // columns[j] has byte j of each of 32 codes of 16 bytes from `offset` on. Interleaving row i with
  // row i + 8, four times, turns two matrices of 16 x 16 bytes over.
  static void transpose_bytes(const std::uint8_t* const* codes, std::size_t offset,
                              Vector* columns) {
    Vector rows[16];
    for (int i = 0; i < 16; ++i) {
      rows[i] = _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(codes[i + 16] + offset),
                                    reinterpret_cast<const __m128i*>(codes[i] + offset));
    }
    for (int round = 0; round < 4; ++round) {
      for (int i = 0; i < 8; ++i) {
        columns[2 * i] = _mm256_unpacklo_epi8(rows[i], rows[i + 8]);
        columns[2 * i + 1] = _mm256_unpackhi_epi8(rows[i], rows[i + 8]);
      }
      for (int i = 0; i < 16; ++i) rows[i] = columns[i];
    }
  }
  static void split_digits(const Vector* bytes, Vector* digits) {
    const Vector low_nibbles = _mm256_set1_epi8(0x0F);
    digits[0] = _mm256_and_si256(_mm256_srli_epi16(*bytes, 4), low_nibbles);
    digits[1] = _mm256_and_si256(*bytes, low_nibbles);
  }
  static Vector add_bytes(Vector a, Vector b) { return _mm256_add_epi8(a, b); }
  static Vector add16(Vector a, Vector b) { return _mm256_add_epi16(a, b); }
  // Sums of even bytes, as 16 bits; 256 times those of the odd ones are in them, modulo 2^16.
  static Vector add_even(Vector sums, Vector bytes) { return _mm256_add_epi16(sums, bytes); }
  static Vector add_odd(Vector sums, Vector bytes) {
    return _mm256_add_epi16(sums, _mm256_srli_epi16(bytes, 8));
  }
  static Vector even_sums(Vector even, Vector odd) {
    return _mm256_sub_epi16(even, _mm256_slli_epi16(odd, 8));
  }
  static Vector broadcast16(std::uint16_t x) { return _mm256_set1_epi16(static_cast<short>(x)); }
  static Vector max16(Vector a, Vector b) { return _mm256_max_epu16(a, b); }
  // By how much `distances` are below `bounds`, at least 0.
  static Vector room16(Vector bounds, Vector distances) {
    return _mm256_subs_epu16(bounds, distances);
  }
  static bool is_zero(Vector x) { return _mm256_testz_si256(x, x) != 0; }

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
  static constexpr bool kFusesProducts = false;
  static Doubles add_exact_product(Doubles sum, Doubles a, Doubles b) {
    return add_doubles(sum, multiply(a, b));
  }
  static double sum_lanes(Doubles x) {
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
  }

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

// What look-ups for two queries at once need.
struct Avx2Pairs : Avx2 {
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
  static Vector low_nibbles(Vector bytes) { return bitwise_and(bytes, _mm256_set1_epi8(0x0F)); }
  static Vector high_nibbles(Vector bytes) { return low_nibbles(_mm256_srli_epi16(bytes, 4)); }
  static void store_nibbles(std::uint8_t* high, std::uint8_t* low, Vector bytes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(high), high_nibbles(bytes));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), low_nibbles(bytes));
  }
  static void add_widened(Vector bytes, Vector* totals) {
    const Vector zero = _mm256_setzero_si256();
    totals[0] = _mm256_add_epi16(totals[0], _mm256_unpacklo_epi8(bytes, zero));
    totals[1] = _mm256_add_epi16(totals[1], _mm256_unpackhi_epi8(bytes, zero));
  }
};

}  // namespace

constinit const Kernels kAvx2Kernels = make_kernels<Avx2>(
    Isa::kAvx2, "avx2", make_paired_kernel<Avx2Pairs>(), make_lookup_kernel<Avx2>());

}  // namespace bitsift
