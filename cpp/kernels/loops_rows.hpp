// SPDX-License-Identifier: Apache-2.0
// One query, rows as they lie: bound by memory where the codes do not fit a cache. There is no
// prefetch instruction: processors follow a stream of rows by themselves, and asking ahead as well
// made it slower (bench/README.md).
#pragma once

#include "kernels/kernels.hpp"

namespace bitsift {

// What the bits in which a query and a row differ cost: one each.
template <class Simd>
struct UnitCost {
  using Vector = typename Simd::Vector;
  static constexpr std::size_t kVectorsPerFlush = Simd::kWordsPerFlush;

  const std::uint8_t* query;

  // Adds the cost of bytes [offset, offset + 8 * kLanes).
  Vector add(Vector sums, Vector document, std::size_t offset) const {
    const Vector differing = Simd::exclusive_or(Simd::load(query + offset), document);
    return Simd::add(sums, Simd::count(differing));
  }
  static Vector flush(Vector sums) { return Simd::lane_sums(sums); }
};

// The same with magnitudes: 2^p for each differing bit that plane p has.
template <class Simd>
struct WeightedCost {
  using Vector = typename Simd::Vector;
  static constexpr std::size_t kVectorsPerFlush = SIZE_MAX;

  const std::uint8_t* query;
  const std::uint8_t* planes;
  std::size_t plane_stride;
  std::size_t n_planes;

  Vector add(Vector sums, Vector document, std::size_t offset) const {
    const Vector differing = Simd::exclusive_or(Simd::load(query + offset), document);
    Vector cost = Simd::broadcast(0);
    for (std::size_t p = n_planes; p-- > 0;) {
      const Vector plane = Simd::load(planes + p * plane_stride + offset);
      const Vector counts = Simd::lane_sums(Simd::count(Simd::bitwise_and(differing, plane)));
      cost = Simd::add_lanes(Simd::add_lanes(cost, cost), counts);
    }
    return Simd::add_lanes(sums, cost);
  }
  static Vector flush(Vector sums) { return sums; }
};

// Distances of a query to as many rows as a vector has lanes: lane i is that to rows[i]. A row's
// sums cross lanes only once, together with those of the other rows.
template <class Simd, class Cost>
inline typename Simd::Vector row_distances(const Cost& cost, const std::uint8_t* const* rows,
                                           std::size_t n_bytes) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kRows = Simd::kLanes;
  constexpr std::size_t kBytes = 8 * Simd::kLanes;
  const std::size_t n_whole = n_bytes / kBytes;
  Vector totals[kRows];
  for (auto& total : totals) total = Simd::broadcast(0);
  for (std::size_t begin = 0; begin < n_whole;) {
    const std::size_t n_left = n_whole - begin;
    const std::size_t end =
        begin + (n_left < Cost::kVectorsPerFlush ? n_left : Cost::kVectorsPerFlush);
    Vector sums[kRows];
    for (auto& sum : sums) sum = Simd::broadcast(0);
    for (std::size_t i = begin; i < end; ++i) {
      for (std::size_t row = 0; row < kRows; ++row) {
        sums[row] = cost.add(sums[row], Simd::load(rows[row] + i * kBytes), i * kBytes);
      }
    }
    for (std::size_t row = 0; row < kRows; ++row) {
      totals[row] = Simd::add_lanes(totals[row], Cost::flush(sums[row]));
    }
    begin = end;
  }
  if (const std::size_t n_left = n_bytes - n_whole * kBytes) {
    for (std::size_t row = 0; row < kRows; ++row) {
      const Vector document = Simd::load_partial(rows[row] + n_whole * kBytes, n_left);
      const Vector sums = cost.add(Simd::broadcast(0), document, n_whole * kBytes);
      totals[row] = Simd::add_lanes(totals[row], Cost::flush(sums));
    }
  }
  return Simd::row_sums(totals);
}

template <class Simd, class Cost>
inline std::size_t scan_rows_by(const Cost& cost, const std::uint8_t* rows, std::ptrdiff_t stride,
                                std::size_t n_rows, std::size_t n_bytes, std::int64_t limit,
                                Hit* hits) {
  constexpr std::size_t kRows = Simd::kLanes;
  // A distance within the limit is negative once this is added.
  const auto beyond = Simd::broadcast(static_cast<std::uint64_t>(-limit - 1));
  std::size_t n_hits = 0;
  for (std::size_t first = 0; first < n_rows; first += kRows) {
    const std::size_t n_left = n_rows - first;
    const std::size_t n_present = n_left < kRows ? n_left : kRows;
    const std::uint8_t* group[kRows];
    for (std::size_t row = 0; row < kRows; ++row) {
      // The last group is filled up with its last row; what that gives is not looked at.
      const std::size_t present = row < n_present ? row : n_present - 1;
      group[row] = rows + static_cast<std::ptrdiff_t>(first + present) * stride;
    }
    const auto sums = row_distances<Simd>(cost, group, n_bytes);
    std::uint32_t near =
        Simd::negative_lanes(Simd::add_lanes(sums, beyond)) & ((1u << n_present) - 1);
    if (near == 0) continue;
    std::uint64_t distances[kRows];
    Simd::store_lanes(distances, sums);
    for (; near != 0; near &= near - 1) {
      const auto row = static_cast<std::uint32_t>(__builtin_ctz(near));
      hits[n_hits++] = {0, static_cast<std::uint32_t>(first) + row,
                        static_cast<std::int32_t>(distances[row])};
    }
  }
  return n_hits;
}

template <class Simd>
std::size_t scan_rows(const std::uint8_t* query, const std::uint8_t* rows, std::ptrdiff_t stride,
                      std::size_t n_rows, std::size_t n_bytes, std::int64_t limit,
                      Hit* hits) noexcept {
  return scan_rows_by<Simd>(UnitCost<Simd>{query}, rows, stride, n_rows, n_bytes, limit, hits);
}

template <class Simd>
std::size_t scan_rows_weighted(const std::uint8_t* query, const std::uint8_t* planes,
                               std::size_t plane_stride, std::size_t n_planes,
                               const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
                               std::size_t n_bytes, std::int64_t limit, Hit* hits) noexcept {
  return scan_rows_by<Simd>(WeightedCost<Simd>{query, planes, plane_stride, n_planes}, rows, stride,
                            n_rows, n_bytes, limit, hits);
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
