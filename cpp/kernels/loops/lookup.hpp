// SPDX-License-Identifier: Apache-2.0
// Many queries against a tile of documents, by table look-ups of distances, a digit at a time.
//
// One byte shuffle looks up a digit (tables.hpp) for as many documents as a vector has bytes.
// Tables in registers: Andre, Kermarrec, Le Scouarnec, "Cache locality is not enough: High-
// Performance Nearest Neighbor Search with Product Quantization Fast Scan" (PVLDB 9, 2015).
//
// Distances of a few digits, a run, are added up as bytes, then runs as 16 bits. A run is as long
// as the magnitudes of its queries let it be, so that a sum of bytes never overflows. Codes are
// taken a slice of digits at a time: the tables of a group for a slice stay in L1, and so does that
// slice of a block of documents. Whole tables would not; they are up to 85 times as long as codes.
#pragma once

#include "kernels/loops/tables.hpp"

namespace bitsift {

// Adds sums of 16 bits, those of the first and those of the second half of the rows, to totals, or
// begins the totals with them.
template <class Simd, bool kBegin>
inline void add_totals(std::uint16_t* totals, typename Simd::Vector first,
                       typename Simd::Vector second) {
  std::uint16_t* later = totals + 4 * Simd::kLanes;
  if constexpr (!kBegin) {
    first = Simd::add16(Simd::load(totals), first);
    second = Simd::add16(Simd::load(later), second);
  }
  Simd::store_lanes(reinterpret_cast<std::uint64_t*>(totals), first);
  Simd::store_lanes(reinterpret_cast<std::uint64_t*>(later), second);
}
template <class Simd, bool kBegin>
inline void add_totals(std::uint32_t* totals, typename Simd::Vector first,
                       typename Simd::Vector second) {
  std::uint16_t of_rows[8 * Simd::kLanes];
  auto* halves = reinterpret_cast<std::uint64_t*>(of_rows);
  Simd::store_lanes(halves, first);
  Simd::store_lanes(halves + Simd::kLanes, second);
  for (std::size_t row = 0; row < 8 * Simd::kLanes; ++row) {
    totals[row] = of_rows[row] + (kBegin ? 0 : totals[row]);
  }
}

// Sums of bytes, for a pair of queries and a block of documents.
template <class Simd>
struct LookupSums {
  typename Simd::Vector of[kLookupQueries][Simd::kLookupVectors];
};

// The hot loop: a run.
template <class Simd>
inline void add_run(const std::uint8_t* digits, const std::uint8_t* tables, std::size_t n_digits,
                    LookupSums<Simd>& sums) {
  using L = Lookup<Simd>;
  using Vector = typename Simd::Vector;
  const auto add_digit = [&]<bool kFirst>(std::size_t digit) {
    typename Simd::Table table[kLookupQueries];
    for (std::size_t i = 0; i < kLookupQueries; ++i) {
      table[i] = Simd::load_table(tables + digit * L::kPairBytes + i * L::kTableBytes);
    }
    for (std::size_t v = 0; v < L::kVectors; ++v) {
      const Vector document = Simd::load(digits + digit * L::kBlockRows + v * L::kVectorRows);
      for (std::size_t i = 0; i < kLookupQueries; ++i) {
        const Vector distances = Simd::look_up(table[i], document);
        // Concealed: GCC 12 would hold each sum in two registers, and some in memory.
        if constexpr (kFirst) {
          sums.of[i][v] = distances;
        } else {
          sums.of[i][v] = Simd::add_bytes(Simd::concealed(sums.of[i][v]), distances);
        }
      }
    }
  };
  add_digit.template operator()<true>(0);
  for (std::size_t digit = 1; digit < n_digits; ++digit) {
    add_digit.template operator()<false>(digit);
  }
}

// Adds the distances of a pair of queries to a block of documents, in a slice.
template <class Simd, bool kBegin, class Total>
inline void add_slice(const std::uint8_t* digits, const std::uint8_t* tables, std::size_t n_digits,
                      std::size_t run, Total* totals) {
  using L = Lookup<Simd>;
  using Vector = typename Simd::Vector;
  const auto for_each_sum = [](auto&& use) {
    for (std::size_t i = 0; i < kLookupQueries; ++i) {
      for (std::size_t v = 0; v < L::kVectors; ++v) use(i, v, i * L::kRows + v * L::kVectorRows);
    }
  };
  LookupSums<Simd> sums;
  if (n_digits <= run) {
    add_run<Simd>(digits, tables, n_digits, sums);
    const Vector even_bytes = Simd::broadcast(0x00FF00FF00FF00FF);
    for_each_sum([&](std::size_t i, std::size_t v, std::size_t place) {
      const Vector sum = sums.of[i][v];
      add_totals<Simd, kBegin>(totals + place, Simd::bitwise_and(sum, even_bytes),
                               Simd::add_odd(Simd::broadcast(0), sum));
    });
    return;
  }
  LookupSums<Simd> even;
  LookupSums<Simd> odd;
  for_each_sum([&](std::size_t i, std::size_t v, std::size_t) {
    even.of[i][v] = odd.of[i][v] = Simd::broadcast(0);
  });
  for (std::size_t begin = 0; begin < n_digits; begin += run) {
    const std::size_t n = n_digits - begin < run ? n_digits - begin : run;
    add_run<Simd>(digits + begin * L::kBlockRows, tables + begin * L::kPairBytes, n, sums);
    for_each_sum([&](std::size_t i, std::size_t v, std::size_t) {
      even.of[i][v] = Simd::add_even(even.of[i][v], sums.of[i][v]);
      odd.of[i][v] = Simd::add_odd(odd.of[i][v], sums.of[i][v]);
    });
  }
  for_each_sum([&](std::size_t i, std::size_t v, std::size_t place) {
    add_totals<Simd, kBegin>(totals + place, Simd::even_sums(even.of[i][v], odd.of[i][v]),
                             odd.of[i][v]);
  });
}

// Distances of the queries of a group to the rows of a tile.
template <class Simd, class Total>
struct alignas(64) LookupTotals {
  Total of[kLookupGroupQueries][Lookup<Simd>::kRows];
};

template <class Simd, class Total>
inline void add_group(const std::uint8_t* digits, std::size_t n_rows, std::size_t n_bytes,
                      const std::uint8_t* group, LookupTotals<Simd, Total>& totals) {
  using L = Lookup<Simd>;
  const auto& header = *reinterpret_cast<const typename L::Header*>(group);
  const std::uint8_t* tables = group + sizeof header;
  const std::size_t n_digits = L::n_digits(n_bytes);
  const std::size_t slice = L::slice_digits(n_digits);
  const std::size_t n_pairs = (header.n_queries + kLookupQueries - 1) / kLookupQueries;
  for (std::size_t digit = 0; digit < n_digits; digit += slice) {
    const std::size_t n = n_digits - digit < slice ? n_digits - digit : slice;
    // Tables are read in order of address, once for each block of documents.
    for (std::size_t row = 0; row < n_rows; row += L::kBlockRows) {
      const std::uint8_t* block = digits + row * n_digits + digit * L::kBlockRows;
      for (std::size_t pair = 0; pair < n_pairs; ++pair) {
        const auto add = digit == 0 ? add_slice<Simd, true, Total> : add_slice<Simd, false, Total>;
        add(block, tables + pair * n * L::kPairBytes, n, header.runs[digit / slice][pair],
            totals.of[pair * kLookupQueries] + row);
      }
    }
    tables += n * n_pairs * L::kPairBytes;
  }
}

// A distance below this is a hit: limits saturate at what 16 bits hold.
static inline std::uint16_t lookup_bound(std::int64_t limit) {
  return static_cast<std::uint16_t>(limit + 1 > 0xFFFF ? 0xFFFF : limit + 1);
}

// Whether, of a vector of rows from `row` on, any may be within the limit of the query or, unless
// `row_bounds` is nullptr, its own. Rows past the last one may seem to be.
template <class Simd>
inline typename Simd::Vector near_rows(const std::uint16_t* distances, std::size_t row,
                                       typename Simd::Vector bound,
                                       const std::uint16_t* row_bounds) {
  if (row_bounds != nullptr) bound = Simd::max16(bound, Simd::load(row_bounds + row));
  return Simd::room16(bound, Simd::load(distances + row));
}

// Calls use(begin, end) for the rows of a query among which there may be hits.
template <class Simd, class Use>
inline void for_near_rows(const std::uint16_t* distances, std::size_t n_rows, std::int64_t limit,
                          const std::uint16_t* row_bounds, Use use) {
  constexpr std::size_t kStep = 4 * Simd::kLanes;
  const typename Simd::Vector bound = Simd::broadcast16(lookup_bound(limit));
  typename Simd::Vector near = Simd::broadcast(0);
  for (std::size_t block = 0; block < n_rows; block += Lookup<Simd>::kBlockRows) {
    for (std::size_t row = block; row < block + Lookup<Simd>::kBlockRows; row += kStep) {
      near = Simd::bitwise_or(near, near_rows<Simd>(distances, row, bound, row_bounds));
    }
  }
  if (Simd::is_zero(near)) return;  // usually
  for (std::size_t row = 0; row < n_rows; row += kStep) {
    if (Simd::is_zero(near_rows<Simd>(distances, row, bound, row_bounds))) continue;
    use(row, n_rows - row < kStep ? n_rows : row + kStep);
  }
}
template <class Simd, class Use>
inline void for_near_rows(const std::uint32_t* /*distances*/, std::size_t n_rows,
                          std::int64_t /*limit*/, const std::uint16_t* /*row_bounds*/, Use use) {
  use(0, n_rows);  // long codes: the test of each row takes little of their time
}

template <class Simd, class Total>
inline std::size_t scan_group(const std::uint8_t* digits, std::size_t n_rows, std::size_t n_bytes,
                              const std::uint8_t* group, std::size_t first_query,
                              const std::int64_t* limits, const std::int64_t* row_limits,
                              const std::uint16_t* row_bounds, Hit* hits) {
  LookupTotals<Simd, Total> totals;
  add_group(digits, n_rows, n_bytes, group, totals);
  std::size_t n_hits = 0;
  const std::size_t n_queries =
      reinterpret_cast<const typename Lookup<Simd>::Header*>(group)->n_queries;
  for (std::size_t i = 0; i < n_queries; ++i) {
    for_near_rows<Simd>(
        totals.of[i], n_rows, limits[i], row_bounds, [&](std::size_t begin, std::size_t end) {
          for (std::size_t row = begin; row < end; ++row) {
            const auto distance = static_cast<std::int32_t>(totals.of[i][row]);
            if (distance <= limits[i] || (row_limits != nullptr && distance <= row_limits[row])) {
              hits[n_hits++] = {static_cast<std::uint32_t>(first_query + i),
                                static_cast<std::uint32_t>(row), distance};
            }
          }
        });
  }
  return n_hits;
}

// Whether 16 bits hold all distances of a group, and tell them from those beyond every bound.
template <class Simd>
inline bool fits_16_bits(const std::uint8_t* group) {
  return reinterpret_cast<const typename Lookup<Simd>::Header*>(group)->largest < 0xFFFF;
}

template <class Simd>
std::size_t scan_lookup(const void* tile, std::size_t n_rows, std::size_t n_bytes,
                        const void* groups, std::size_t n_groups, const std::int64_t* limits,
                        const std::int64_t* row_limits, Hit* hits) noexcept {
  using L = Lookup<Simd>;
  const auto* digits = static_cast<const std::uint8_t*>(tile);
  const auto* group = static_cast<const std::uint8_t*>(groups);
  alignas(64) std::uint16_t row_bounds[L::kRows];
  if (row_limits != nullptr) {
    __builtin_memset(row_bounds, 0, sizeof row_bounds);
    for (std::size_t row = 0; row < n_rows; ++row) row_bounds[row] = lookup_bound(row_limits[row]);
  }
  std::size_t n_hits = 0;
  for (std::size_t g = 0; g < n_groups; ++g, group += L::group_bytes(n_bytes)) {
    const std::size_t first = g * kLookupGroupQueries;
    const auto scan = fits_16_bits<Simd>(group) ? scan_group<Simd, std::uint16_t>
                                                : scan_group<Simd, std::uint32_t>;
    n_hits += scan(digits, n_rows, n_bytes, group, first, limits + first, row_limits,
                   row_limits == nullptr ? nullptr : row_bounds, hits + n_hits);
  }
  return n_hits;
}

template <class Simd, class Total>
inline void group_distances(const std::uint8_t* digits, std::size_t n_rows, std::size_t n_bytes,
                            const std::uint8_t* group, std::int32_t* out, std::size_t out_stride) {
  LookupTotals<Simd, Total> totals;
  add_group(digits, n_rows, n_bytes, group, totals);
  for (std::size_t i = 0;
       i < reinterpret_cast<const typename Lookup<Simd>::Header*>(group)->n_queries; ++i) {
    for (std::size_t row = 0; row < n_rows; ++row) {
      out[i * out_stride + row] = static_cast<std::int32_t>(totals.of[i][row]);
    }
  }
}

template <class Simd>
void lookup_distances(const void* tile, std::size_t n_rows, std::size_t n_bytes, const void* groups,
                      std::size_t n_queries, std::int32_t* out, std::size_t out_stride) noexcept {
  using L = Lookup<Simd>;
  const auto* digits = static_cast<const std::uint8_t*>(tile);
  const auto* group = static_cast<const std::uint8_t*>(groups);
  for (std::size_t first = 0; first < n_queries; first += kLookupGroupQueries) {
    const auto write = fits_16_bits<Simd>(group) ? group_distances<Simd, std::uint16_t>
                                                 : group_distances<Simd, std::uint32_t>;
    write(digits, n_rows, n_bytes, group, out + first * out_stride, out_stride);
    group += L::group_bytes(n_bytes);
  }
}

template <class Simd>
std::uint64_t lookup_ceiling(std::size_t n) noexcept {
  using L = Lookup<Simd>;
  using Vector = typename Simd::Vector;
  constexpr std::size_t kSums = 8;
  alignas(64) static constexpr std::uint8_t kTable[L::kTableBytes] = {0, 1, 1, 2, 1, 2, 2, 3};
  Vector sums[kSums];
  for (auto& x : sums) x = Simd::broadcast(0);
  const auto table = Simd::load_table(kTable);
  Vector document = Simd::broadcast(0x0F0E0D0C03020100);
  for (std::size_t i = 0; i < n; ++i) {
    for (auto& x : sums) {
      // Concealed from the compiler, which has to look up anew each time.
      document = Simd::concealed(document);
      x = Simd::concealed(Simd::add_bytes(x, Simd::look_up(table, document)));
    }
  }
  return n * kSums * L::kVectorRows * L::kBits;
}

template <class Simd>
constexpr BatchKernel make_lookup_kernel() {
  using L = Lookup<Simd>;
  return {
      .layout = GroupLayout::kTables,
      .tile_rows = L::kRows,
      .tile_word_bytes = L::kDigitsPerWord * L::kRows,
      .fill_tile = fill_lookup_tile<Simd>,
      .group_queries = kLookupGroupQueries,
      .group_header_bytes = sizeof(typename L::Header),
      .group_word_bytes = L::kDigitsPerWord * kLookupGroupQueries * L::kTableBytes,
      .fill_group = fill_lookup_group<Simd>,
      .scan = scan_lookup<Simd>,
      .distances = lookup_distances<Simd>,
      .ceiling = lookup_ceiling<Simd>,
  };
}

}  // namespace bitsift
