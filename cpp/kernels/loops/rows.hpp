// SPDX-License-Identifier: Apache-2.0
// One or two queries against rows as they lie: bound by memory if the codes do not fit a cache.
// There is no prefetch instruction: processors follow a stream of rows by themselves, and
// prefetching as well was slower (bench/README.md).
#pragma once

#include "kernels/kernels.hpp"

namespace bitsift {

// The cost of the bits in which a query and a row differ: one each.
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

// From this length in bytes on, rows are read one after the other: eight at once are streams that
// processors do not follow. Shorter rows are read side by side, which takes fewer instructions.
inline constexpr std::size_t kLongRow = 160;

// Distances of queries to as many rows as a vector has lanes: lane i of distances[q] is that of
// query q and rows[i]. kAtOnce rows are read side by side, each vector of them once for all
// queries; sums cross lanes once, together with those of the other rows.
template <class Simd, std::size_t kQueries, std::size_t kAtOnce, class Cost>
inline void row_distances(const Cost* costs, const std::uint8_t* const* rows, std::size_t n_bytes,
                          typename Simd::Vector* distances) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kRows = Simd::kLanes;
  constexpr std::size_t kBytes = 8 * Simd::kLanes;
  const std::size_t n_whole = n_bytes / kBytes;
  Vector totals[kQueries][kRows];
  for (std::size_t first = 0; first < kRows; first += kAtOnce) {
    Vector sums[kQueries][kAtOnce];
    for (std::size_t q = 0; q < kQueries; ++q) {
      for (std::size_t row = 0; row < kAtOnce; ++row) {
        totals[q][first + row] = Simd::broadcast(0);
        sums[q][row] = Simd::broadcast(0);
      }
    }
    const auto add = [&](std::size_t row, Vector document, std::size_t offset) {
      for (std::size_t q = 0; q < kQueries; ++q) {
        sums[q][row] = costs[q].add(sums[q][row], document, offset);
      }
    };
    const auto flush = [&] {
      for (std::size_t q = 0; q < kQueries; ++q) {
        for (std::size_t row = 0; row < kAtOnce; ++row) {
          Vector& total = totals[q][first + row];
          total = Simd::add_lanes(total, Cost::flush(sums[q][row]));
          sums[q][row] = Simd::broadcast(0);
        }
      }
    };
    for (std::size_t i = 0; i < n_whole;) {
      const bool is_full = n_whole - i >= Cost::kVectorsPerFlush;
      const std::size_t end = is_full ? i + Cost::kVectorsPerFlush : n_whole;
      for (; i < end; ++i) {
        for (std::size_t row = 0; row < kAtOnce; ++row) {
          add(row, Simd::load(rows[first + row] + i * kBytes), i * kBytes);
        }
      }
      if (is_full) flush();
    }
    if (const std::size_t n_left = n_bytes - n_whole * kBytes) {
      const std::size_t offset = n_whole * kBytes;
      for (std::size_t row = 0; row < kAtOnce; ++row) {
        add(row, Simd::load_partial(rows[first + row] + offset, n_left), offset);
      }
    }
    flush();
  }
  for (std::size_t q = 0; q < kQueries; ++q) distances[q] = Simd::row_sums(totals[q]);
}

// Distances to contiguous rows of one, two or four words, shorter than a vector: a few rows fill
// one. `queries` are repeated to fill one as well.
template <class Simd, std::size_t kQueries, std::size_t kWords>
inline void short_row_distances(const typename Simd::Vector* queries, const std::uint8_t* rows,
                                typename Simd::Vector* distances) {
  using Vector = typename Simd::Vector;
  Vector sums[kQueries][kWords];
  for (std::size_t i = 0; i < kWords; ++i) {
    const Vector documents = Simd::load(rows + i * 8 * Simd::kLanes);
    for (std::size_t q = 0; q < kQueries; ++q) {
      sums[q][i] = Simd::lane_sums(Simd::count(Simd::exclusive_or(queries[q], documents)));
    }
  }
  for (std::size_t q = 0; q < kQueries; ++q) {
    distances[q] = Simd::template short_row_sums<kWords>(sums[q]);
  }
}

// Calls measure(first, n_present, distances) for the rows, as many at once as a vector has lanes,
// and reports those within the limits.
template <class Simd, std::size_t kQueries, class Measure>
inline std::size_t report_rows(std::size_t begin, std::size_t end, const std::int64_t* limits,
                               Hit* hits, Measure measure) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kRows = Simd::kLanes;
  // A distance within the limit is negative once this is added.
  Vector beyond[kQueries];
  for (std::size_t q = 0; q < kQueries; ++q) {
    beyond[q] = Simd::broadcast(static_cast<std::uint64_t>(-limits[q] - 1));
  }
  std::size_t n_hits = 0;
  for (std::size_t first = begin; first < end; first += kRows) {
    const std::size_t n_present = end - first < kRows ? end - first : kRows;
    Vector distances[kQueries];
    measure(first, n_present, distances);
    for (std::size_t q = 0; q < kQueries; ++q) {
      std::uint32_t near =
          Simd::negative_lanes(Simd::add_lanes(distances[q], beyond[q])) & ((1u << n_present) - 1);
      if (near == 0) continue;
      std::uint64_t of_rows[kRows];
      Simd::store_lanes(of_rows, distances[q]);
      for (; near != 0; near &= near - 1) {
        const auto row = static_cast<std::uint32_t>(__builtin_ctz(near));
        hits[n_hits++] = {static_cast<std::uint32_t>(q), static_cast<std::uint32_t>(first) + row,
                          static_cast<std::int32_t>(of_rows[row])};
      }
    }
  }
  return n_hits;
}

