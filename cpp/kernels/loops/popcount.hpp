// SPDX-License-Identifier: Apache-2.0
// Many queries against a transposed tile of documents, by counting the bits that differ.
//
// A tile is kTileVectors * kLanes documents, word by word. Each document has a lane of its own, so
// that no sum crosses lanes. A group is kPopcountQueries queries, word by word as well.
//
// Three words take three exclusive-ors, three counts and three additions. A carry-save adder saves
// one count and one addition: only its sum and its carry are counted. The sum is x ^ y ^ z of the
// differing bits x, y, z. Tile and group each store, instead of every third word, the XOR of the
// three. The adder's sum is then one XOR, and only the carry costs an extra instruction: 8 instead
// of 9, where a carry is one instruction (kCarrySave).
#pragma once

#include "kernels/kernels.hpp"

namespace bitsift {

inline constexpr std::size_t kPopcountQueries = 4;

// Replaces the third of every three words by the parity of the three.
template <class Simd, std::size_t kWidth>
inline void fold_triples(std::uint64_t* words, std::size_t n_words) {
  if constexpr (Simd::kCarrySave) {
    for (std::size_t w = 0; w + 3 <= n_words; w += 3) {
      std::uint64_t* triple = words + w * kWidth;
      for (std::size_t i = 0; i < kWidth; ++i) {
        triple[2 * kWidth + i] ^= triple[i] ^ triple[kWidth + i];
      }
    }
  }
}

template <class Simd>
void fill_popcount_tile(const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
                        std::size_t n_bytes, void* tile) noexcept {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kLanes = Simd::kLanes;
  constexpr std::size_t kRows = Simd::kTileVectors * kLanes;
  auto* words = static_cast<std::uint64_t*>(tile);
  const std::size_t n_words = (n_bytes + 7) / 8;
  for (std::size_t first = 0; first < kRows; first += kLanes) {
    for (std::size_t w = 0; w < n_words; w += kLanes) {
      const std::size_t n_left = n_bytes - 8 * w;
      Vector block[kLanes];
      for (std::size_t i = 0; i < kLanes; ++i) {
        const std::uint8_t* code = rows + static_cast<std::ptrdiff_t>(first + i) * stride + 8 * w;
        block[i] = first + i >= n_rows    ? Simd::broadcast(0)
                   : n_left >= 8 * kLanes ? Simd::load(code)
                                          : Simd::load_partial(code, n_left);
      }
      Simd::transpose(block);
      for (std::size_t i = 0; i < kLanes && w + i < n_words; ++i) {
        Simd::store_lanes(words + (w + i) * kRows + first, block[i]);
      }
    }
  }
  fold_triples<Simd, kRows>(words, n_words);
}

template <class Simd>
void fill_popcount_group(const std::uint8_t* const* codes,
                         const std::uint8_t* const* /*magnitudes*/, std::size_t n_queries,
                         std::size_t n_bytes, void* group) noexcept {
  auto* words = static_cast<std::uint64_t*>(group);
  const std::size_t n_words = (n_bytes + 7) / 8;
  for (std::size_t w = 0; w < n_words; ++w) {
    for (std::size_t i = 0; i < kPopcountQueries; ++i) {
      std::uint64_t word = 0;
      if (i < n_queries) __builtin_memcpy(&word, codes[i] + 8 * w, 8);
      words[w * kPopcountQueries + i] = word;
    }
  }
  fold_triples<Simd, kPopcountQueries>(words, n_words);
}

// Sums of one group of queries and a tile, in registers.
template <class Simd>
struct TileSums {
  typename Simd::Vector of[kPopcountQueries][Simd::kTileVectors];
};

// The hot loops, one for counts of bytes, one for counts of words with a carry: a
// document's word is loaded once for all queries of the group, a query's once for the whole tile.
template <class Simd>
inline void add_byte_counts(const std::uint64_t* words, std::size_t n_words,
                            const std::uint64_t* queries, TileSums<Simd>& sums) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kVectors = Simd::kTileVectors;
  for (std::size_t begin = 0; begin < n_words;) {
    const std::size_t n_left = n_words - begin;
    const std::size_t end = begin + (n_left < Simd::kWordsPerFlush ? n_left : Simd::kWordsPerFlush);
    TileSums<Simd> counts;
    for (auto& query : counts.of) {
      for (auto& count : query) count = Simd::broadcast(0);
    }
    for (std::size_t w = begin; w < end; ++w) {
      Vector documents[kVectors];
      for (std::size_t v = 0; v < kVectors; ++v) {
        documents[v] = Simd::load(words + (w * kVectors + v) * Simd::kLanes);
      }
      for (std::size_t i = 0; i < kPopcountQueries; ++i) {
        const Vector query = Simd::broadcast(queries[w * kPopcountQueries + i]);
        for (std::size_t v = 0; v < kVectors; ++v) {
          counts.of[i][v] =
              Simd::add(counts.of[i][v], Simd::count(Simd::exclusive_or(query, documents[v])));
        }
      }
    }
    for (std::size_t i = 0; i < kPopcountQueries; ++i) {
      for (std::size_t v = 0; v < kVectors; ++v) {
        sums.of[i][v] = Simd::add_lanes(sums.of[i][v], Simd::lane_sums(counts.of[i][v]));
      }
    }
    begin = end;
  }
}

