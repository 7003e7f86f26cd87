// SPDX-License-Identifier: Apache-2.0
// Many queries against a tile of documents, by adding a bit of many documents at once.
//
// Where no instruction counts bits or looks up tables, ten operations count those of a word. Here a
// number is spread over vectors instead: a slice is a vector with one bit of each document of a
// tile, and slice i of distances has bit i of each. A full adder, five operations, takes three
// slices of one weight to one of that weight and one of twice that weight. So to count bits takes
// about one full adder for each slice that is added.
//
// Three bits of a query have eight patterns. The number of bits in which a document differs from a
// pattern is 0 to 3, two slices, the same for all queries with this pattern. It is computed once,
// into a table, and each query adds two slices for three bits. Its program names their places.
// Tables of patterns: Arlazarov, Dinic, Kronrod, Faradzev, "On economical construction of the
// transitive closure of an oriented graph" (Soviet Mathematics Doklady 11, 1970).
//
// tile:   [bit][documents], a slice each
// group:  [query][triple of bits][2], the places of its two slices in the table of the triple
// tables: [triple][10 slices]: two of weight 1, of even and odd patterns; eight of weight 2
#pragma once

#include "kernels/kernels.hpp"

namespace bitsift {

inline constexpr std::size_t kSlicedQueries = 4;
// Triples that a query adds at once. Their sums take five slices; what these carry goes to others.
inline constexpr std::size_t kUnitTriples = 16;
inline constexpr std::size_t kUnitBits = 3 * kUnitTriples;
inline constexpr std::size_t kUnitSlices = 5;
inline constexpr std::size_t kUnitBytes = 2 * kUnitTriples * sizeof(std::uint16_t);
inline constexpr std::size_t kTripleSlices = 10;
// Units whose tables are in L1 while all queries of a block add them.
inline constexpr std::size_t kTableUnits = 4;
// Queries whose sums are on the stack at a time.
inline constexpr std::size_t kSlicedBlock = 128;
static_assert(kSlicedBlock % kSlicedQueries == 0);
inline constexpr std::size_t kMaxSlices = 17;
static_assert(8 * kMaxCodeBytes + 1 < std::size_t{1} << kMaxSlices);

static inline std::size_t n_units(std::size_t n_words) {
  return (64 * n_words + kUnitBits - 1) / kUnitBits;
}
// The units of a code of n words are at most 2 n.
inline constexpr std::size_t kProgramWordBytes = 2 * kUnitBytes;

// So many that a distance and one more fit.
static inline std::size_t n_slices(std::size_t n_words) {
  std::size_t n = kUnitSlices + 1;
  while ((std::size_t{1} << n) < 64 * n_words + 2) ++n;
  return n;
}

// Turns kColumns matrices of 64 rows of 64 bits over: bit i of row k goes to bit k of row i.
template <std::size_t kColumns>
static inline void transpose_bits(std::uint64_t (*rows)[kColumns]) {
  std::uint64_t low = 0x00000000FFFFFFFF;
  for (std::size_t half = 32; half > 0; half /= 2, low ^= low << half) {
    for (std::size_t k = 0; k < 64; k = (k + half + 1) & ~half) {
      for (std::size_t i = 0; i < kColumns; ++i) {
        const std::uint64_t swapped = (rows[k][i] >> half ^ rows[k + half][i]) & low;
        rows[k + half][i] ^= swapped;
        rows[k][i] ^= swapped << half;
      }
    }
  }
}

template <class Simd>
void fill_sliced_tile(const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
                      std::size_t n_bytes, void* tile) noexcept {
  constexpr std::size_t kWords = Simd::kLanes;
  auto* slices = static_cast<std::uint64_t*>(tile);
  const std::size_t n_words = (n_bytes + 7) / 8;
  for (std::size_t part = 0; part < kWords; ++part) {
    for (std::size_t first = 0; first < n_words; first += kWords) {
      const std::size_t n_left = n_bytes - 8 * first;
      std::uint64_t block[64][kWords];
      for (std::size_t i = 0; i < 64; ++i) {
        const std::size_t row = 64 * part + i;
        const std::uint8_t* code = rows + static_cast<std::ptrdiff_t>(row) * stride + 8 * first;
        if (row < n_rows && n_left >= sizeof(block[i])) {
          __builtin_memcpy(block[i], code, sizeof(block[i]));
        } else {
          __builtin_memset(block[i], 0, sizeof(block[i]));
          if (row < n_rows) __builtin_memcpy(block[i], code, n_left);
        }
      }
      transpose_bits(block);
      for (std::size_t w = 0; w < kWords && first + w < n_words; ++w) {
        std::uint64_t* out = slices + (first + w) * 64 * kWords + part;
        for (std::size_t bit = 0; bit < 64; ++bit) out[bit * kWords] = block[bit][w];
      }
    }
  }
}

template <class Simd>
void fill_sliced_group(const std::uint8_t* const* codes, const std::uint8_t* const* /*magnitudes*/,
                       std::size_t n_queries, std::size_t n_bytes, void* group) noexcept {
  constexpr std::size_t kSliceBytes = 8 * Simd::kLanes;
  const std::size_t n_words = (n_bytes + 7) / 8;
  for (std::size_t i = 0; i < kSlicedQueries; ++i) {
    auto* places = reinterpret_cast<std::uint16_t*>(static_cast<std::uint8_t*>(group) +
                                                    i * n_words * kProgramWordBytes);
    for (std::size_t bit = 0; bit < n_units(n_words) * kUnitBits; bit += 3) {
      unsigned pattern = 0;
      for (std::size_t j = 0; j < 3; ++j) {
        const std::size_t at = bit + j;
        if (i < n_queries && at < 8 * n_bytes) {
          pattern |= static_cast<unsigned>(codes[i][at / 8] >> (at % 8) & 1) << j;
        }
      }
      *places++ = static_cast<std::uint16_t>(__builtin_parity(pattern) != 0 ? kSliceBytes : 0);
      *places++ = static_cast<std::uint16_t>((2 + pattern) * kSliceBytes);
    }
  }
}

// The tables of the triples of some units.
template <class Simd>
inline void fill_tables(const std::uint64_t* slices, std::size_t n_bits, std::size_t first_bit,
                        std::size_t n_triples, std::uint64_t* tables) {
  using Vector = typename Simd::Vector;
  const Vector ones = Simd::broadcast(~std::uint64_t{0});
  for (std::size_t triple = 0; triple < n_triples; ++triple) {
    Vector bits[3];
    for (std::size_t j = 0; j < 3; ++j) {
      const std::size_t bit = first_bit + 3 * triple + j;
      bits[j] = bit < n_bits ? Simd::load(slices + bit * Simd::kLanes) : Simd::broadcast(0);
    }
    std::uint64_t* table = tables + triple * kTripleSlices * Simd::kLanes;
    const auto store = [&](std::size_t slice, Vector x) {
      Simd::store_lanes(table + slice * Simd::kLanes, x);
    };
    for (std::size_t pattern = 0; pattern < 4; ++pattern) {
      Vector sum = bits[2];
      const Vector twos =
          Simd::add_bits(sum, pattern % 2 == 0 ? bits[0] : Simd::exclusive_or(bits[0], ones),
                         pattern / 2 == 0 ? bits[1] : Simd::exclusive_or(bits[1], ones));
      store(2 + pattern, twos);
      // The opposite pattern differs in the other bits.
      store(2 + (7 - pattern), Simd::exclusive_or(twos, ones));
      if (pattern < 2) store(pattern, sum);
    }
  }
}

// Two slices of each of some triples, added to the sums of weight 1 and 2; carries three slices.
template <class Simd>
struct SliceAdder {
  using Vector = typename Simd::Vector;
  struct Carries {
    Vector of[3];
  };

