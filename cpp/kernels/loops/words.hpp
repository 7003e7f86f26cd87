// SPDX-License-Identifier: Apache-2.0
// Rows of some words, one behind the other, read as a stream of whole vectors, whatever rows these
// hold: then processors follow the addresses by themselves, and no vector is read in part.
#pragma once

#include "kernels/loops/costs.hpp"
#include "kernels/loops/strided.hpp"

namespace bitsift {

// Where the rows of a group lie that are kWords words long, one behind the other: kLanes of them
// fill kWords vectors. Vectors begin like the first one again after kVectors, or kRows rows.
template <std::size_t kWords, std::size_t kLanes>
struct WordRows {
  static constexpr std::size_t common_divisor(std::size_t a, std::size_t b) {
    return b == 0 ? a : common_divisor(b, a % b);
  }
  static constexpr std::size_t kVectors = kWords / common_divisor(kWords, kLanes);
  // The lanes of vector v that belong to a row: bit i is lane i.
  static constexpr std::uint32_t lanes_of(std::size_t v, std::size_t row) {
    std::uint32_t lanes = 0;
    for (std::size_t i = 0; i < kLanes; ++i) {
      if ((v * kLanes + i) / kWords == row) lanes |= 1u << i;
    }
    return lanes;
  }
};

// Whether a policy sums up rows of kWords words that do not divide a vector.
template <class Simd, std::size_t kWords>
inline constexpr bool kSumsShortRows = kWords == 3 && Simd::kLanes == 8;

// Distances to a group of contiguous rows of kWords words. `parts` are those of WordRows::kVectors
// vectors, for each query.
template <class Simd, std::size_t kQueries, std::size_t kWords, class Cost, class Parts>
[[gnu::always_inline]] inline void word_row_distances(const Parts& parts, const std::uint8_t* group,
                                                      typename Simd::Vector* distances) {
  using Vector = typename Simd::Vector;
  using Layout = WordRows<kWords, Simd::kLanes>;
  constexpr std::size_t kRows = Simd::kLanes;
  constexpr std::uint32_t kAllLanes = (1u << Simd::kLanes) - 1;
  constexpr bool kShort =
      kWords < Simd::kLanes && (Simd::kLanes % kWords == 0 || kSumsShortRows<Simd, kWords>);
  // A row is in at most two vectors more than it fills.
  constexpr bool kCrossesFirst = kWords / Simd::kLanes + 2 <= Cost::kVectorsPerCrossing;
  Vector sums[kQueries][kShort ? kWords : kRows];
  for_each_index<0, kWords>([&](auto vector) {
    constexpr std::size_t v = vector.value;
    const Vector document = Simd::load(group + v * 8 * Simd::kLanes);
    for (std::size_t q = 0; q < kQueries; ++q) {
      const Vector costs = Cost::of(parts[q][v % Layout::kVectors], document);
      if constexpr (kShort) {
        if constexpr (kCrossesFirst) {
          sums[q][v] = costs;
        } else {
          sums[q][v] = Cost::flush(costs);
        }
      } else {
        for_each_index<v * kRows / kWords, ((v + 1) * kRows + kWords - 1) / kWords>([&](auto row) {
          constexpr std::uint32_t kLanes = Layout::lanes_of(v, row.value);
          constexpr bool kFirst = v == 0 || Layout::lanes_of(v - 1, row.value) == 0;
          Vector part = costs;
          if constexpr (kLanes != kAllLanes) part = Simd::template only<kLanes>(costs);
          Vector& sum = sums[q][row.value];
          sum = kFirst ? part : Cost::add(sum, part);
          constexpr bool kLast = v + 1 == kWords || Layout::lanes_of(v + 1, row.value) == 0;
          // Concealed, or compilers load rows in another order, which is slower from memory.
          if constexpr (kLast && kCrossesFirst) sum = Simd::concealed(sum);
          if constexpr (kLast && !kCrossesFirst) sum = Simd::concealed(Cost::flush(sum));
        });
      }
    }
  });
  for (std::size_t q = 0; q < kQueries; ++q) {
    if constexpr (kShort) {
      distances[q] = Simd::template short_row_sums<kWords>(sums[q]);
    } else {
      distances[q] = Simd::row_sums(sums[q]);
    }
    if constexpr (kCrossesFirst) distances[q] = Cost::flush(distances[q]);
  }
}

// Contiguous rows of kWords words.
template <class Simd, std::size_t kQueries, std::size_t kWords, class Cost>
inline std::size_t scan_word_rows(const Cost* costs, RowSpan rows, const std::int64_t* limits,
                                  Hit* hits) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kVectors = WordRows<kWords, Simd::kLanes>::kVectors;
  constexpr std::size_t kGroupBytes = Simd::kLanes * 8 * kWords;
  typename Cost::Part parts[kQueries][kVectors];
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      parts[q][v] = costs[q].part([&](const std::uint8_t* code) {
        std::uint64_t words[Simd::kLanes];
        for (std::size_t i = 0; i < Simd::kLanes; ++i) {
          __builtin_memcpy(&words[i], code + (v * Simd::kLanes + i) % kWords * 8, 8);
        }
        return Simd::load(words);
      });
    }
  }
  // Testing limits takes a large part of the time of the shortest rows. The last few rows, which
  // fill no groups, are scanned like any others.
  constexpr std::size_t kGroups = kWords <= 2 ? 4 : 1;
  constexpr std::size_t kAtOnce = kGroups * Simd::kLanes;
  const std::size_t n_whole = rows.n_rows / kAtOnce * kAtOnce;
  const std::size_t n_hits = report_rows<Simd, kQueries, kGroups>(
      0, n_whole, limits, hits, [&](std::size_t first, std::size_t, Vector* distances) {
        const std::uint8_t* group = rows.first + first * 8 * kWords;
        prefetch_behind<Cost>(group, kGroupBytes, rows.ahead);
        word_row_distances<Simd, kQueries, kWords, Cost>(parts, group, distances);
      });
  return n_hits + scan_any_rows<Simd, kQueries, 0>(costs, rows, n_whole, limits, hits + n_hits);
}

}  // namespace bitsift