template <class Simd>
inline void add_carry_save_counts(const std::uint64_t* words, std::size_t n_words,
                                  const std::uint64_t* queries, TileSums<Simd>& sums) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kVectors = Simd::kTileVectors;
  constexpr std::size_t kRows = kVectors * Simd::kLanes;
  TileSums<Simd> twos;
  const auto add_triple = [&]<bool kFirst>(std::size_t w) {
    Vector a[kVectors];
    Vector b[kVectors];
    Vector parity[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) {
      const std::uint64_t* word = words + w * kRows + v * Simd::kLanes;
      a[v] = Simd::load(word);
      b[v] = Simd::load(word + kRows);
      parity[v] = Simd::load(word + 2 * kRows);
    }
    const std::uint64_t* word = queries + w * kPopcountQueries;
    for (std::size_t i = 0; i < kPopcountQueries; ++i) {
      const Vector query_a = Simd::broadcast(word[i]);
      const Vector query_b = Simd::broadcast(word[kPopcountQueries + i]);
      const Vector query_parity = Simd::broadcast(word[2 * kPopcountQueries + i]);
      for (std::size_t v = 0; v < kVectors; ++v) {
        const Vector sum = Simd::exclusive_or(parity[v], query_parity);
        const Vector carry =
            Simd::carry(Simd::exclusive_or(a[v], query_a), Simd::exclusive_or(b[v], query_b), sum);
        sums.of[i][v] = Simd::add_lanes(sums.of[i][v], Simd::count(sum));
        twos.of[i][v] =
            kFirst ? Simd::count(carry) : Simd::add_lanes(twos.of[i][v], Simd::count(carry));
      }
    }
  };
  std::size_t w = 0;
  if (n_words >= 3) {
    add_triple.template operator()<true>(0);
    for (w = 3; w + 3 <= n_words; w += 3) add_triple.template operator()<false>(w);
    for (std::size_t i = 0; i < kPopcountQueries; ++i) {
      for (std::size_t v = 0; v < kVectors; ++v) {
        const Vector doubled = Simd::add_lanes(twos.of[i][v], twos.of[i][v]);
        sums.of[i][v] = Simd::add_lanes(sums.of[i][v], doubled);
      }
    }
  }
  for (; w < n_words; ++w) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      const Vector document = Simd::load(words + w * kRows + v * Simd::kLanes);
      for (std::size_t i = 0; i < kPopcountQueries; ++i) {
        const Vector query = Simd::broadcast(queries[w * kPopcountQueries + i]);
        sums.of[i][v] =
            Simd::add_lanes(sums.of[i][v], Simd::count(Simd::exclusive_or(query, document)));
      }
    }
  }
}