  const std::uint8_t* tables;
  const std::uint16_t* places;
  Vector sums[kUnitSlices];

  [[gnu::always_inline]] Vector next(std::size_t triple, std::size_t weight) const {
    const std::size_t offset = triple * kTripleSlices * 8 * Simd::kLanes;
    return Simd::load(tables + offset + places[2 * triple + weight]);
  }
  // Adds 4 << kLevel triples.
  template <std::size_t kLevel>
  [[gnu::always_inline]] Carries add(std::size_t first) {
    Carries carries;
    if constexpr (kLevel == 0) {
      const Vector low = Simd::add_bits(sums[0], next(first, 0), next(first + 1, 0));
      carries.of[0] = Simd::add_bits(sums[1], low, next(first, 1));
      const Vector high = Simd::add_bits(sums[0], next(first + 2, 0), next(first + 3, 0));
      carries.of[1] = Simd::add_bits(sums[1], next(first + 1, 1), next(first + 2, 1));
      carries.of[2] = Simd::add_bits(sums[1], next(first + 3, 1), high);
    } else {
      Vector& sum = sums[kLevel + 1];
      const Carries a = add<kLevel - 1>(first);
      carries.of[0] = Simd::add_bits(sum, a.of[0], a.of[1]);
      const Carries b = add<kLevel - 1>(first + (2 << kLevel));
      carries.of[1] = Simd::add_bits(sum, a.of[2], b.of[0]);
      carries.of[2] = Simd::add_bits(sum, b.of[1], b.of[2]);
    }
    return carries;
  }
};

template <class Simd>
inline typename Simd::Vector add_bit(typename Simd::Vector& sum, typename Simd::Vector x) {
  const auto carry = Simd::bitwise_and(sum, x);
  sum = Simd::exclusive_or(sum, x);
  return carry;
}

// The hot loop: adds some units of a query to its sums.
template <class Simd>
inline void add_units(const std::uint64_t* tables, const std::uint16_t* places, std::size_t n_units,
                      std::uint64_t* sums, std::size_t n_sums) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kWords = Simd::kLanes;
  SliceAdder<Simd> adder{reinterpret_cast<const std::uint8_t*>(tables), places, {}};
  for (std::size_t i = 0; i < kUnitSlices; ++i) {
    adder.sums[i] = Simd::load(sums + i * kWords);
  }
  for (std::size_t unit = 0; unit < n_units; ++unit) {
    static_assert(kUnitTriples == 4 << 2);
    const typename SliceAdder<Simd>::Carries carries = adder.template add<2>(0);
    const Vector a = Simd::add_bits(adder.sums[4], carries.of[0], carries.of[1]);
    const Vector b = add_bit<Simd>(adder.sums[4], carries.of[2]);
    Vector sum = Simd::load(sums + kUnitSlices * kWords);
    Vector carry = Simd::add_bits(sum, a, b);
    Simd::store_lanes(sums + kUnitSlices * kWords, sum);
    for (std::size_t i = kUnitSlices + 1; i < n_sums; ++i) {
      sum = Simd::load(sums + i * kWords);
      carry = add_bit<Simd>(sum, carry);
      Simd::store_lanes(sums + i * kWords, sum);
    }
    adder.tables += kUnitTriples * kTripleSlices * 8 * kWords;
    adder.places += 2 * kUnitTriples;
  }
  for (std::size_t i = 0; i < kUnitSlices; ++i) {
    Simd::store_lanes(sums + i * kWords, adder.sums[i]);
  }
}

