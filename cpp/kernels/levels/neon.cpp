// SPDX-License-Identifier: Apache-2.0
// Level `neon`: Advanced SIMD, which every aarch64 processor has.
//
// instruction   Neoverse N1   Neoverse V1   per 128 bits of a pair
// EOR           1c, 2/clk     1c, 4/clk     1
// CNT           2c, 1/clk     2c, 2/clk     1
// ADD           1c, 2/clk     1c, 4/clk     1
// UADDLP        2c, 1/clk     2c, 2/clk     3/31: bytes are summed up first
//                                           magnitudes: 128 bits of a pair, runs of r digits
// TBL           2c, 2/clk     2c, 2/clk     2: 4 bits of 16 documents each
// ADD           1c, 2/clk     1c, 4/clk     2 (1 - 1/r) + 2/r: and widening
// USRA          4c, 1/clk     4c, 1/clk     2/r: widening
//
// Bottleneck: CNT; with magnitudes TBL and ADD.

#include <arm_neon.h>

#include "kernels/generic.hpp"

namespace bitsift {
namespace {

struct Neon {
  using Crc = CrcByTables<Neon>;
  static constexpr std::size_t kLanes = 2;
  static constexpr std::size_t kTileVectors = 4;
  static constexpr std::size_t kWordsPerFlush = 31;  // 31 * 8 < 256
  static constexpr bool kMasksBytes = false;
  static constexpr bool kCarrySave = false;  // it takes two instructions
  using Vector = uint8x16_t;