template <class Simd>
inline void add_counts(const std::uint64_t* words, std::size_t n_words,
                       const std::uint64_t* queries, TileSums<Simd>& sums) {
  if constexpr (Simd::kCarrySave) {
    add_carry_save_counts<Simd>(words, n_words, queries, sums);
  } else {
    add_byte_counts<Simd>(words, n_words, queries, sums);
  }
}

// Sums begin at -limit - 1, so that a hit is a negative sum and one test of the sign serves all
// pairs of the group.
static inline std::uint64_t start_of(std::int64_t limit) {
  return static_cast<std::uint64_t>(-limit - 1);
}

// Reports the pairs of a group and a tile whose sums are negative. All sums are stored and all hits
// found in one loop: whether a query or a row has any cannot be predicted.
template <class Simd, bool kRowLimits>
[[gnu::noinline]] static std::size_t report_hits(const TileSums<Simd>& sums, std::uint64_t present,
                                                 std::size_t first, const std::int64_t* limits,
                                                 const std::int64_t* row_limits, Hit* hits) {
  constexpr std::size_t kRows = Simd::kTileVectors * Simd::kLanes;
  std::uint64_t near = 0;
  for (std::size_t i = 0; i < kPopcountQueries; ++i) {
    for (std::size_t v = 0; v < Simd::kTileVectors; ++v) {
      const std::uint64_t negative = Simd::negative_lanes(sums.of[i][v]);
      near |= negative << (i * kRows + v * Simd::kLanes);
    }
  }
  near &= present;
  std::size_t n_hits = 0;
  for (; near != 0; near &= near - 1) {
    const auto pair = static_cast<std::uint32_t>(__builtin_ctzll(near));
    const std::uint32_t i = pair / kRows;
    const std::uint32_t row = pair % kRows;
    std::int64_t limit = limits[i];
    if (kRowLimits && row_limits[row] > limit) limit = row_limits[row];
    std::uint64_t sum;
    __builtin_memcpy(&sum, reinterpret_cast<const std::uint64_t*>(&sums) + pair, 8);
    hits[n_hits++] = {static_cast<std::uint32_t>(first + i), row,
                      static_cast<std::int32_t>(static_cast<std::int64_t>(sum) + limit + 1)};
  }
  return n_hits;
}

template <class Simd, bool kRowLimits>
inline std::size_t scan_popcount_by(const std::uint64_t* words, std::size_t n_rows,
                                    std::size_t n_words, const std::uint64_t* queries,
                                    std::size_t n_groups, const std::int64_t* limits,
                                    const std::int64_t* row_limits, Hit* hits) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kVectors = Simd::kTileVectors;
  constexpr std::size_t kRows = kVectors * Simd::kLanes;
  // The bits of rows that are there, for each query of a group.
  std::uint64_t present = 0;
  for (std::size_t i = 0; i < kPopcountQueries; ++i) {
    present |= ((std::uint64_t{1} << n_rows) - 1) << (i * kRows);
  }
  Vector row_starts[kVectors];
  if constexpr (kRowLimits) {
    std::uint64_t starts[kRows];
    for (std::size_t row = 0; row < kRows; ++row) starts[row] = start_of(row_limits[row]);
    for (std::size_t v = 0; v < kVectors; ++v) {
      row_starts[v] = Simd::load(starts + v * Simd::kLanes);
    }
  }
  std::size_t n_hits = 0;
  for (std::size_t group = 0; group < n_groups; ++group) {
    const std::size_t first = group * kPopcountQueries;
    TileSums<Simd> sums;
    for (std::size_t i = 0; i < kPopcountQueries; ++i) {
      const Vector start = Simd::broadcast(start_of(limits[first + i]));
      for (std::size_t v = 0; v < kVectors; ++v) {
        sums.of[i][v] = kRowLimits ? Simd::min_lanes(start, row_starts[v]) : start;
      }
    }
    add_counts<Simd>(words, n_words, queries + first * n_words, sums);
    Vector signs = sums.of[0][0];
    for (const auto& query : sums.of) {
      for (const Vector& sum : query) signs = Simd::bitwise_or(signs, sum);
    }
    if (Simd::negative_lanes(signs) == 0) continue;
    n_hits += report_hits<Simd, kRowLimits>(sums, present, first, limits + first, row_limits,
                                            hits + n_hits);
  }
  return n_hits;
}

