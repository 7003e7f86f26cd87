// SPDX-License-Identifier: Apache-2.0
// Many queries with magnitudes against a tile of documents, by table look-ups, where no instruction
// looks up bytes of a vector.
//
// Where one does, a vector has a digit of many documents, and a table in a register is one query's
// (lookup.hpp). Here it is the other way around: a row of a table has, for one value of a
// document's digit, the distances of 16 queries, a byte each. So to look up is to load a row, and a
// digit of 16 pairs takes two loads, the row's place and the row, and one addition.
//
// Distances of a few digits, a run, are added up as bytes, then runs as 16 bits: runs are as long
// as the magnitudes let them be. Tables are three times as long as L1; so codes are taken a slice
// at a time, and the tables of a slice serve all documents of a tile.
//
// A digit is four neighbouring bits of a code.
// tile:  [block][digit][document of the block]: where its row begins in the digit's table, a byte
// group: Header, then [digit][16 rows][query], queries in an order that widening undoes
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/loops/lookup.hpp"

namespace bitsift {

template <class Simd>
struct LoadedLookup {
  using Vector = typename Simd::Vector;
  static constexpr std::size_t kQueries = 8 * Simd::kLanes;
  static constexpr std::size_t kRowBytes = kQueries;
  static constexpr std::size_t kTableRows = 16;
  static constexpr std::size_t kTableBytes = kTableRows * kRowBytes;
  static_assert((kTableRows - 1) * kRowBytes < 256, "a byte names a row");
  // Documents at once: their sums, three vectors each, fit the registers.
  static constexpr std::size_t kBlockRows = 4;
  static constexpr std::size_t kRows = 128;
  static constexpr std::size_t kSliceDigits = 64;  // whose tables are half of a small L1
  static_assert(kSliceDigits * 4 * ((1u << kMagnitudeBits) - 1) < 1u << 16);
  static constexpr std::size_t kMostSlices = 2 * kMaxCodeBytes / kSliceDigits;

