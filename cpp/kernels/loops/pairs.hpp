// SPDX-License-Identifier: Apache-2.0
// Many queries against a tile of documents, by table look-ups of distances, four bits at a time and
// for two queries at once.
//
// Where no instruction counts bits, counting takes eight instructions for 256 bits of a pair. But
// a byte shuffle is a table of 16 entries, so it looks up the distance of a query's nibble to those
// of 32 documents. A distance is at most 4 and takes half a byte: a table holds those of two
// queries, and three look-ups can be added before a half overflows. Then the halves are parted. So
// 3 * 256 bits of pairs take 10 instructions: 3 shuffles, 2 additions, 3 to part, 2 additions.
// Tables in registers: Andre, Kermarrec, Le Scouarnec, "Cache locality is not enough: High-
// Performance Nearest Neighbor Search with Product Quantization Fast Scan" (PVLDB 9, 2015).
//
// tile:  [nibble][document], a byte each; 32 documents a vector, in an order that widening undoes
// group: [nibble][16], the tables of two queries, the second in the upper halves
#pragma once

#include "kernels/kernels.hpp"

namespace bitsift {

inline constexpr std::size_t kPairedQueries = 2;
// With more vectors a tile of 1536 bits would not stay in L1.
inline constexpr std::size_t kPairedVectors = 2;
inline constexpr std::size_t kPairedRows = 32 * kPairedVectors;
// Look-ups that are added before the halves are parted: 3 * 4 < 16.
inline constexpr std::size_t kLookupsPerParting = 3;
// Nibbles of a code until byte sums overflow: 63 * 4 < 256.
inline constexpr std::size_t kNibblesPerFlush = 63;
static_assert(kNibblesPerFlush % kLookupsPerParting == 0);

template <class Simd>
void fill_paired_tile(const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
                      std::size_t n_bytes, void* tile) noexcept {
  static constexpr std::uint8_t kNoCode[kMaxCodeBytes] = {};
  auto* nibbles = static_cast<std::uint8_t*>(tile);
  for (std::size_t first = 0; first < kPairedRows; first += 32) {
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
      std::uint8_t* out = nibbles + 2 * byte * kPairedRows + first;
      for (std::size_t i = 0; i < 16 && i < n_left; ++i, out += 2 * kPairedRows) {
        Simd::store_nibbles(out, out + kPairedRows, block[i]);
      }
    }
  }
}

// The distances of each nibble to all, a byte each.
struct NibbleDistances {
  std::uint64_t of[16][2] = {};

  constexpr NibbleDistances() {
    for (unsigned a = 0; a < 16; ++a) {
      for (unsigned b = 0; b < 16; ++b) {
        const auto distance = static_cast<std::uint64_t>(__builtin_popcount(a ^ b));
        of[a][b / 8] |= distance << (8 * (b % 8));
      }
    }
  }
};

template <class Simd>
void fill_paired_group(const std::uint8_t* const* codes, const std::uint8_t* const* /*magnitudes*/,
                       std::size_t n_queries, std::size_t n_bytes, void* group) noexcept {
  static constexpr NibbleDistances kDistances;
  auto* tables = static_cast<std::uint64_t*>(group);
  for (std::size_t byte = 0; byte < n_bytes; ++byte) {
    const unsigned first = codes[0][byte];
    const unsigned second = n_queries < 2 ? 0u : codes[1][byte];
    for (std::size_t half = 0; half < 2; ++half) {
      *tables++ = kDistances.of[first >> 4][half] | kDistances.of[second >> 4][half] << 4;
    }
    for (std::size_t half = 0; half < 2; ++half) {
      *tables++ = kDistances.of[first & 15][half] | kDistances.of[second & 15][half] << 4;
    }
  }
}

// Distances of a group of queries to a tile, 16 bits each, in the order of the documents.
template <class Simd>
struct PairedSums {
  typename Simd::Vector of[kPairedQueries][2 * kPairedVectors];
};