template <class Simd>
std::size_t scan_popcount(const void* tile, std::size_t n_rows, std::size_t n_bytes,
                          const void* groups, std::size_t n_groups, const std::int64_t* limits,
                          const std::int64_t* row_limits, Hit* hits) noexcept {
  const auto* words = static_cast<const std::uint64_t*>(tile);
  const auto* queries = static_cast<const std::uint64_t*>(groups);
  const std::size_t n_words = (n_bytes + 7) / 8;
  if (row_limits == nullptr) {
    return scan_popcount_by<Simd, false>(words, n_rows, n_words, queries, n_groups, limits,
                                         row_limits, hits);
  }
  return scan_popcount_by<Simd, true>(words, n_rows, n_words, queries, n_groups, limits, row_limits,
                                      hits);
}

template <class Simd>
void popcount_distances(const void* tile, std::size_t n_rows, std::size_t n_bytes,
                        const void* groups, std::size_t n_queries, std::int32_t* out,
                        std::size_t out_stride) noexcept {
  constexpr std::size_t kRows = Simd::kTileVectors * Simd::kLanes;
  const auto* words = static_cast<const std::uint64_t*>(tile);
  const auto* queries = static_cast<const std::uint64_t*>(groups);
  const std::size_t n_words = (n_bytes + 7) / 8;
  for (std::size_t first = 0; first < n_queries; first += kPopcountQueries) {
    TileSums<Simd> sums;
    for (auto& query : sums.of) {
      for (auto& sum : query) sum = Simd::broadcast(0);
    }
    add_counts<Simd>(words, n_words, queries + first * n_words, sums);
    for (std::size_t i = 0; i < kPopcountQueries && first + i < n_queries; ++i) {
      std::uint64_t distances[kRows];
      for (std::size_t v = 0; v < Simd::kTileVectors; ++v) {
        Simd::store_lanes(distances + v * Simd::kLanes, sums.of[i][v]);
      }
      std::int32_t* row_out = out + (first + i) * out_stride;
      for (std::size_t row = 0; row < n_rows; ++row) {
        row_out[row] = static_cast<std::int32_t>(distances[row]);
      }
    }
  }
}

// Exclusive-or, count, add: without the carry-save adder, for which the bound is 8/9 of this one.
template <class Simd>
std::uint64_t popcount_ceiling(std::size_t n) noexcept {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kSums = 8;
  Vector sums[kSums];
  for (auto& x : sums) x = Simd::broadcast(0);
  const Vector query = Simd::broadcast(0x0123456789ABCDEF);
  Vector document = Simd::broadcast(0x5555333300FF0FF0);
  for (std::size_t i = 0; i < n; ++i) {
    for (auto& x : sums) {
      // Concealed from the compiler, which has to count anew each time.
      document = Simd::concealed(document);
      const Vector counts = Simd::count(Simd::exclusive_or(query, document));
      x = Simd::concealed(Simd::add(x, counts));
    }
  }
  return n * kSums * 64 * Simd::kLanes;
}

template <class Simd>
constexpr BatchKernel make_popcount_kernel() {
  constexpr std::size_t kRows = Simd::kTileVectors * Simd::kLanes;
  static_assert(kRows <= 16);  // masks of rows
  return {
      .layout = GroupLayout::kWords,
      .tile_rows = kRows,
      .tile_word_bytes = 8 * kRows,
      .fill_tile = fill_popcount_tile<Simd>,
      .group_queries = kPopcountQueries,
      .group_header_bytes = 0,
      .group_word_bytes = 8 * kPopcountQueries,
      .fill_group = fill_popcount_group<Simd>,
      .scan = scan_popcount<Simd>,
      .distances = popcount_distances<Simd>,
      .ceiling = popcount_ceiling<Simd>,
  };
}

}  // namespace bitsift