  struct alignas(64) Header {
    std::uint32_t n_queries;
    std::uint32_t largest;  // the largest distance that a query of the group can have
    std::uint8_t runs[kMostSlices];
  };
  static const Header& header(const std::uint8_t* group) {
    return *reinterpret_cast<const Header*>(group);
  }
  static constexpr std::size_t group_bytes(std::size_t n_bytes) {
    return sizeof(Header) + (n_bytes + 7) / 8 * 16 * kTableBytes;
  }
  // Even bytes of a row are widened to its first half, odd ones to its second.
  static constexpr std::size_t place(std::size_t query) {
    return query < kQueries / 2 ? 2 * query : 2 * query - kQueries + 1;
  }
  // The digits of the slice that begins at this one.
  static constexpr std::size_t slice_at(std::size_t digit, std::size_t n_digits) {
    return n_digits - digit < kSliceDigits ? n_digits - digit : kSliceDigits;
  }
};

template <class Simd>
void fill_loaded_tile(const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
                      std::size_t n_bytes, void* tile) noexcept {
  using L = LoadedLookup<Simd>;
  static constexpr std::uint8_t kNoCode[kMaxCodeBytes] = {};
  auto* out = static_cast<std::uint8_t*>(tile);
  for (std::size_t first = 0; first < n_rows; first += L::kBlockRows) {
    const std::uint8_t* codes[L::kBlockRows];
    for (std::size_t i = 0; i < L::kBlockRows; ++i) {
      const std::size_t row = first + i;
      codes[i] = row < n_rows ? rows + static_cast<std::ptrdiff_t>(row) * stride : kNoCode;
    }
    for (std::size_t byte = 0; byte < n_bytes; ++byte, out += 2 * L::kBlockRows) {
      for (std::size_t i = 0; i < L::kBlockRows; ++i) {
        const unsigned digits = codes[i][byte];
        out[i] = static_cast<std::uint8_t>((digits >> 4) * L::kRowBytes);
        out[L::kBlockRows + i] = static_cast<std::uint8_t>((digits & 15) * L::kRowBytes);
      }
    }
  }
}

// The distances of 16 queries that one bit of a document adds, for either value of it.
template <class Simd>
struct BitCosts {
  typename Simd::Vector of[2];
};

// Writes the table of a digit; the first bit is the highest of a row's number.
template <class Simd>
inline void fill_rows(const BitCosts<Simd>* bits, std::uint8_t* table) {
  using L = LoadedLookup<Simd>;
  for (std::size_t row = 0; row < L::kTableRows; ++row) {
    auto sum = bits[0].of[row >> 3];
    for (std::size_t i = 1; i < 4; ++i) {
      sum = Simd::add_bytes(sum, bits[i].of[row >> (3 - i) & 1]);
    }
    Simd::store_lanes(reinterpret_cast<std::uint64_t*>(table + row * L::kRowBytes), sum);
  }
}

// Whether runs of this length never overflow. `so_far` has the largest distances that each query
// can have in the first 0, 1, 2, ... digits.
template <class Simd, std::size_t kQueries>
bool run_fits(const std::uint16_t (*so_far)[kQueries], std::size_t n_digits, std::size_t run) {
  for (std::size_t begin = 0; begin < n_digits; begin += run) {
    const std::size_t end = n_digits - begin < run ? n_digits : begin + run;
    for (std::size_t i = 0; i < kQueries; ++i) {
      if (so_far[end][i] - so_far[begin][i] > 0xFF) return false;
    }
  }
  return true;
}

template <class Simd>
void fill_loaded_group(const std::uint8_t* const* codes, const std::uint8_t* const* magnitudes,
                       std::size_t n_queries, std::size_t n_bytes, void* group) noexcept {
  using L = LoadedLookup<Simd>;
  auto* header = static_cast<typename L::Header*>(group);
  auto* table = static_cast<std::uint8_t*>(group) + sizeof *header;
  header->n_queries = static_cast<std::uint32_t>(n_queries);
  std::uint32_t totals[L::kQueries] = {};
  const std::size_t n_digits = 2 * n_bytes;
  for (std::size_t first = 0; first < n_digits; first += L::kSliceDigits) {
    const std::size_t n = L::slice_at(first, n_digits);
    std::uint16_t so_far[L::kSliceDigits + 1][L::kQueries] = {};
    for (std::size_t digit = 0; digit < n; ++digit, table += L::kTableBytes) {
      std::uint8_t costs[4][2][L::kQueries] = {};
      const std::size_t bit = 4 * (first + digit);
      for (std::size_t i = 0; i < n_queries; ++i) {
        std::uint32_t largest = 0;
        for (std::size_t j = 0; j < 4; ++j) {
          const std::uint8_t cost = magnitudes == nullptr ? 1 : magnitudes[i][bit + j];
          const bool is_set = (codes[i][bit / 8] >> (7 - bit % 8 - j) & 1) != 0;
          costs[j][is_set ? 0 : 1][L::place(i)] = cost;
          largest += cost;
        }
        so_far[digit + 1][i] = static_cast<std::uint16_t>(so_far[digit][i] + largest);
      }
      BitCosts<Simd> bits[4];
      for (std::size_t j = 0; j < 4; ++j) {
        for (std::size_t value = 0; value < 2; ++value) {
          bits[j].of[value] = Simd::load(costs[j][value]);
        }
      }
      fill_rows<Simd>(bits, table);
    }
    for (std::size_t i = 0; i < n_queries; ++i) totals[i] += so_far[n][i];
    std::size_t run = n;
    while (run > 1 && !run_fits<Simd>(so_far, n, run)) --run;
    header->runs[first / L::kSliceDigits] = static_cast<std::uint8_t>(run);
  }
  header->largest = 0;
  for (const std::uint32_t total : totals) {
    if (total > header->largest) header->largest = total;
  }
}

// The hot loop: distances to a block of documents, in a slice, 16 bits each.
template <class Simd>
struct LoadedSums {
  using L = LoadedLookup<Simd>;
  using Vector = typename Simd::Vector;
  Vector even[L::kBlockRows];
  Vector odd[L::kBlockRows];

  void add_up(const std::uint8_t* tables, const std::uint8_t* places, std::size_t n_digits,
              std::size_t run) {
    for (std::size_t i = 0; i < L::kBlockRows; ++i) even[i] = odd[i] = Simd::broadcast(0);
    for (std::size_t begin = 0; begin < n_digits; begin += run) {
      const std::size_t n = n_digits - begin < run ? n_digits - begin : run;
      Vector sums[L::kBlockRows];
      for (std::size_t i = 0; i < L::kBlockRows; ++i) sums[i] = Simd::load(tables + places[i]);
      for (std::size_t digit = 1; digit < n; ++digit) {
        tables += L::kTableBytes;
        places += L::kBlockRows;
        for (std::size_t i = 0; i < L::kBlockRows; ++i) {
          sums[i] = Simd::add_bytes(sums[i], Simd::load(tables + places[i]));
        }
      }
      tables += L::kTableBytes;
      places += L::kBlockRows;
      for (std::size_t i = 0; i < L::kBlockRows; ++i) {
        even[i] = Simd::add_even(even[i], sums[i]);
        odd[i] = Simd::add_odd(odd[i], sums[i]);
      }
    }
  }
};

// Distances of the queries of a group to the rows of a tile.
template <class Simd, class Total>
struct alignas(64) LoadedTotals {
  using L = LoadedLookup<Simd>;
  Total of[L::kRows][L::kQueries];