// Byte i of the result is bit i of `byte`.
static inline std::uint64_t spread_bits(std::uint8_t byte) {
  const std::uint64_t bits = byte * 0x0101010101010101u & 0x8040201008040201u;
  return (bits + 0x7F7F7F7F7F7F7F7Fu) >> 7 & 0x0101010101010101u;
}

// Distances of a block of queries to a tile, as slices.
template <class Simd>
struct SlicedSums {
  alignas(64) std::uint64_t of[kSlicedBlock][kMaxSlices * Simd::kLanes];

  void add(const std::uint64_t* slices, std::size_t n_words, const std::uint8_t* programs,
           std::size_t n_queries) {
    alignas(64) std::uint64_t tables[kTableUnits * kUnitTriples * kTripleSlices * Simd::kLanes];
    const std::size_t n_sums = n_slices(n_words);
    for (std::size_t i = 0; i < n_queries; ++i) {
      for (std::size_t j = 0; j < n_sums * Simd::kLanes; ++j) of[i][j] = 0;
    }
    const std::size_t n_all = n_units(n_words);
    for (std::size_t unit = 0; unit < n_all; unit += kTableUnits) {
      const std::size_t n = n_all - unit < kTableUnits ? n_all - unit : kTableUnits;
      fill_tables<Simd>(slices, 64 * n_words, unit * kUnitBits, n * kUnitTriples, tables);
      for (std::size_t i = 0; i < n_queries; ++i) {
        const auto* places = reinterpret_cast<const std::uint16_t*>(
            programs + i * n_words * kProgramWordBytes + unit * kUnitBytes);
        add_units<Simd>(tables, places, n, of[i], n_sums);
      }
    }
  }

