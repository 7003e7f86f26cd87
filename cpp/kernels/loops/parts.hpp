// SPDX-License-Identifier: Apache-2.0
// Rows with few words behind their whole vectors, four at once: a vector holds words of four rows,
// or halves of two. So a word costs a quarter of what a vector costs. The last load of a row ends
// with it and takes along bytes that were there before, which a mask leaves out (masked.hpp).
#pragma once

#include "kernels/loops/costs.hpp"

namespace bitsift {

// Rows of kWhole vectors and of 1 to 4 words more, the last of which may be short.
template <class Simd, std::size_t kQueries, std::size_t kWhole, std::size_t kWords, class Cost>
[[gnu::noinline]] std::size_t scan_parted_rows(const Cost* costs, RowSpan rows,
                                               const std::int64_t* limits, Hit* hits) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kBytes = 8 * Simd::kLanes;
  constexpr std::size_t kRows = Simd::kLanes;
  static_assert(kRows == 4 && 0 < kWords && kWords <= 4 && (kWhole > 0 || kWords > 2));
  // Behind the whole vectors: a half if there are more than two words, and the last word or half.
  constexpr bool kHasHalf = kWords > 2;
  constexpr bool kEndsInWord = kWords % 2 != 0;
  constexpr std::size_t kHalf = kWhole * kBytes;
  constexpr std::size_t kMostBytes = kHalf + 8 * kWords;
  const std::size_t last = rows.n_bytes - (kEndsInWord ? 8 : kBytes / 2);
  const std::size_t n_left = rows.n_bytes - kHalf - (kHasHalf ? kBytes / 2 : 0);
  // Four lanes of a whole vector are added, two of a half, and bytes must hold the sum.
  static_assert(!Cost::kUnrolls || 8 * (4 * kWhole + kWords) < 256);

  typename Cost::Part half[kQueries];
  typename Cost::MaskedPart end[kQueries];
  for (std::size_t q = 0; q < kQueries; ++q) {
    if constexpr (kHasHalf) {
      half[q] = costs[q].part(
          [&](const std::uint8_t* code) { return Simd::load_halves(code + kHalf, code + kHalf); });
    }
    const auto load = [&](const std::uint8_t* code) {
      const std::uint8_t* p = code + last;
      if constexpr (kEndsInWord) return Simd::load_words(p, p, p, p);
      return Simd::load_halves(p, p);
    };
    end[q] = costs[q].masked_part(
        load, kEndsInWord ? Simd::last_bytes_of_words(n_left) : Simd::last_bytes_of_halves(n_left));
  }
  return report_rows<Simd, kQueries, 1>(
      0, rows.n_rows, limits, hits,
      [&](std::size_t first, std::size_t n_present, Vector* distances) {
        const std::uint8_t* codes[kRows];
        Vector whole[kQueries][kRows];
        for_each_index<0, kRows>([&](auto row) {
          // The last group is padded with its last row; distances of the padding are ignored.
          const std::size_t present = row.value < n_present ? row.value : n_present - 1;
          const std::uint8_t* code =
              rows.first + static_cast<std::ptrdiff_t>(first + present) * rows.stride;
          codes[row.value] = code;
          if constexpr (kWhole > 0) {
            prefetch_behind<Cost>(code, kMostBytes, rows.ahead);
            Vector sum[kQueries];
            whole_vector_costs<Simd, kQueries, kWhole>(costs, code, sum);
            for (std::size_t q = 0; q < kQueries; ++q) whole[q][row.value] = sum[q];
          }
        });
        if constexpr (kWhole == 0) {
          prefetch_behind<Cost>(codes[0], kRows * kMostBytes, rows.ahead);
        }
        const auto halves = [&](std::size_t row, std::size_t offset) {
          return Simd::load_halves(codes[row] + offset, codes[row + 2] + offset);
        };
        for (std::size_t q = 0; q < kQueries; ++q) {
          Vector sum;
          if constexpr (kEndsInWord) {
            sum = Cost::of(end[q], Simd::load_words(codes[0] + last, codes[1] + last,
                                                    codes[2] + last, codes[3] + last));
          }
          if constexpr (kHasHalf || !kEndsInWord) {
            Vector of_halves[2];
            for (std::size_t i = 0; i < 2; ++i) {
              if constexpr (kHasHalf) of_halves[i] = Cost::of(half[q], halves(i, kHalf));
              if constexpr (!kEndsInWord) {
                const Vector of_end = Cost::of(end[q], halves(i, last));
                of_halves[i] = kHasHalf ? Cost::add(of_halves[i], of_end) : of_end;
              }
            }
            const Vector of_rows = Simd::pair_sums(of_halves[0], of_halves[1]);
            sum = kEndsInWord ? Cost::add(sum, of_rows) : of_rows;
          }
          if constexpr (kWhole > 0) sum = Cost::add(sum, Simd::row_sums(whole[q]));
          distances[q] = Cost::flush(sum);
        }
      });
}

}  // namespace bitsift