  void add(const std::uint8_t* places, std::size_t n_rows, std::size_t n_bytes,
           const std::uint8_t* group) {
    const auto& header = L::header(group);
    const std::uint8_t* tables = group + sizeof header;
    const std::size_t n_digits = 2 * n_bytes;
    for (std::size_t digit = 0; digit < n_digits; digit += L::kSliceDigits) {
      const std::size_t n = L::slice_at(digit, n_digits);
      const std::size_t run = header.runs[digit / L::kSliceDigits];
      for (std::size_t row = 0; row < n_rows; row += L::kBlockRows) {
        LoadedSums<Simd> sums;
        sums.add_up(tables, places + row * n_digits + digit * L::kBlockRows, n, run);
        for (std::size_t i = 0; i < L::kBlockRows; ++i) {
          alignas(16) std::uint16_t of_row[L::kQueries];
          Simd::store_lanes(reinterpret_cast<std::uint64_t*>(of_row),
                            Simd::even_sums(sums.even[i], sums.odd[i]));
          Simd::store_lanes(reinterpret_cast<std::uint64_t*>(of_row + L::kQueries / 2),
                            sums.odd[i]);
          for (std::size_t j = 0; j < L::kQueries; ++j) {
            of[row + i][j] = static_cast<Total>(of_row[j] + (digit == 0 ? 0 : of[row + i][j]));
          }
        }
      }
      tables += n * L::kTableBytes;
    }
  }
};

// Whether any query may have a row within its limit or the row's.
template <class Simd>
inline bool may_be_near(const std::uint16_t* distances, const std::uint16_t* bounds,
                        std::uint16_t row_bound) {
  constexpr std::size_t kHalf = LoadedLookup<Simd>::kQueries / 2;
  const auto room = [&](std::size_t i) {
    return Simd::room16(Simd::max16(Simd::load(bounds + i), Simd::broadcast16(row_bound)),
                        Simd::load(distances + i));
  };
  return !Simd::is_zero(Simd::bitwise_or(room(0), room(kHalf)));
}
template <class Simd>
inline bool may_be_near(const std::uint32_t* /*distances*/, const std::uint16_t* /*bounds*/,
                        std::uint16_t /*row_bound*/) {
  return true;  // long codes: the test of each pair takes little of their time
}

template <class Simd, class Total>
inline std::size_t scan_loaded_group(const std::uint8_t* places, std::size_t n_rows,
                                     std::size_t n_bytes, const std::uint8_t* group,
                                     std::size_t first_query, const std::int64_t* limits,
                                     const std::int64_t* row_limits, Hit* hits) {
  using L = LoadedLookup<Simd>;
  LoadedTotals<Simd, Total> totals;
  totals.add(places, n_rows, n_bytes, group);
  alignas(16) std::uint16_t bounds[L::kQueries];
  for (std::size_t i = 0; i < L::kQueries; ++i) bounds[i] = lookup_bound(limits[i]);
  std::size_t n_hits = 0;
  for (std::size_t row = 0; row < n_rows; ++row) {
    const std::int64_t row_limit = row_limits == nullptr ? kAdmitNone : row_limits[row];
    const Total* distances = totals.of[row];
    if (!may_be_near<Simd>(distances, bounds, lookup_bound(row_limit))) continue;  // usually
    for (std::size_t i = 0; i < L::header(group).n_queries; ++i) {
      const auto distance = static_cast<std::int32_t>(distances[i]);
      if (distance <= limits[i] || distance <= row_limit) {
        hits[n_hits++] = {static_cast<std::uint32_t>(first_query + i),
                          static_cast<std::uint32_t>(row), distance};
      }
    }
  }
  return n_hits;
}

// Whether 16 bits hold all distances of a group, and tell them from those beyond every bound.
template <class Simd>
inline bool loaded_fits_16_bits(const std::uint8_t* group) {
  return LoadedLookup<Simd>::header(group).largest < 0xFFFF;
}

template <class Simd>
std::size_t scan_loaded(const void* tile, std::size_t n_rows, std::size_t n_bytes,
                        const void* groups, std::size_t n_groups, const std::int64_t* limits,
                        const std::int64_t* row_limits, Hit* hits) noexcept {
  using L = LoadedLookup<Simd>;
  const auto* group = static_cast<const std::uint8_t*>(groups);
  std::size_t n_hits = 0;
  for (std::size_t g = 0; g < n_groups; ++g, group += L::group_bytes(n_bytes)) {
    const auto scan = loaded_fits_16_bits<Simd>(group) ? scan_loaded_group<Simd, std::uint16_t>
                                                       : scan_loaded_group<Simd, std::uint32_t>;
    n_hits += scan(static_cast<const std::uint8_t*>(tile), n_rows, n_bytes, group, g * L::kQueries,
                   limits + g * L::kQueries, row_limits, hits + n_hits);
  }
  return n_hits;
}

template <class Simd, class Total>
inline void loaded_group_distances(const std::uint8_t* places, std::size_t n_rows,
                                   std::size_t n_bytes, const std::uint8_t* group,
                                   std::int32_t* out, std::size_t out_stride) {
  using L = LoadedLookup<Simd>;
  LoadedTotals<Simd, Total> totals;
  totals.add(places, n_rows, n_bytes, group);
  for (std::size_t i = 0; i < L::header(group).n_queries; ++i) {
    for (std::size_t row = 0; row < n_rows; ++row) {
      out[i * out_stride + row] = static_cast<std::int32_t>(totals.of[row][i]);
    }
  }
}

template <class Simd>
void loaded_distances(const void* tile, std::size_t n_rows, std::size_t n_bytes, const void* groups,
                      std::size_t n_queries, std::int32_t* out, std::size_t out_stride) noexcept {
  using L = LoadedLookup<Simd>;
  const auto* group = static_cast<const std::uint8_t*>(groups);
  for (std::size_t first = 0; first < n_queries; first += L::kQueries) {
    const auto write = loaded_fits_16_bits<Simd>(group)
                           ? loaded_group_distances<Simd, std::uint16_t>
                           : loaded_group_distances<Simd, std::uint32_t>;
    write(static_cast<const std::uint8_t*>(tile), n_rows, n_bytes, group, out + first * out_stride,
          out_stride);
    group += L::group_bytes(n_bytes);
  }
}

// The instructions of the hot loop, with a table and places in L1.
template <class Simd>
std::uint64_t loaded_ceiling(std::size_t n) noexcept {
  using L = LoadedLookup<Simd>;
  using Vector = typename Simd::Vector;
  constexpr std::size_t kSums = 8;
  alignas(64) static constexpr std::uint8_t kTable[L::kTableBytes] = {};
  std::uint8_t places[kSums];
  for (std::size_t i = 0; i < kSums; ++i) places[i] = static_cast<std::uint8_t>(i * L::kRowBytes);
  Vector sums[kSums];
  for (auto& x : sums) x = Simd::broadcast(0);
  for (std::size_t i = 0; i < n; ++i) {
    __asm__ volatile("" : "+m"(places));  // concealed from the compiler, which has to load anew
    for (std::size_t j = 0; j < kSums; ++j) {
      sums[j] = Simd::concealed(Simd::add_bytes(sums[j], Simd::load(kTable + places[j])));
    }
  }
  return n * kSums * L::kQueries * 4;
}

template <class Simd>
constexpr BatchKernel make_loaded_kernel() {
  using L = LoadedLookup<Simd>;
  static_assert(L::kQueries <= kMaxGroupQueries && L::kRows <= kMaxTileRows);
  return {
      .layout = GroupLayout::kTables,
      .tile_rows = L::kRows,
      .tile_word_bytes = 16 * L::kRows,
      .fill_tile = fill_loaded_tile<Simd>,
      .group_queries = L::kQueries,
      .group_header_bytes = sizeof(typename L::Header),
      .group_word_bytes = 16 * L::kTableBytes,
      .fill_group = fill_loaded_group<Simd>,
      .scan = scan_loaded<Simd>,
      .distances = loaded_distances<Simd>,
      .ceiling = loaded_ceiling<Simd>,
  };
}

}  // namespace bitsift
