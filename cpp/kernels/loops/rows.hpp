// SPDX-License-Identifier: Apache-2.0
// One or two queries against rows as they lie. Bound by memory if the codes do not fit a cache, so
// what counts is the order of the loads: processors follow a stream of ascending addresses by
// themselves. Long rows are read one after the other, each with its sums in registers. Rows of
// common lengths, one behind the other, are read as a stream of whole vectors, whatever rows these
// hold. Only other short rows are read side by side, which takes fewer instructions.
//
// On some processors one stream becomes faster with prefetch instructions, on others slower: the
// caller says how far ahead to prefetch (search/scan_method.hpp measures it).
#pragma once

#include "kernels/kernels.hpp"

namespace bitsift {

// From this length in bytes on, rows are read one after the other.
inline constexpr std::size_t kLongRow = 64;

// The cost of the bits in which a query and a row differ: one each.
template <class Simd>
struct UnitCost {
  using Vector = typename Simd::Vector;
  static constexpr std::size_t kVectorsPerFlush = Simd::kWordsPerFlush;
  static constexpr int kLocality = 3;  // of what is prefetched: L1
  // What a vector of a row is compared with, and the same for some bytes of a vector.
  struct Part {
    Vector query;
  };
  struct MaskedPart : Part {
    Vector mask;
  };

  const std::uint8_t* query;

  // `load` takes the first byte of a code, and returns the part of it.
  template <class Load>
  Part part(Load load) const {
    return {load(query)};
  }
  template <class Load>
  MaskedPart masked_part(Load load, Vector mask) const {
    return {part(load), mask};
  }
  static Vector of(const Part& part, Vector document) {
    return Simd::count(Simd::exclusive_or(part.query, document));
  }
  static Vector of(const MaskedPart& part, Vector document) {
    return Simd::count_within(Simd::exclusive_or(part.query, document), part.mask);
  }
  static Vector add(Vector sums, Vector costs) { return Simd::add(sums, costs); }
  static Vector flush(Vector sums) { return Simd::lane_sums(sums); }
};

// The same with magnitudes: 2^p for each differing bit that plane p has. The cost of 8 bits fits a
// byte.
template <class Simd>
struct WeightedCost {
  static_assert(8 * ((std::size_t{1} << kMagnitudeBits) - 1) < 256);
  using Vector = typename Simd::Vector;
  static constexpr std::size_t kVectorsPerFlush = SIZE_MAX;
  static constexpr int kLocality = 2;  // L2: a row takes so long that its successors fall out of L1
  struct Part {
    Vector query;
    Vector planes[kMagnitudeBits];
  };
  using MaskedPart = Part;

  const std::uint8_t* query;
  const std::uint8_t* planes;
  std::size_t plane_stride;