// Rows [begin, n_rows).
template <class Simd, std::size_t kQueries, class Cost>
inline std::size_t scan_rows_by(const Cost* costs, const std::uint8_t* rows, std::ptrdiff_t stride,
                                std::size_t begin, std::size_t n_rows, std::size_t n_bytes,
                                const std::int64_t* limits, Hit* hits) {
  return report_rows<Simd, kQueries>(
      begin, n_rows, limits, hits,
      [&](std::size_t first, std::size_t n_present, typename Simd::Vector* distances) {
        const std::uint8_t* group[Simd::kLanes];
        for (std::size_t row = 0; row < Simd::kLanes; ++row) {
          // The last group is padded with its last row; distances of the padding are ignored.
          const std::size_t present = row < n_present ? row : n_present - 1;
          group[row] = rows + static_cast<std::ptrdiff_t>(first + present) * stride;
        }
        if (n_bytes < kLongRow) {
          row_distances<Simd, kQueries, Simd::kLanes>(costs, group, n_bytes, distances);
        } else {
          row_distances<Simd, kQueries, 1>(costs, group, n_bytes, distances);
        }
      });
}

template <class Simd, std::size_t kQueries, std::size_t kWords>
inline std::size_t scan_short_rows(const UnitCost<Simd>* costs, const std::uint8_t* rows,
                                   std::size_t n_rows, const std::int64_t* limits, Hit* hits) {
  if constexpr (kWords < Simd::kLanes) {
    typename Simd::Vector repeated[kQueries];
    for (std::size_t q = 0; q < kQueries; ++q) {
      std::uint64_t words[Simd::kLanes];
      for (std::size_t i = 0; i < Simd::kLanes; ++i) {
        __builtin_memcpy(&words[i], costs[q].query + i % kWords * 8, 8);
      }
      repeated[q] = Simd::load(words);
    }
    // The last few rows, which do not fill the vectors, are scanned like longer ones.
    const std::size_t n_whole = n_rows / Simd::kLanes * Simd::kLanes;
    const std::size_t n_hits = report_rows<Simd, kQueries>(
        0, n_whole, limits, hits,
        [&](std::size_t first, std::size_t, typename Simd::Vector* distances) {
          short_row_distances<Simd, kQueries, kWords>(repeated, rows + first * 8 * kWords,
                                                      distances);
        });
    return n_hits + scan_rows_by<Simd, kQueries>(costs, rows, 8 * kWords, n_whole, n_rows,
                                                 8 * kWords, limits, hits + n_hits);
  } else {
    return scan_rows_by<Simd, kQueries>(costs, rows, 8 * kWords, 0, n_rows, 8 * kWords, limits,
                                        hits);
  }
}

template <class Simd, std::size_t kQueries>
inline std::size_t scan_rows_for(const UnitCost<Simd>* costs, const std::uint8_t* rows,
                                 std::ptrdiff_t stride, std::size_t n_rows, std::size_t n_bytes,
                                 const std::int64_t* limits, Hit* hits) {
  if (stride == static_cast<std::ptrdiff_t>(n_bytes)) {
    if (n_bytes == 8) return scan_short_rows<Simd, kQueries, 1>(costs, rows, n_rows, limits, hits);
    if (n_bytes == 16) return scan_short_rows<Simd, kQueries, 2>(costs, rows, n_rows, limits, hits);
    if (n_bytes == 32) return scan_short_rows<Simd, kQueries, 4>(costs, rows, n_rows, limits, hits);
  }
  return scan_rows_by<Simd, kQueries>(costs, rows, stride, 0, n_rows, n_bytes, limits, hits);
}

template <class Simd>
std::size_t scan_rows(const std::uint8_t* const* queries, std::size_t n_queries,
                      const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
                      std::size_t n_bytes, const std::int64_t* limits, Hit* hits) noexcept {
  static_assert(kMaxRowQueries == 2);
  if (n_queries == 1) {
    const UnitCost<Simd> cost = {queries[0]};
    return scan_rows_for<Simd, 1>(&cost, rows, stride, n_rows, n_bytes, limits, hits);
  }
  const UnitCost<Simd> costs[] = {{queries[0]}, {queries[1]}};
  return scan_rows_for<Simd, 2>(costs, rows, stride, n_rows, n_bytes, limits, hits);
}

template <class Simd>
std::size_t scan_rows_weighted(const std::uint8_t* query, const std::uint8_t* planes,
                               std::size_t plane_stride, std::size_t n_planes,
                               const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
                               std::size_t n_bytes, std::int64_t limit, Hit* hits) noexcept {
  const WeightedCost<Simd> cost = {query, planes, plane_stride, n_planes};
  return scan_rows_by<Simd, 1>(&cost, rows, stride, 0, n_rows, n_bytes, &limit, hits);
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