  static Vector load(const void* p) { return vld1q_u8(static_cast<const std::uint8_t*>(p)); }
  static Vector load_partial(const std::uint8_t* p, std::size_t n_bytes) {
    std::uint8_t bytes[16] = {};
    for (std::size_t i = 0; i < n_bytes; ++i) bytes[i] = p[i];
    return vld1q_u8(bytes);
  }
  static Vector broadcast(std::uint64_t x) { return vreinterpretq_u8_u64(vdupq_n_u64(x)); }
  static Vector exclusive_or(Vector a, Vector b) { return veorq_u8(a, b); }
  static Vector bitwise_and(Vector a, Vector b) { return vandq_u8(a, b); }
  static Vector bitwise_or(Vector a, Vector b) { return vorrq_u8(a, b); }
  static Vector count(Vector x) { return vcntq_u8(x); }
  static Vector add(Vector a, Vector b) { return vaddq_u8(a, b); }
  static Vector twice_plus(Vector a, Vector b) { return add(add(a, a), b); }
  static Vector lane_sums(Vector bytes) {
    return vreinterpretq_u8_u64(vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(bytes))));
  }
  static Vector add_lanes(Vector a, Vector b) {
    return vreinterpretq_u8_u64(vaddq_u64(vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)));
  }
  static Vector min_lanes(Vector a, Vector b) {
    return vbslq_u8(
        vreinterpretq_u8_u64(vcltq_s64(vreinterpretq_s64_u8(a), vreinterpretq_s64_u8(b))), a, b);
  }
  static std::uint32_t negative_lanes(Vector x) {
    const uint64x2_t signs = vshrq_n_u64(vreinterpretq_u64_u8(x), 63);
    return static_cast<std::uint32_t>(vgetq_lane_u64(signs, 0) | vgetq_lane_u64(signs, 1) << 1);
  }
  static Vector concealed(Vector x) {
    __asm__ volatile("" : "+w"(x));
    return x;
  }
  static void store_lanes(std::uint64_t* out, Vector x) { vst1q_u64(out, vreinterpretq_u64_u8(x)); }
  // Lane i of the result is the sum of the lanes of rows[i].
  static Vector row_sums(const Vector* rows) {
    return vreinterpretq_u8_u64(
        vpaddq_u64(vreinterpretq_u64_u8(rows[0]), vreinterpretq_u64_u8(rows[1])));
  }

  static void transpose(Vector* rows) {
    const uint64x2_t a = vreinterpretq_u64_u8(rows[0]);
    const uint64x2_t b = vreinterpretq_u64_u8(rows[1]);
    rows[0] = vreinterpretq_u8_u64(vzip1q_u64(a, b));
    rows[1] = vreinterpretq_u8_u64(vzip2q_u64(a, b));
  }

  static constexpr std::size_t kDigitBits = 4;
  static constexpr std::size_t kLookupVectors = 4;
  static constexpr std::size_t kLookupBlocks = 2;
  using Table = uint8x16_t;
  static Table load_table(const std::uint8_t* p) { return vld1q_u8(p); }
  static Vector look_up(Table table, Vector digits) { return vqtbl1q_u8(table, digits); }
  // columns[j] has byte j of each of 16 codes of 16 bytes from `offset` on. Interleaving row i with
  // row i + 8, four times, turns the matrix over.
  static void transpose_bytes(const std::uint8_t* const* codes, std::size_t offset,
                              Vector* columns) {
    Vector rows[16];
    for (int i = 0; i < 16; ++i) rows[i] = load(codes[i] + offset);
    for (int round = 0; round < 4; ++round) {
      for (int i = 0; i < 8; ++i) {
        columns[2 * i] = vzip1q_u8(rows[i], rows[i + 8]);
        columns[2 * i + 1] = vzip2q_u8(rows[i], rows[i + 8]);
      }
      for (int i = 0; i < 16; ++i) rows[i] = columns[i];
    }
  }
  static void split_digits(const Vector* bytes, Vector* digits) {
    digits[0] = vshrq_n_u8(*bytes, 4);
    digits[1] = vandq_u8(*bytes, vdupq_n_u8(0x0F));
  }
  static Vector add_bytes(Vector a, Vector b) { return vaddq_u8(a, b); }
  static uint16x8_t of16(Vector x) { return vreinterpretq_u16_u8(x); }
  static Vector add16(Vector a, Vector b) {
    return vreinterpretq_u8_u16(vaddq_u16(of16(a), of16(b)));
  }
  // Sums of even bytes, as 16 bits; 256 times those of the odd ones are in them, modulo 2^16.
  static Vector add_even(Vector sums, Vector bytes) { return add16(sums, bytes); }
  static Vector add_odd(Vector sums, Vector bytes) {
    return vreinterpretq_u8_u16(vsraq_n_u16(of16(sums), of16(bytes), 8));
  }
  static Vector even_sums(Vector even, Vector odd) {
    return vreinterpretq_u8_u16(vsubq_u16(of16(even), vshlq_n_u16(of16(odd), 8)));
  }
  static Vector broadcast16(std::uint16_t x) { return vreinterpretq_u8_u16(vdupq_n_u16(x)); }
  static Vector max16(Vector a, Vector b) {
    return vreinterpretq_u8_u16(vmaxq_u16(of16(a), of16(b)));
  }
  // By how much `distances` are below `bounds`, at least 0.
  static Vector room16(Vector bounds, Vector distances) {
    return vreinterpretq_u8_u16(vqsubq_u16(of16(bounds), of16(distances)));
  }
  static bool is_zero(Vector x) { return vmaxvq_u8(x) == 0; }

  // A vector of rows of one word.
  template <std::size_t kWords>
  static Vector short_row_sums(const Vector* v) {
    static_assert(kWords == 1);
    return v[0];
  }

  static constexpr std::size_t kDoubles = 2;
  static constexpr std::size_t kDotVectors = 1;  // more sums do not fit the registers
  using Doubles = float64x2_t;
  static Doubles load_doubles(const double* p) { return vld1q_f64(p); }
  static Doubles load_doubles(const float* p) { return vcvt_f64_f32(vld1_f32(p)); }
  static Doubles load_doubles(const Half* p) {
    // Two values: the upper half of the register repeats them and is not used.
    std::uint32_t pair;
    __builtin_memcpy(&pair, p, 4);
    const float16x4_t halves = vreinterpret_f16_u32(vdup_n_u32(pair));
    return vcvt_f64_f32(vget_low_f32(vcvt_f32_f16(halves)));
  }
  static Doubles load_doubles(const std::int8_t* p) {
    const std::int64_t two[2] = {p[0], p[1]};
    return vcvtq_f64_s64(vld1q_s64(two));
  }
  static Doubles subtract(Doubles a, Doubles b) { return vsubq_f64(a, b); }
  static Doubles multiply(Doubles a, Doubles b) { return vmulq_f64(a, b); }
  static Doubles add_doubles(Doubles a, Doubles b) { return vaddq_f64(a, b); }
  static constexpr bool kFusesProducts = true;
  static Doubles add_exact_product(Doubles sum, Doubles a, Doubles b) {
    return vfmaq_f64(sum, a, b);
  }
  static double sum_lanes(Doubles x) { return vaddvq_f64(x); }

  static float32x4_t load_floats(const float* p) { return vld1q_f32(p); }
  static float32x4_t load_floats(const Half* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&p->bits)));
  }
  // Bit i of the result is lane i of `above`.
  static std::uint64_t lane_bits(uint32x4_t above) {
    const uint32x4_t weights = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(above, weights));
  }
  template <class Value>
  static std::uint64_t greater(const Value* values, const float* thresholds, bool* finite) {
    std::uint64_t bits = 0;
    uint32x4_t all_finite = vdupq_n_u32(~0u);
    for (std::size_t i = 0; i < 64; i += 4) {
      const float32x4_t x = load_floats(values + i);
      bits |= lane_bits(vcgtq_f32(x, vld1q_f32(thresholds + i))) << i;
      all_finite = vandq_u32(all_finite, vceqzq_f32(vsubq_f32(x, x)));
    }
    *finite &= vminvq_u32(all_finite) != 0;
    return bits;
  }
  static std::uint64_t greater(const double* values, const double* thresholds, bool* finite) {
    std::uint64_t bits = 0;
    bool all_finite = true;
    for (std::size_t i = 0; i < 64; i += 2) {
      const float64x2_t x = vld1q_f64(values + i);
      const uint64x2_t above = vcgtq_f64(x, vld1q_f64(thresholds + i));
      bits |= ((vgetq_lane_u64(above, 0) & 1) | (vgetq_lane_u64(above, 1) & 2)) << i;
      const uint64x2_t is_finite = vceqzq_f64(vsubq_f64(x, x));
      all_finite &= (vgetq_lane_u64(is_finite, 0) & vgetq_lane_u64(is_finite, 1)) != 0;
    }
    *finite &= all_finite;
    return bits;
  }
};

// By an instruction that Armv8.1 has, and most of Armv8.0: dispatch.cpp asks for it.
struct NeonCrc {
  static constexpr int kLanes = 3;

  static std::uint32_t add(std::uint32_t crc, const std::uint8_t* p) {
    std::uint64_t word;
    __builtin_memcpy(&word, p, 8);
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
    return crc;
  }
};

constexpr Kernels neon_kernels() {
  Kernels kernels = make_kernels<Neon>(Isa::kNeon, "neon", make_popcount_kernel<Neon>(),
                                       make_lookup_kernel<Neon>());
  kernels.crc32c_by_instruction = crc32c<Neon, NeonCrc>;
  return kernels;
}

}  // namespace

constinit const Kernels kNeonKernels = neon_kernels();

}  // namespace bitsift