  template <class Load>
  Part part(Load load) const {
    Part result;
    result.query = load(query);
    for (std::size_t p = 0; p < kMagnitudeBits; ++p) {
      result.planes[p] = load(planes + p * plane_stride);
    }
    return result;
  }
  template <class Load>
  MaskedPart masked_part(Load load, Vector mask) const {
    MaskedPart result = part(load);
    for (Vector& plane : result.planes) plane = Simd::bitwise_and(plane, mask);
    return result;
  }
  static Vector of(const Part& part, Vector document) {
    const Vector differing = Simd::exclusive_or(part.query, document);
    const auto counts = [&](std::size_t p) {
      return Simd::count(Simd::bitwise_and(differing, part.planes[p]));
    };
    Vector cost = counts(kMagnitudeBits - 1);
    for (std::size_t p = kMagnitudeBits - 1; p-- > 0;) cost = Simd::twice_plus(cost, counts(p));
    return Simd::lane_sums(cost);
  }
  static Vector add(Vector sums, Vector costs) { return Simd::add_lanes(sums, costs); }
  static Vector flush(Vector sums) { return sums; }
};

// Asks for the lines `ahead` bytes behind these, or for none if `ahead` is 0. Nothing need be
// there.
// Inlined in any case: GCC drops calls of functions that do nothing but prefetch.
template <class Cost>
[[gnu::always_inline]] inline void prefetch_behind(const std::uint8_t* bytes, std::size_t n_bytes,
                                                   std::size_t ahead) {
  constexpr std::size_t kCacheLine = 64;
  if (ahead == 0) return;
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(bytes) + ahead;
  for (std::size_t i = 0; i < n_bytes; i += kCacheLine) {
    __builtin_prefetch(reinterpret_cast<const void*>(first + i), 0, Cost::kLocality);
  }
}

// Costs of kAtOnce rows of any length, which are read side by side, each vector of them once for
// all queries: out[q][row] has a sum in each lane.
template <class Simd, std::size_t kQueries, std::size_t kAtOnce, class Cost>
inline void lane_costs(const Cost* costs, const std::uint8_t* const* rows, std::size_t n_bytes,
                       typename Simd::Vector (*out)[kAtOnce]) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kBytes = 8 * Simd::kLanes;
  constexpr bool kFlushes = Cost::kVectorsPerFlush != SIZE_MAX;
  Vector totals[kQueries][kAtOnce];
  Vector sums[kQueries][kAtOnce];
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t row = 0; row < kAtOnce; ++row) {
      sums[q][row] = Simd::broadcast(0);
      if constexpr (kFlushes) totals[q][row] = Simd::broadcast(0);
    }
  }
  const auto add_parts = [&](const auto* parts, std::size_t offset, auto load) {
    for (std::size_t row = 0; row < kAtOnce; ++row) {
      const Vector document = load(rows[row] + offset);
      for (std::size_t q = 0; q < kQueries; ++q) {
        sums[q][row] = Cost::add(sums[q][row], Cost::of(parts[q], document));
      }
    }
  };
  // Adds the costs of bytes [offset, offset + kBytes), which `load` loads.
  const auto add = [&](std::size_t offset, auto load) {
    typename Cost::Part parts[kQueries];
    for (std::size_t q = 0; q < kQueries; ++q) {
      parts[q] = costs[q].part([&](const std::uint8_t* code) { return Simd::load(code + offset); });
    }
    add_parts(parts, offset, load);
  };
  const auto add_whole = [&](std::size_t offset) {
    add(offset, [](const std::uint8_t* p) { return Simd::load(p); });
  };
  const auto flush = [&] {
    for (std::size_t q = 0; q < kQueries; ++q) {
      for (std::size_t row = 0; row < kAtOnce; ++row) {
        totals[q][row] = Simd::add_lanes(totals[q][row], Cost::flush(sums[q][row]));
        sums[q][row] = Simd::broadcast(0);
      }
    }
  };
  const std::size_t n_whole = n_bytes / kBytes;
  std::size_t i = 0;
  if constexpr (kFlushes) {
    while (n_whole - i >= Cost::kVectorsPerFlush) {
      for (const std::size_t end = i + Cost::kVectorsPerFlush; i < end; ++i) add_whole(i * kBytes);
      flush();
    }
  }
  for (; i < n_whole; ++i) add_whole(i * kBytes);
  if (const std::size_t n_left = n_bytes % kBytes) {
    const auto add_left = [&] {
      add(i * kBytes, [&](const std::uint8_t* p) { return Simd::load_partial(p, n_left); });
    };
    if constexpr (Simd::kMasksBytes) {
      if (n_whole > 0) {
        // The last whole vector of a row, of which only the bytes that are left count.
        const std::size_t offset = n_bytes - kBytes;
        typename Cost::MaskedPart parts[kQueries];
        for (std::size_t q = 0; q < kQueries; ++q) {
          parts[q] = costs[q].masked_part(
              [&](const std::uint8_t* code) { return Simd::load(code + offset); },
              Simd::last_bytes(n_left));
        }
        add_parts(parts, offset, [](const std::uint8_t* p) { return Simd::load(p); });
      } else {
        add_left();
      }
    } else {
      add_left();
    }
  }
  if constexpr (kFlushes) flush();
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t row = 0; row < kAtOnce; ++row) {
      out[q][row] = kFlushes ? totals[q][row] : sums[q][row];
    }
  }
}

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

template <std::size_t kValue>
struct Index {
  static constexpr std::size_t value = kValue;
};

// Calls body(Index<i>) for i in [kBegin, kEnd).
template <std::size_t kBegin, std::size_t kEnd, class Body>
[[gnu::always_inline]] inline void for_each_index(const Body& body) {
  if constexpr (kBegin < kEnd) {
    body(Index<kBegin>{});
    for_each_index<kBegin + 1, kEnd>(body);
  }
}