  // Those of eight rows, from a multiple of eight on.
  void distances_of_eight(std::size_t query, std::size_t row, std::size_t n_sums,
                          std::int32_t* out) const {
    const std::uint64_t* word = of[query] + row / 64;
    std::uint64_t bytes[3] = {};  // of each distance
    for (std::size_t i = 0; i < n_sums; ++i) {
      const auto bits = static_cast<std::uint8_t>(word[i * Simd::kLanes] >> (row % 64));
      bytes[i / 8] |= spread_bits(bits) << (i % 8);
    }
    for (std::size_t i = 0; i < 8; ++i) {
      std::uint64_t distance = 0;
      for (std::size_t j = 0; j < 3; ++j) distance |= (bytes[j] >> (8 * i) & 0xFF) << (8 * j);
      out[i] = static_cast<std::int32_t>(distance);
    }
  }
  std::int32_t distance(std::size_t query, std::size_t row, std::size_t n_sums) const {
    const std::uint64_t* word = of[query] + row / 64;
    std::uint64_t distance = 0;
    for (std::size_t i = 0; i < n_sums; ++i) {
      distance |= (word[i * Simd::kLanes] >> (row % 64) & 1) << i;
    }
    return static_cast<std::int32_t>(distance);
  }
};

// A distance below this is a hit.
static inline std::uint64_t sliced_bound(std::int64_t limit, std::size_t n_sums) {
  const std::int64_t most = (std::int64_t{1} << n_sums) - 1;
  return static_cast<std::uint64_t>(limit < most ? limit + 1 : most);
}

template <class Simd>
std::size_t scan_sliced(const void* tile, std::size_t n_rows, std::size_t n_bytes,
                        const void* groups, std::size_t n_groups, const std::int64_t* limits,
                        const std::int64_t* row_limits, Hit* hits) noexcept {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kWords = Simd::kLanes;
  const std::size_t n_words = (n_bytes + 7) / 8;
  const std::size_t n_sums = n_slices(n_words);
  std::uint64_t row_bounds[kMaxSlices * kWords] = {};
  if (row_limits != nullptr) {
    for (std::size_t row = 0; row < n_rows; ++row) {
      const std::uint64_t bound = sliced_bound(row_limits[row], n_sums);
      for (std::size_t i = 0; i < n_sums; ++i) {
        row_bounds[i * kWords + row / 64] |= (bound >> i & 1) << (row % 64);
      }
    }
  }
  // Slice i of the result is set where distance < bound in the lowest i + 1 slices.
  const auto is_below = [](Vector distance, Vector bound, Vector below) {
    Vector unused = Simd::exclusive_or(distance, Simd::broadcast(~std::uint64_t{0}));
    return Simd::add_bits(unused, bound, below);
  };
  std::size_t n_hits = 0;
  SlicedSums<Simd> sums;
  for (std::size_t first = 0; first < n_groups * kSlicedQueries; first += kSlicedBlock) {
    const std::size_t n_left = n_groups * kSlicedQueries - first;
    const std::size_t n_queries = n_left < kSlicedBlock ? n_left : kSlicedBlock;
    sums.add(static_cast<const std::uint64_t*>(tile), n_words,
             static_cast<const std::uint8_t*>(groups) + first * n_words * kProgramWordBytes,
             n_queries);
    for (std::size_t i = 0; i < n_queries; ++i) {
      const std::uint64_t bound = sliced_bound(limits[first + i], n_sums);
      Vector below = Simd::broadcast(0);
      Vector below_row = Simd::broadcast(0);
      for (std::size_t j = 0; j < n_sums; ++j) {
        const Vector distance = Simd::load(sums.of[i] + j * kWords);
        below = is_below(distance, Simd::broadcast(0 - (bound >> j & 1)), below);
        if (row_limits != nullptr) {
          below_row = is_below(distance, Simd::load(row_bounds + j * kWords), below_row);
        }
      }
      std::uint64_t near[kWords];
      Simd::store_lanes(near, Simd::bitwise_or(below, below_row));
      for (std::size_t part = 0; 64 * part < n_rows; ++part) {
        std::uint64_t word = near[part];
        if (n_rows - 64 * part < 64) word &= (std::uint64_t{1} << (n_rows - 64 * part)) - 1;
        for (; word != 0; word &= word - 1) {
          const std::size_t row = 64 * part + static_cast<std::size_t>(__builtin_ctzll(word));
          hits[n_hits++] = {static_cast<std::uint32_t>(first + i), static_cast<std::uint32_t>(row),
                            sums.distance(i, row, n_sums)};
        }
      }
    }
  }
  return n_hits;
}