// Adds the distances of kNibbles nibbles.
template <class Simd, std::size_t kNibbles>
inline void add_nibbles(const std::uint8_t* nibbles, const std::uint8_t* tables,
                        typename Simd::Vector (*sums)[kPairedVectors]) {
  using Vector = typename Simd::Vector;
  Vector table[kNibbles];
  for (std::size_t n = 0; n < kNibbles; ++n) table[n] = Simd::load_table(tables + n * 16);
  for (std::size_t v = 0; v < kPairedVectors; ++v) {
    Vector both = Simd::look_up(table[0], Simd::load(nibbles + v * 32));
    for (std::size_t n = 1; n < kNibbles; ++n) {
      const Vector documents = Simd::load(nibbles + n * kPairedRows + v * 32);
      both = Simd::add(both, Simd::look_up(table[n], documents));
    }
    // Concealed: GCC 12 would hold each sum in two registers, and some in memory.
    sums[0][v] = Simd::concealed(Simd::add(sums[0][v], Simd::low_nibbles(both)));
    sums[1][v] = Simd::concealed(Simd::add(sums[1][v], Simd::high_nibbles(both)));
  }
}

// The hot loop.
template <class Simd>
inline void add_paired(const std::uint8_t* nibbles, const std::uint8_t* tables, std::size_t n_bytes,
                       PairedSums<Simd>& totals) {
  using Vector = typename Simd::Vector;
  for (auto& query : totals.of) {
    for (auto& total : query) total = Simd::broadcast(0);
  }
  const std::size_t n_nibbles = 2 * n_bytes;
  for (std::size_t begin = 0; begin < n_nibbles;) {
    const std::size_t n_left = n_nibbles - begin;
    const std::size_t end = begin + (n_left < kNibblesPerFlush ? n_left : kNibblesPerFlush);
    Vector sums[kPairedQueries][kPairedVectors];
    for (auto& query : sums) {
      for (auto& sum : query) sum = Simd::broadcast(0);
    }
    std::size_t nibble = begin;
    for (; nibble + kLookupsPerParting <= end; nibble += kLookupsPerParting) {
      add_nibbles<Simd, kLookupsPerParting>(nibbles + nibble * kPairedRows, tables + nibble * 16,
                                            sums);
    }
    for (; nibble < end; ++nibble) {
      add_nibbles<Simd, 1>(nibbles + nibble * kPairedRows, tables + nibble * 16, sums);
    }
    for (std::size_t i = 0; i < kPairedQueries; ++i) {
      for (std::size_t v = 0; v < kPairedVectors; ++v) {
        Simd::add_widened(sums[i][v], totals.of[i] + 2 * v);
      }
    }
    begin = end;
  }
}

// A distance below this is a hit: limits saturate at what 16 bits hold.
static inline std::uint16_t paired_bound(std::int64_t limit) {
  return static_cast<std::uint16_t>(limit + 1 > 0xFFFF ? 0xFFFF : limit + 1);
}

template <class Simd>
std::size_t scan_paired(const void* tile, std::size_t n_rows, std::size_t n_bytes,
                        const void* groups, std::size_t n_groups, const std::int64_t* limits,
                        const std::int64_t* row_limits, Hit* hits) noexcept {
  using Vector = typename Simd::Vector;
  const auto* nibbles = static_cast<const std::uint8_t*>(tile);
  const auto* tables = static_cast<const std::uint8_t*>(groups);
  const std::size_t group_bytes = (n_bytes + 7) / 8 * 8 * 2 * 16;
  alignas(32) std::uint16_t row_bounds[kPairedRows] = {};
  if (row_limits != nullptr) {
    for (std::size_t row = 0; row < n_rows; ++row) row_bounds[row] = paired_bound(row_limits[row]);
  }
  std::size_t n_hits = 0;
  for (std::size_t group = 0; group < n_groups; ++group, tables += group_bytes) {
    PairedSums<Simd> sums;
    add_paired<Simd>(nibbles, tables, n_bytes, sums);
    for (std::size_t i = 0; i < kPairedQueries; ++i) {
      const std::size_t query = group * kPairedQueries + i;
      const Vector bound = Simd::broadcast16(paired_bound(limits[query]));
      Vector near[2 * kPairedVectors];
      Vector any = Simd::broadcast(0);
      for (std::size_t v = 0; v < 2 * kPairedVectors; ++v) {
        const Vector of_rows = Simd::load(row_bounds + v * 16);
        near[v] = Simd::room16(Simd::max16(bound, of_rows), sums.of[i][v]);
        any = Simd::bitwise_or(any, near[v]);
      }
      if (Simd::is_zero(any)) continue;
      const std::uint16_t query_bound = paired_bound(limits[query]);
      for (std::size_t v = 0; 16 * v < n_rows; ++v) {
        if (Simd::is_zero(near[v])) continue;
        alignas(32) std::uint16_t distances[16];
        Simd::store_lanes(reinterpret_cast<std::uint64_t*>(distances), sums.of[i][v]);
        for (std::size_t j = 0; j < 16 && 16 * v + j < n_rows; ++j) {
          const std::size_t row = 16 * v + j;
          if (distances[j] < query_bound || distances[j] < row_bounds[row]) {
            hits[n_hits++] = {static_cast<std::uint32_t>(query), static_cast<std::uint32_t>(row),
                              distances[j]};
          }
        }
      }
    }
  }
  return n_hits;
}