// Distances to a group of contiguous rows of kWords words. `parts` are those of WordRows::kVectors
// vectors, for each query.
template <class Simd, std::size_t kQueries, std::size_t kWords, class Cost, class Parts>
[[gnu::always_inline]] inline void word_row_distances(const Parts& parts, const std::uint8_t* group,
                                                      typename Simd::Vector* distances) {
  using Vector = typename Simd::Vector;
  using Layout = WordRows<kWords, Simd::kLanes>;
  constexpr std::size_t kRows = Simd::kLanes;
  constexpr std::uint32_t kAllLanes = (1u << Simd::kLanes) - 1;
  constexpr bool kShort = Simd::kLanes % kWords == 0 && kWords < Simd::kLanes;
  Vector sums[kQueries][kShort ? kWords : kRows];
  for_each_index<0, kWords>([&](auto vector) {
    constexpr std::size_t v = vector.value;
    const Vector document = Simd::load(group + v * 8 * Simd::kLanes);
    for (std::size_t q = 0; q < kQueries; ++q) {
      const Vector costs = Cost::of(parts[q][v % Layout::kVectors], document);
      if constexpr (kShort) {
        sums[q][v] = Cost::flush(costs);
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
          if constexpr (kLast) sum = Simd::concealed(Cost::flush(sum));
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
  }
}

// Calls measure(first, n_present, distances) for the rows, as many at once as a vector has lanes,
// and reports those within the limits. The limits are tested for kGroups vectors together, all of
// which have rows if there are more than one.
template <class Simd, std::size_t kQueries, std::size_t kGroups, class Measure>
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
  for (std::size_t first = begin; first < end; first += kGroups * kRows) {
    const std::size_t n_present = end - first < kRows ? end - first : kRows;
    Vector distances[kGroups][kQueries];
    for (std::size_t g = 0; g < kGroups; ++g) {
      measure(first + g * kRows, n_present, distances[g]);
    }
    for (std::size_t q = 0; q < kQueries; ++q) {
      Vector any = Simd::add_lanes(distances[0][q], beyond[q]);
      for (std::size_t g = 1; g < kGroups; ++g) {
        any = Simd::bitwise_or(any, Simd::add_lanes(distances[g][q], beyond[q]));
      }
      if ((Simd::negative_lanes(any) & ((1u << n_present) - 1)) == 0) continue;
      for (std::size_t g = 0; g < kGroups; ++g) {
        std::uint32_t near = Simd::negative_lanes(Simd::add_lanes(distances[g][q], beyond[q])) &
                             ((1u << n_present) - 1);
        std::uint64_t of_rows[kRows];
        Simd::store_lanes(of_rows, distances[g][q]);
        for (; near != 0; near &= near - 1) {
          const auto row = static_cast<std::uint32_t>(__builtin_ctz(near));
          hits[n_hits++] = {static_cast<std::uint32_t>(q),
                            static_cast<std::uint32_t>(first + g * kRows) + row,
                            static_cast<std::int32_t>(of_rows[row])};
        }
      }
    }
  }
  return n_hits;
}

// Rows [begin, n_rows). kBytes is their length, or 0 where only rows.n_bytes knows it. The loop
// over long rows stays a loop: processors that prefetch by the address of a load follow a few of
// these, not those of eight rows (192 bytes, Zen 4: 88 % of the bandwidth instead of all).
template <class Simd, std::size_t kQueries, std::size_t kBytes, class Cost>
inline std::size_t scan_any_rows(const Cost* costs, RowSpan rows, std::size_t begin,
                                 const std::int64_t* limits, Hit* hits) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kRows = Simd::kLanes;
  const std::size_t n_bytes = kBytes != 0 ? kBytes : rows.n_bytes;
  return report_rows<Simd, kQueries, 1>(
      begin, rows.n_rows, limits, hits,
      [&](std::size_t first, std::size_t n_present, Vector* distances) {
        // The last group is padded with its last row; distances of the padding are ignored.
        const auto place = [&](std::size_t row) {
          const std::size_t present = row < n_present ? row : n_present - 1;
          return rows.first + static_cast<std::ptrdiff_t>(first + present) * rows.stride;
        };
        Vector sums[kQueries][kRows];
        if (n_bytes < kLongRow) {
          const std::uint8_t* group[kRows];
          for (std::size_t row = 0; row < kRows; ++row) {
            group[row] = place(row);
            prefetch_behind<Cost>(group[row], n_bytes, rows.ahead);
          }
          lane_costs<Simd, kQueries, kRows>(costs, group, n_bytes, sums);
        } else {
#pragma GCC unroll 1
          for (std::size_t row = 0; row < kRows; ++row) {
            const std::uint8_t* bytes = place(row);
            prefetch_behind<Cost>(bytes, n_bytes, rows.ahead);
            Vector of_row[kQueries][1];
            lane_costs<Simd, kQueries, 1>(costs, &bytes, n_bytes, of_row);
            for (std::size_t q = 0; q < kQueries; ++q) sums[q][row] = of_row[q][0];
          }
        }
        for (std::size_t q = 0; q < kQueries; ++q) distances[q] = Simd::row_sums(sums[q]);
      });
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

// Rows of kVectors vectors, of which the last one begins where the row still has a whole vector: what
// it shares with the one before is masked.
template <class Simd, std::size_t kQueries, std::size_t kVectors, class Cost>
[[gnu::noinline]] std::size_t scan_masked_rows(const Cost* costs, RowSpan rows, const std::int64_t* limits,
                                    Hit* hits) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kBytes = 8 * Simd::kLanes;
  static_assert(kVectors > 1 && kVectors <= Cost::kVectorsPerFlush);
  constexpr std::size_t kRows = Simd::kLanes;
  const std::size_t last = rows.n_bytes - kBytes;
  typename Cost::MaskedPart last_part[kQueries];
  for (std::size_t q = 0; q < kQueries; ++q) {
    last_part[q] =
        costs[q].masked_part([&](const std::uint8_t* code) { return Simd::load(code + last); },
                             Simd::last_bytes(rows.n_bytes - (kVectors - 1) * kBytes));
  }
  return report_rows<Simd, kQueries, 1>(
      0, rows.n_rows, limits, hits,
      [&](std::size_t first, std::size_t n_present, Vector* distances) {
        Vector sums[kQueries][kRows];
        const auto add_row = [&](std::size_t row) __attribute__((always_inline)) {
          // The last group is padded with its last row; distances of the padding are ignored.
          const std::size_t present = row < n_present ? row : n_present - 1;
          const std::uint8_t* code =
              rows.first + static_cast<std::ptrdiff_t>(first + present) * rows.stride;
          prefetch_behind<Cost>(code, kVectors * kBytes, rows.ahead);
          Vector sum[kQueries];
          for_each_index<0, kVectors - 1>([&](auto v) __attribute__((always_inline)) {
            const Vector document = Simd::load(code + v.value * kBytes);
            for (std::size_t q = 0; q < kQueries; ++q) {
              const Vector of_part =
                  Cost::of(costs[q].part([&](const std::uint8_t* query) {
                    return Simd::load(query + v.value * kBytes);
                  }), document);
              sum[q] = Simd::concealed(v.value == 0 ? of_part : Cost::add(sum[q], of_part));
            }
          });
          const Vector document = Simd::load(code + last);
          for (std::size_t q = 0; q < kQueries; ++q) {
            sum[q] = Cost::add(sum[q], Cost::of(last_part[q], document));
            // Concealed, or compilers load rows in another order, which is slower from memory.
            sums[q][row] = Simd::concealed(Cost::flush(sum[q]));
          }
        };
        if constexpr (kVectors <= 4) {
          for_each_index<0, kRows>([&](auto row) { add_row(row.value); });
        } else {
#pragma GCC unroll 1
          for (std::size_t row = 0; row < kRows; ++row) add_row(row);
        }
        for (std::size_t q = 0; q < kQueries; ++q) distances[q] = Simd::row_sums(sums[q]);
      });
}

// The same, for as many vectors as the rows have.
template <class Simd, std::size_t kQueries, std::size_t kVectors, class Cost>
inline std::size_t scan_rows_of_vectors(const Cost* costs, RowSpan rows,
                                        const std::int64_t* limits, Hit* hits) {
  if (rows.n_bytes <= kVectors * 8 * Simd::kLanes) {
    return scan_masked_rows<Simd, kQueries, kVectors>(costs, rows, limits, hits);
  }
  if constexpr (kVectors < 16) {
    return scan_rows_of_vectors<Simd, kQueries, kVectors + 1>(costs, rows, limits, hits);
  } else {
    return scan_any_rows<Simd, kQueries, 0>(costs, rows, 0, limits, hits);
  }
}

// Contiguous rows shorter than a vector, each of which is loaded with bytes of its successors, two
// at once into the halves of a vector if they fit. The last few rows have too few behind them.
template <class Simd, std::size_t kQueries, bool kHalves, class Cost>
inline std::size_t scan_short_rows(const Cost* costs, RowSpan rows, const std::int64_t* limits,
                                   Hit* hits) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kLoad = 8 * Simd::kLanes / (kHalves ? 2 : 1);
  constexpr std::size_t kAtOnce = kHalves ? 2 : 1;
  constexpr std::size_t kVectors = Simd::kLanes / kAtOnce;
  const std::size_t n_bytes = rows.n_bytes;
  typename Cost::MaskedPart parts[kQueries];
  for (std::size_t q = 0; q < kQueries; ++q) {
    const auto load = [](const std::uint8_t* code) {
      if constexpr (kHalves) return Simd::load_halves(code, code);
      return Simd::load(code);
    };
    parts[q] = costs[q].masked_part(load, kHalves ? Simd::first_bytes_of_halves(n_bytes)
                                                  : Simd::first_bytes(n_bytes));
  }
  const std::size_t n_total = rows.n_rows * n_bytes;
  const std::size_t n_wide = n_total < kLoad ? 0 : (n_total - kLoad) / n_bytes + 1;
  const std::size_t n_whole = n_wide / Simd::kLanes * Simd::kLanes;
  const std::size_t n_hits = report_rows<Simd, kQueries, 1>(
      0, n_whole, limits, hits, [&](std::size_t first, std::size_t, Vector* distances) {
        const std::uint8_t* group = rows.first + first * n_bytes;
        prefetch_behind<Cost>(group, Simd::kLanes * n_bytes, rows.ahead);
        Vector sums[kQueries][kVectors];
        for (std::size_t v = 0; v < kVectors; ++v) {
          const std::uint8_t* row = group + v * kAtOnce * n_bytes;
          Vector document;
          if constexpr (kHalves) {
            document = Simd::load_halves(row, row + n_bytes);
          } else {
            document = Simd::load(row);
          }
          for (std::size_t q = 0; q < kQueries; ++q) {
            sums[q][v] = Cost::flush(Cost::of(parts[q], document));
          }
        }
        for (std::size_t q = 0; q < kQueries; ++q) {
          if constexpr (kHalves) {
            distances[q] = Simd::template short_row_sums<2>(sums[q]);
          } else {
            distances[q] = Simd::row_sums(sums[q]);
          }
        }
      });
  return n_hits + scan_any_rows<Simd, kQueries, 0>(costs, rows, n_whole, limits, hits + n_hits);
}

