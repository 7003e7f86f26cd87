// SPDX-License-Identifier: Apache-2.0
// Many queries against a tile of documents, by table look-ups of distances, four bits at a time.
//
// Where no instruction counts bits, counting takes eight instructions for 256 bits of a pair. But
// a byte shuffle is a table of 16 entries: a query's table for a nibble holds the distance of that
// nibble to each of the 16 that a document may have, and one shuffle looks it up for 32 documents.
// So 128 bits of pairs take two instructions, a shuffle and an addition, on any number of queries.
// Tables in registers: Andre, Kermarrec, Le Scouarnec, "Cache locality is not enough: High-
// Performance Nearest Neighbor Search with Product Quantization Fast Scan" (PVLDB 9, 2015).
//
// tile:  [nibble][document], a byte each; 32 documents a vector, in an order that widening undoes
// group: [nibble][query][16], the tables
#pragma once

#include "kernels/kernels.hpp"

namespace bitsift {

inline constexpr std::size_t kLookupQueries = 2;
inline constexpr std::size_t kLookupVectors = 4;
inline constexpr std::size_t kLookupRows = 32 * kLookupVectors;
// Bytes of a code until byte sums overflow: 31 * 2 * 4 < 256.
inline constexpr std::size_t kLookupBytesPerFlush = 31;

template <class Simd>
void fill_lookup_tile(const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
                      std::size_t n_bytes, void* tile) noexcept {
  static constexpr std::uint8_t kNoCode[kMaxCodeBytes] = {};
  auto* nibbles = static_cast<std::uint8_t*>(tile);
  for (std::size_t first = 0; first < kLookupRows; first += 32) {
    // Documents in the order of a vector's bytes. Widening the lower eight bytes of both halves is
    // to give documents 0 to 15, the upper ones 16 to 31.
    const std::uint8_t* codes[32];
    for (std::size_t i = 0; i < 32; ++i) {
      const std::size_t row = first + (i / 8 == 1 ? i + 8 : i / 8 == 2 ? i - 8 : i);
      codes[i] = row < n_rows ? rows + static_cast<std::ptrdiff_t>(row) * stride : kNoCode;
    }
    for (std::size_t byte = 0; byte < n_bytes; byte += 16) {
      const std::size_t n_left = n_bytes - byte;
      typename Simd::Vector block[16];
      for (std::size_t i = 0; i < 16; ++i) {
        const std::uint8_t* low = codes[i] + byte;
        const std::uint8_t* high = codes[i + 16] + byte;
        std::uint8_t last[2][16];
        if (n_left < 16) {
          for (std::size_t j = 0; j < 16; ++j) {
            last[0][j] = j < n_left ? low[j] : std::uint8_t{0};
            last[1][j] = j < n_left ? high[j] : std::uint8_t{0};
          }
          low = last[0];
          high = last[1];
        }
        block[i] = Simd::load_halves(low, high);
      }
      Simd::transpose_bytes(block);
      std::uint8_t* out = nibbles + 2 * byte * kLookupRows + first;
      for (std::size_t i = 0; i < 16 && i < n_left; ++i, out += 2 * kLookupRows) {
        Simd::store_nibbles(out, out + kLookupRows, block[i]);
      }
    }
  }
}

template <class Simd>
void fill_lookup_group(const std::uint8_t* const* codes, const std::uint8_t* const* /*magnitudes*/,
                       std::size_t n_queries, std::size_t n_bytes, void* group) noexcept {
  auto* tables = static_cast<std::uint8_t*>(group);
  std::uint8_t of_nibble[16][16];
  for (unsigned a = 0; a < 16; ++a) {
    for (unsigned b = 0; b < 16; ++b) {
      of_nibble[a][b] = static_cast<std::uint8_t>(__builtin_popcount(a ^ b));
    }
  }
  for (std::size_t byte = 0; byte < n_bytes; ++byte) {
    for (std::size_t i = 0; i < kLookupQueries; ++i) {
      const std::uint8_t code = i < n_queries ? codes[i][byte] : std::uint8_t{0};
      __builtin_memcpy(tables + (2 * byte * kLookupQueries + i) * 16, of_nibble[code >> 4], 16);
      __builtin_memcpy(tables + ((2 * byte + 1) * kLookupQueries + i) * 16, of_nibble[code & 15],
                       16);
    }
  }
}

// Distances of a group of queries to a tile, 16 bits each, in the order of the documents.
template <class Simd>
struct LookupSums {
  typename Simd::Vector of[kLookupQueries][2 * kLookupVectors];
};

// The hot loop: kLookupQueries tables, kLookupVectors vectors of documents.
template <class Simd>
inline void add_lookups(const std::uint8_t* nibbles, const std::uint8_t* tables,
                        std::size_t n_bytes, LookupSums<Simd>& totals) {
  using Vector = typename Simd::Vector;
  for (auto& query : totals.of) {
    for (auto& total : query) total = Simd::broadcast(0);
  }
  for (std::size_t begin = 0; begin < n_bytes;) {
    const std::size_t n_left = n_bytes - begin;
    const std::size_t end = begin + (n_left < kLookupBytesPerFlush ? n_left : kLookupBytesPerFlush);
    Vector sums[kLookupQueries][kLookupVectors];
    for (auto& query : sums) {
      for (auto& sum : query) sum = Simd::broadcast(0);
    }
    for (std::size_t nibble = 2 * begin; nibble < 2 * end; ++nibble) {
      const std::uint8_t* documents = nibbles + nibble * kLookupRows;
      Vector table[kLookupQueries];
      for (std::size_t i = 0; i < kLookupQueries; ++i) {
        table[i] = Simd::load_table(tables + (nibble * kLookupQueries + i) * 16);
      }
      for (std::size_t v = 0; v < kLookupVectors; ++v) {
        const Vector document = Simd::load(documents + v * 32);
        for (std::size_t i = 0; i < kLookupQueries; ++i) {
          // Concealed: GCC 12 would hold each sum in two registers, and some in memory.
          sums[i][v] = Simd::concealed(Simd::add(sums[i][v], Simd::look_up(table[i], document)));
        }
      }
    }
    for (std::size_t i = 0; i < kLookupQueries; ++i) {
      for (std::size_t v = 0; v < kLookupVectors; ++v) {
        Simd::add_widened(sums[i][v], totals.of[i] + 2 * v);
      }
    }
    begin = end;
  }
}

// A distance below this is a hit: limits saturate at what 16 bits hold.
static inline std::uint16_t lookup_bound(std::int64_t limit) {
  return static_cast<std::uint16_t>(limit + 1 > 0xFFFF ? 0xFFFF : limit + 1);
}

template <class Simd>
std::size_t scan_lookup(const void* tile, std::size_t n_rows, std::size_t n_bytes,
                        const void* groups, std::size_t n_groups, const std::int64_t* limits,
                        const std::int64_t* row_limits, Hit* hits) noexcept {
  using Vector = typename Simd::Vector;
  const auto* nibbles = static_cast<const std::uint8_t*>(tile);
  const auto* tables = static_cast<const std::uint8_t*>(groups);
  const std::size_t group_bytes = (n_bytes + 7) / 8 * 8 * 2 * kLookupQueries * 16;
  alignas(32) std::uint16_t row_bounds[kLookupRows] = {};
  if (row_limits != nullptr) {
    for (std::size_t row = 0; row < n_rows; ++row) row_bounds[row] = lookup_bound(row_limits[row]);
  }
  std::size_t n_hits = 0;
  for (std::size_t group = 0; group < n_groups; ++group, tables += group_bytes) {
    LookupSums<Simd> sums;
    add_lookups<Simd>(nibbles, tables, n_bytes, sums);
    for (std::size_t i = 0; i < kLookupQueries; ++i) {
      const std::size_t query = group * kLookupQueries + i;
      const Vector bound = Simd::broadcast16(lookup_bound(limits[query]));
      Vector near = Simd::broadcast(0);
      for (std::size_t v = 0; v < 2 * kLookupVectors; ++v) {
        const Vector of_rows = Simd::load(row_bounds + v * 16);
        near = Simd::bitwise_or(near, Simd::room16(Simd::max16(bound, of_rows), sums.of[i][v]));
      }
      if (Simd::is_zero(near)) continue;
      alignas(32) std::uint16_t distances[kLookupRows];
      for (std::size_t v = 0; v < 2 * kLookupVectors; ++v) {
        Simd::store_lanes(reinterpret_cast<std::uint64_t*>(distances) + v * 4, sums.of[i][v]);
      }
      const std::uint16_t query_bound = lookup_bound(limits[query]);
      for (std::size_t row = 0; row < n_rows; ++row) {
        if (distances[row] < query_bound || distances[row] < row_bounds[row]) {
          hits[n_hits++] = {static_cast<std::uint32_t>(query), static_cast<std::uint32_t>(row),
                            distances[row]};
        }
      }
    }
  }
  return n_hits;
}

template <class Simd>
void lookup_distances(const void* tile, std::size_t n_rows, std::size_t n_bytes, const void* groups,
                      std::size_t n_queries, std::int32_t* out, std::size_t out_stride) noexcept {
  const auto* nibbles = static_cast<const std::uint8_t*>(tile);
  const auto* tables = static_cast<const std::uint8_t*>(groups);
  const std::size_t group_bytes = (n_bytes + 7) / 8 * 8 * 2 * kLookupQueries * 16;
  for (std::size_t first = 0; first < n_queries; first += kLookupQueries, tables += group_bytes) {
    LookupSums<Simd> sums;
    add_lookups<Simd>(nibbles, tables, n_bytes, sums);
    for (std::size_t i = 0; i < kLookupQueries && first + i < n_queries; ++i) {
      alignas(32) std::uint16_t distances[kLookupRows];
      for (std::size_t v = 0; v < 2 * kLookupVectors; ++v) {
        Simd::store_lanes(reinterpret_cast<std::uint64_t*>(distances) + v * 4, sums.of[i][v]);
      }
      std::int32_t* row_out = out + (first + i) * out_stride;
      for (std::size_t row = 0; row < n_rows; ++row) row_out[row] = distances[row];
    }
  }
}

template <class Simd>
std::uint64_t lookup_ceiling(std::size_t n) noexcept {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kSums = 8;
  Vector sums[kSums];
  for (auto& x : sums) x = Simd::broadcast(0);
  Vector table = Simd::broadcast(0x0302020102010100);
  Vector document = Simd::broadcast(0x0F0E0D0C03020100);
  for (std::size_t i = 0; i < n; ++i) {
    for (auto& x : sums) {
      // Concealed from the compiler, which has to look up anew each time.
      document = Simd::concealed(document);
      x = Simd::concealed(Simd::add(x, Simd::look_up(table, document)));
    }
  }
  return n * kSums * 32 * 4;
}

template <class Simd>
constexpr BatchKernel make_lookup_kernel() {
  return {
      .max_code_bytes = kMaxCodeBytes - 1,  // 65,536 differing bits do not fit 16 bits
      .weighted = false,
      .tile_rows = kLookupRows,
      .tile_word_bytes = 16 * kLookupRows,
      .fill_tile = fill_lookup_tile<Simd>,
      .group_queries = kLookupQueries,
      .group_header_bytes = 0,
      .group_word_bytes = 16 * kLookupQueries * 16,
      .fill_group = fill_lookup_group<Simd>,
      .scan = scan_lookup<Simd>,
      .distances = lookup_distances<Simd>,
      .ceiling = lookup_ceiling<Simd>,
  };
}

}  // namespace bitsift