template <class Simd>
void paired_distances(const void* tile, std::size_t n_rows, std::size_t n_bytes, const void* groups,
                      std::size_t n_queries, std::int32_t* out, std::size_t out_stride) noexcept {
  const auto* nibbles = static_cast<const std::uint8_t*>(tile);
  const auto* tables = static_cast<const std::uint8_t*>(groups);
  const std::size_t group_bytes = (n_bytes + 7) / 8 * 8 * 2 * 16;
  for (std::size_t first = 0; first < n_queries; first += kPairedQueries, tables += group_bytes) {
    PairedSums<Simd> sums;
    add_paired<Simd>(nibbles, tables, n_bytes, sums);
    for (std::size_t i = 0; i < kPairedQueries && first + i < n_queries; ++i) {
      alignas(32) std::uint16_t distances[kPairedRows];
      for (std::size_t v = 0; v < 2 * kPairedVectors; ++v) {
        Simd::store_lanes(reinterpret_cast<std::uint64_t*>(distances) + v * 4, sums.of[i][v]);
      }
      std::int32_t* row_out = out + (first + i) * out_stride;
      for (std::size_t row = 0; row < n_rows; ++row) row_out[row] = distances[row];
    }
  }
}

// The instructions of the hot loop, for vectors of documents in registers.
template <class Simd>
std::uint64_t paired_ceiling(std::size_t n) noexcept {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kSums = 4;
  Vector sums[2][kSums];
  for (auto& query : sums) {
    for (auto& sum : query) sum = Simd::broadcast(0);
  }
  const Vector table = Simd::broadcast(0x3322212212111000);
  Vector documents = Simd::broadcast(0x0F0E0D0C03020100);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t v = 0; v < kSums; ++v) {
      Vector both = Simd::look_up(table, documents);
      for (std::size_t j = 1; j < kLookupsPerParting; ++j) {
        // Concealed from the compiler, which has to look up anew each time.
        documents = Simd::concealed(documents);
        both = Simd::add(both, Simd::look_up(table, documents));
      }
      documents = Simd::concealed(documents);
      sums[0][v] = Simd::concealed(Simd::add(sums[0][v], Simd::low_nibbles(both)));
      sums[1][v] = Simd::concealed(Simd::add(sums[1][v], Simd::high_nibbles(both)));
    }
  }
  return n * kSums * 2 * 32 * kLookupsPerParting * 4;
}

template <class Simd>
constexpr BatchKernel make_paired_kernel() {
  return {
      .layout = GroupLayout::kWords,
      .max_code_bytes = kMaxCodeBytes - 1,  // 65,536 differing bits do not fit 16 bits
      .tile_rows = kPairedRows,
      .tile_word_bytes = 16 * kPairedRows,
      .fill_tile = fill_paired_tile<Simd>,
      .group_queries = kPairedQueries,
      .group_header_bytes = 0,
      .group_word_bytes = 16 * 16,
      .fill_group = fill_paired_group<Simd>,
      .scan = scan_paired<Simd>,
      .distances = paired_distances<Simd>,
      .ceiling = paired_ceiling<Simd>,
  };
}

}  // namespace bitsift