template <class Simd>
void sliced_distances(const void* tile, std::size_t n_rows, std::size_t n_bytes, const void* groups,
                      std::size_t n_queries, std::int32_t* out, std::size_t out_stride) noexcept {
  const std::size_t n_words = (n_bytes + 7) / 8;
  SlicedSums<Simd> sums;
  for (std::size_t first = 0; first < n_queries; first += kSlicedBlock) {
    const std::size_t n_left = n_queries - first;
    const std::size_t n = n_left < kSlicedBlock ? n_left : kSlicedBlock;
    sums.add(static_cast<const std::uint64_t*>(tile), n_words,
             static_cast<const std::uint8_t*>(groups) + first * n_words * kProgramWordBytes, n);
    for (std::size_t i = 0; i < n; ++i) {
      std::int32_t* row_out = out + (first + i) * out_stride;
      for (std::size_t row = 0; row < n_rows; row += 8) {
        std::int32_t eight[8];
        sums.distances_of_eight(i, row, n_slices(n_words), eight);
        for (std::size_t j = 0; j < 8 && row + j < n_rows; ++j) row_out[row + j] = eight[j];
      }
    }
  }
}

// Full adders. Each adds a slice, and two slices count three bits.
template <class Simd>
std::uint64_t sliced_ceiling(std::size_t n) noexcept {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kSums = 8;
  Vector sums[kSums];
  for (auto& x : sums) x = Simd::broadcast(0);
  Vector x = Simd::broadcast(0x0123456789ABCDEF);
  const Vector y = Simd::broadcast(0x5555333300FF0FF0);
  for (std::size_t i = 0; i < n; ++i) {
    for (auto& sum : sums) {
      x = Simd::concealed(x);
      Vector carry = Simd::add_bits(sum, x, y);
      sum = Simd::concealed(sum);
      carry = Simd::concealed(carry);
    }
  }
  return n * kSums * 64 * Simd::kLanes * 3 / 2;
}

template <class Simd>
constexpr BatchKernel make_sliced_kernel() {
  static_assert(64 * Simd::kLanes <= kMaxTileRows);
  return {
      .layout = GroupLayout::kWords,
      .least_queries = 8,
      .tile_rows = 64 * Simd::kLanes,
      .tile_word_bytes = 64 * 8 * Simd::kLanes,
      .fill_tile = fill_sliced_tile<Simd>,
      .group_queries = kSlicedQueries,
      .group_header_bytes = 0,
      .group_word_bytes = kSlicedQueries * kProgramWordBytes,
      .fill_group = fill_sliced_group<Simd>,
      .scan = scan_sliced<Simd>,
      .distances = sliced_distances<Simd>,
      .ceiling = sliced_ceiling<Simd>,
  };
}

}  // namespace bitsift
