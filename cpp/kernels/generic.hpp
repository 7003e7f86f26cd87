// SPDX-License-Identifier: Apache-2.0
// Makes the table of a level from the loops in loops/. They are templates of a policy `Simd`, which
// says what a vector is. The file of a level defines its policy and calls make_kernels<Simd>().
//
// `Simd` lives in an unnamed namespace, so everything instantiated here has internal linkage: the
// linker cannot replace code of one instruction set by code of another. For the same reason, no
// header of the standard library that contains code may be included.
//
// A policy has
//   kLanes            64-bit lanes of a Vector
//   kWordsPerFlush    how many count() results add() may sum up before lane_sums() must empty them
//   Vector            load, load_partial, broadcast, exclusive_or, bitwise_and, bitwise_or, count,
//                     add, lane_sums, add_lanes, twice_plus, row_sums, negative_lanes,
//                     store_lanes, concealed; short_row_sums if kLanes > 1, only if kLanes > 2
//     masked rows     kMasksBytes (whether there are these), count_within, last_bytes and the like,
//                     load_halves, load_words, pair_sums
//   popcounts         kTileVectors (vectors of documents that a tile is wide), transpose,
//                     min_lanes, kCarrySave (whether there is a carry() in one instruction)
//     sliced          add_bits (a full adder). It may have a policy of its own, with these, load,
//                     store_lanes, broadcast, exclusive_or, bitwise_and, bitwise_or, concealed
//     pairs           as look-ups, and load_halves, transpose_bytes of a block, store_nibbles,
//                     low_nibbles, high_nibbles, add_widened
//   look-ups          kDigitBits, kLookupVectors, kLookupBlocks (blocks of a tile), Table,
//                     load_table, look_up, transpose_bytes, split_digits, add_bytes, add16,
//                     add_even, add_odd, even_sums, broadcast16, max16, room16, is_zero
//     loaded          add_bytes, add_even, add_odd, even_sums, broadcast16, max16, room16, is_zero,
//                     load, store_lanes, broadcast, bitwise_or, concealed
//   Doubles           of kDoubles values: load_doubles, subtract, multiply, add_doubles,
//                     add_exact_product (fused if kFusesProducts), sum_lanes;
//                     kDotVectors vectors rescored at once; widen_16 to Wide where it helps
//   greater           64 comparisons at once, for packing
//   Crc               how a checksum takes eight bytes: kLanes, add
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/loops/checksum.hpp"
#include "kernels/loops/loaded.hpp"
#include "kernels/loops/lookup.hpp"
#include "kernels/loops/packing.hpp"
#include "kernels/loops/pairs.hpp"
#include "kernels/loops/popcount.hpp"
#include "kernels/loops/rescoring.hpp"
#include "kernels/loops/rows.hpp"
#include "kernels/loops/sliced.hpp"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "codes are read as little-endian words");

namespace bitsift {

template <class Simd>
constexpr Kernels make_kernels(Isa isa, const char* name, BatchKernel batch,
                               BatchKernel weighted_batch) {
  static_assert(8 * Simd::kLanes <= kQueryPadding);
  return {
      .isa = isa,
      .name = name,
      .pack_f32 = pack<Simd, float, float>,
      .pack_f16 = pack<Simd, Half, float>,
      .pack_f64 = pack<Simd, double, double>,
      .pack_bool = pack_bool<Simd>,
      .scan_rows = scan_rows<Simd>,
      .scan_rows_weighted = scan_rows_weighted<Simd>,
      .batch = batch,
      .weighted_batch = weighted_batch,
      .product = nullptr,
      .read_all = read_all<Simd>,
      .crc32c = crc32c<Simd, typename Simd::Crc>,
      .crc32c_by_instruction = nullptr,
      .read_rows = read_rows<Simd>,
      .dot_f32 = dot<Simd, float>,
      .dot_f16 = dot<Simd, Half>,
      .l2_f32 = l2<Simd, float>,
      .l2_f16 = l2<Simd, Half>,
      .dot_i8 = dot_scaled<Simd>,
      .l2_i8 = l2_scaled<Simd>,
  };
}

}  // namespace bitsift
