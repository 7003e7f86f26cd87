// SPDX-License-Identifier: Apache-2.0
// One or two queries against rows as they lie. Bound by memory if the codes do not fit a cache, so
// what counts is the order of the loads: processors follow a stream of ascending addresses by
// themselves. Rows of common lengths, one behind the other, are read as a stream of whole vectors,
// whatever rows these hold (words.hpp). Others are read one after the other, each with its sums in
// registers: by masks where a policy counts some bytes of a vector as easily as all (masked.hpp),
// else by loads of what is left of them (strided.hpp).
//
// On most processors one stream becomes faster with prefetch instructions, on others slower: the
// caller says how far ahead to prefetch (search/scan_method.hpp measures it).
#pragma once

#include "kernels/loops/costs.hpp"
#include "kernels/loops/masked.hpp"
#include "kernels/loops/strided.hpp"
#include "kernels/loops/words.hpp"

namespace bitsift {

// The length of rows that get a loop of their own, or 0: masks do without.
template <class Simd, class Cost>
inline constexpr std::size_t own_length(std::size_t n_bytes) {
  return Simd::kMasksBytes && Cost::kUnrolls ? 0 : n_bytes;
}

template <class Simd, std::size_t kQueries, class Cost>
inline std::size_t scan_rows_for(const Cost* costs, RowSpan rows, const std::int64_t* limits,
                                 Hit* hits) {
  if constexpr (Simd::kLanes > 1) {
    if (rows.stride == static_cast<std::ptrdiff_t>(rows.n_bytes)) {
      if constexpr (Simd::kMasksBytes && Cost::kUnrolls) {
        if (rows.n_bytes > 128) return scan_masked_rows<Simd, kQueries>(costs, rows, limits, hits);
      }
      switch (rows.n_bytes) {
        case 8:
          return scan_word_rows<Simd, kQueries, 1>(costs, rows, limits, hits);
        case 16:
          return scan_word_rows<Simd, kQueries, 2>(costs, rows, limits, hits);
        case 24:
          if constexpr (kSumsShortRows<Simd, 3>) {
            return scan_word_rows<Simd, kQueries, 3>(costs, rows, limits, hits);
          }
          break;
        case 32:
          return scan_word_rows<Simd, kQueries, 4>(costs, rows, limits, hits);
        case 48:
          return scan_word_rows<Simd, kQueries, 6>(costs, rows, limits, hits);
        case 64:
          return scan_word_rows<Simd, kQueries, 8>(costs, rows, limits, hits);
        case 96:
          return scan_word_rows<Simd, kQueries, 12>(costs, rows, limits, hits);
        case 128:
          return scan_word_rows<Simd, kQueries, 16>(costs, rows, limits, hits);
        case 192:
          return scan_any_rows<Simd, kQueries, own_length<Simd, Cost>(192)>(costs, rows, 0, limits,
                                                                            hits);
        case 256:
          return scan_any_rows<Simd, kQueries, own_length<Simd, Cost>(256)>(costs, rows, 0, limits,
                                                                            hits);
        case 384:
          return scan_any_rows<Simd, kQueries, own_length<Simd, Cost>(384)>(costs, rows, 0, limits,
                                                                            hits);
        case 512:
          return scan_any_rows<Simd, kQueries, own_length<Simd, Cost>(512)>(costs, rows, 0, limits,
                                                                            hits);
        default:
          break;
      }
    }
  }
  if constexpr (Simd::kMasksBytes) {
    return scan_masked_rows<Simd, kQueries>(costs, rows, limits, hits);
  }
  return scan_any_rows<Simd, kQueries, 0>(costs, rows, 0, limits, hits);
}

template <class Simd>
std::size_t scan_rows(const std::uint8_t* const* queries, std::size_t n_queries, RowSpan rows,
                      const std::int64_t* limits, Hit* hits) noexcept {
  static_assert(kMaxRowQueries == 2);
  if (n_queries == 1) {
    const UnitCost<Simd> cost = {queries[0]};
    return scan_rows_for<Simd, 1>(&cost, rows, limits, hits);
  }
  const UnitCost<Simd> costs[] = {{queries[0]}, {queries[1]}};
  return scan_rows_for<Simd, 2>(costs, rows, limits, hits);
}

template <class Simd>
std::size_t scan_rows_weighted(const std::uint8_t* query, const std::uint8_t* planes,
                               std::size_t plane_stride, RowSpan rows, std::int64_t limit,
                               Hit* hits) noexcept {
  const WeightedCost<Simd> cost = {query, planes, plane_stride};
  return scan_rows_for<Simd, 1>(&cost, rows, &limit, hits);
}

template <class Simd>
std::uint64_t read_all(const std::uint8_t* bytes, std::size_t n_bytes) noexcept {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kBytes = 8 * Simd::kLanes;
  constexpr std::size_t kVectors = 4;
  Vector seen[kVectors];
  for (auto& x : seen) x = Simd::broadcast(0);
  std::size_t i = 0;
  for (; i + kVectors * kBytes <= n_bytes; i += kVectors * kBytes) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      seen[v] = Simd::exclusive_or(seen[v], Simd::load(bytes + i + v * kBytes));
    }
  }
  std::uint64_t result = 0;
  for (; i < n_bytes; ++i) result ^= bytes[i];
  for (const Vector& x : seen) {
    std::uint64_t lanes[Simd::kLanes];
    Simd::store_lanes(lanes, x);
    for (const std::uint64_t lane : lanes) result ^= lane;
  }
  return result;
}

}  // namespace bitsift