template <class Simd, std::size_t kQueries, class Cost>
inline std::size_t scan_rows_for(const Cost* costs, RowSpan rows, const std::int64_t* limits,
                                 Hit* hits) {
  constexpr bool kUnit = Cost::kVectorsPerFlush != SIZE_MAX;
  if constexpr (Simd::kLanes > 1) {
    if (rows.stride == static_cast<std::ptrdiff_t>(rows.n_bytes)) {
      switch (rows.n_bytes) {
        case 8:
          return scan_word_rows<Simd, kQueries, 1>(costs, rows, limits, hits);
        case 16:
          return scan_word_rows<Simd, kQueries, 2>(costs, rows, limits, hits);
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
        default:
          break;
      }
      if constexpr (Simd::kMasksBytes) {
        if constexpr (kUnit) {
          switch (rows.n_bytes) {
#ifdef W24
            case 24:
              return scan_word_rows<Simd, kQueries, 3>(costs, rows, limits, hits);
#endif
            case 40:
              return scan_word_rows<Simd, kQueries, 5>(costs, rows, limits, hits);
            case 56:
              return scan_word_rows<Simd, kQueries, 7>(costs, rows, limits, hits);
            case 72:
              return scan_word_rows<Simd, kQueries, 9>(costs, rows, limits, hits);
            case 80:
              return scan_word_rows<Simd, kQueries, 10>(costs, rows, limits, hits);
            case 104:
              return scan_word_rows<Simd, kQueries, 13>(costs, rows, limits, hits);
            case 112:
              return scan_word_rows<Simd, kQueries, 14>(costs, rows, limits, hits);
            default:
              break;
          }
        }
        if (rows.n_bytes <= 4 * Simd::kLanes) {
          return scan_short_rows<Simd, kQueries, true>(costs, rows, limits, hits);
        }
        if (rows.n_bytes < 8 * Simd::kLanes) {
          return scan_short_rows<Simd, kQueries, false>(costs, rows, limits, hits);
        }
      } else {
        switch (rows.n_bytes) {
          case 192:
            return scan_any_rows<Simd, kQueries, 192>(costs, rows, 0, limits, hits);
          case 256:
            return scan_any_rows<Simd, kQueries, 256>(costs, rows, 0, limits, hits);
          case 384:
            return scan_any_rows<Simd, kQueries, 384>(costs, rows, 0, limits, hits);
          case 512:
            return scan_any_rows<Simd, kQueries, 512>(costs, rows, 0, limits, hits);
          default:
            break;
        }
      }
    }
    if constexpr (Simd::kMasksBytes && kUnit) {
      if (rows.n_bytes > 8 * Simd::kLanes) {
        return scan_rows_of_vectors<Simd, kQueries, 2>(costs, rows, limits, hits);
      }
    }
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
