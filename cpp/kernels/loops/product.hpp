// SPDX-License-Identifier: Apache-2.0
// Many queries against a tile of documents, by products of int8 and bits.
//
// With s[i] = m[i] where the query's bit is set and -m[i] where it is not, the weighted distance is
// the sum of m[i] over the query's set bits, minus the sum of s[i] over the document's. So
// documents are expanded to bytes 0 and 1, once for all queries, and need no norms; Hamming is m
// = 1.
//
// tile:  [block of 16 documents][word][document][64 bytes: the word's bits, lowest first]
// group: 16 int32, the sums over the query's set bits; then [word][4 bits][query][s of 4 bits].
// It is the layout of AMX tiles (A and B of TDPBUSD) and of VPDPBUSD, VPMADDUBSW alike.
#pragma once

#include "kernels/kernels.hpp"

namespace bitsift {

inline constexpr std::size_t kProductQueries = 16;
inline constexpr std::size_t kProductBlockRows = 16;
inline constexpr std::size_t kProductTileRows = 32;
inline constexpr std::size_t kBlockWordBytes = kProductBlockRows * 64;
inline constexpr std::size_t kGroupWordBytes = kProductQueries * 64;
inline constexpr std::size_t kGroupHeaderBytes = kProductQueries * sizeof(std::int32_t);

// Sums of products of a group of queries and a block of documents.
struct alignas(64) BlockSums {
  std::int32_t of[kProductBlockRows][kProductQueries];
};

// Byte i of the result is bit i of `byte`.
static inline std::uint64_t bytes_of_bits(std::uint8_t byte) {
  const std::uint64_t bits = byte * 0x0101010101010101u & 0x8040201008040201u;
  return (bits + 0x7F7F7F7F7F7F7F7Fu) >> 7 & 0x0101010101010101u;
}

static inline void expand_bytes(std::uint64_t word, std::uint8_t* out) {
  for (std::size_t i = 0; i < 8; ++i, word >>= 8) {
    const std::uint64_t bytes = bytes_of_bits(static_cast<std::uint8_t>(word));
    __builtin_memcpy(out + 8 * i, &bytes, 8);
  }
}

template <class Simd>
void fill_product_tile(const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
                       std::size_t n_bytes, void* tile) noexcept {
  auto* bytes = static_cast<std::uint8_t*>(tile);
  const std::size_t n_words = (n_bytes + 7) / 8;
  for (std::size_t row = 0; row < kProductTileRows; ++row) {
    const std::uint8_t* code = rows + static_cast<std::ptrdiff_t>(row) * stride;
    std::uint8_t* out =
        bytes + row / kProductBlockRows * n_words * kBlockWordBytes + row % kProductBlockRows * 64;
    for (std::size_t w = 0; w < n_words; ++w, out += kBlockWordBytes) {
      std::uint64_t word = 0;
      if (row < n_rows) {
        const std::size_t n_left = n_bytes - 8 * w;
        if (n_left >= 8) {
          __builtin_memcpy(&word, code + 8 * w, 8);
        } else {
          for (std::size_t i = 0; i < n_left; ++i) {
            word |= static_cast<std::uint64_t>(code[8 * w + i]) << (8 * i);
          }
        }
      }
      Simd::expand_bits(word, out);
    }
  }
}

static inline void fill_product_group(const std::uint8_t* const* codes,
                                      const std::uint8_t* const* magnitudes, std::size_t n_queries,
                                      std::size_t n_bytes, void* group) noexcept {
  auto* sums = static_cast<std::int32_t*>(group);
  auto* signed_magnitudes = static_cast<std::int8_t*>(group) + kGroupHeaderBytes;
  const std::size_t n_words = (n_bytes + 7) / 8;
  __builtin_memset(group, 0, kGroupHeaderBytes + n_words * kGroupWordBytes);
  for (std::size_t i = 0; i < n_queries; ++i) {
    for (std::size_t byte = 0; byte < n_bytes; ++byte) {
      std::int8_t* out = signed_magnitudes + byte / 8 * kGroupWordBytes +
                         byte % 8 * 2 * kProductQueries * 4 + i * 4;
      for (std::size_t bit = 0; bit < 8; ++bit) {  // lowest first; magnitudes come highest first
        const int m = magnitudes == nullptr ? 1 : magnitudes[i][8 * byte + 7 - bit];
        const bool is_set = (codes[i][byte] >> bit & 1) != 0;
        out[bit / 4 * kProductQueries * 4 + bit % 4] = static_cast<std::int8_t>(is_set ? m : -m);
        if (is_set) sums[i] += m;
      }
    }
  }
}

// Reports the hits of a group and a block.
static inline std::size_t report_block(const BlockSums& sums, const std::int32_t* set_sums,
                                       std::size_t first_query, std::size_t first_row,
                                       std::size_t n_rows, const std::int64_t* limits,
                                       const std::int64_t* row_limits, Hit* hits) {
  // Usually no document of the block is near, and the largest sums show it.
  if (row_limits == nullptr) {
    std::int32_t largest[kProductQueries];
    std::int32_t wanted[kProductQueries];
    for (std::size_t i = 0; i < kProductQueries; ++i) {
      largest[i] = sums.of[0][i];
      wanted[i] = set_sums[i] - static_cast<std::int32_t>(limits[i]);
    }
    for (std::size_t row = 1; row < kProductBlockRows; ++row) {
      for (std::size_t i = 0; i < kProductQueries; ++i) {
        largest[i] = largest[i] < sums.of[row][i] ? sums.of[row][i] : largest[i];
      }
    }
    std::int32_t any = 0;
    for (std::size_t i = 0; i < kProductQueries; ++i) any |= largest[i] >= wanted[i] ? 1 : 0;
    if (any == 0) return 0;
  }
  std::size_t n_hits = 0;
  for (std::size_t row = 0; row < kProductBlockRows && first_row + row < n_rows; ++row) {
    const std::int64_t row_limit = row_limits == nullptr ? kAdmitNone : row_limits[first_row + row];
    for (std::size_t i = 0; i < kProductQueries; ++i) {
      const std::int32_t distance = set_sums[i] - sums.of[row][i];
      if (distance <= (limits[i] < row_limit ? row_limit : limits[i])) {
        hits[n_hits++] = {static_cast<std::uint32_t>(first_query + i),
                          static_cast<std::uint32_t>(first_row + row), distance};
      }
    }
  }
  return n_hits;
}

// The hot loop: 4 bits of a document, broadcast, against those of all queries of a group;
// a query's are loaded once for kProductRows documents.
template <class Simd>
inline void multiply_block(const std::uint8_t* block, const std::int8_t* group, std::size_t n_words,
                           BlockSums& result) {
  using Products = typename Simd::Products;
  constexpr std::size_t kVectors = Simd::kQueryVectors;
  constexpr std::size_t kRows = Simd::kProductRows;
  constexpr std::size_t kSteps = 16;  // of 4 bits, in a word
  for (std::size_t first = 0; first < kProductBlockRows; first += kRows) {
    Products totals[kRows][kVectors];
    for (auto& row : totals) {
      for (auto& total : row) total = Simd::no_products();
    }
    for (std::size_t begin = 0; begin < n_words;) {
      const std::size_t n_left = n_words - begin;
      const std::size_t end =
          begin + (n_left < Simd::kProductWordsPerFlush ? n_left : Simd::kProductWordsPerFlush);
      Products sums[kRows][kVectors];
      for (auto& row : sums) {
        for (auto& sum : row) sum = Simd::no_products();
      }
      for (std::size_t step = begin * kSteps; step < end * kSteps; ++step) {
        const std::uint8_t* documents =
            block + step / kSteps * kBlockWordBytes + first * 64 + step % kSteps * 4;
        const std::int8_t* queries = group + step * kProductQueries * 4;
        for (std::size_t v = 0; v < kVectors; ++v) {
          const auto query = Simd::load_queries(queries, v);
          for (std::size_t row = 0; row < kRows; ++row) {
            sums[row][v] = Simd::add_products(sums[row][v], documents + row * 64, query);
          }
        }
      }
      for (std::size_t row = 0; row < kRows; ++row) {
        for (std::size_t v = 0; v < kVectors; ++v) {
          totals[row][v] = Simd::flush_products(totals[row][v], sums[row][v]);
        }
      }
      begin = end;
    }
    for (std::size_t row = 0; row < kRows; ++row) {
      for (std::size_t v = 0; v < kVectors; ++v) {
        Simd::store_products(result.of[first + row], v, totals[row][v]);
      }
    }
  }
}

template <class Simd>
std::size_t scan_product(const void* tile, std::size_t n_rows, std::size_t n_bytes,
                         const void* groups, std::size_t n_groups, const std::int64_t* limits,
                         const std::int64_t* row_limits, Hit* hits) noexcept {
  const std::size_t n_words = (n_bytes + 7) / 8;
  const auto* group = static_cast<const std::int8_t*>(groups);
  std::size_t n_hits = 0;
  for (std::size_t g = 0; g < n_groups; ++g) {
    const auto* set_sums = reinterpret_cast<const std::int32_t*>(group);
    const auto* block = static_cast<const std::uint8_t*>(tile);
    for (std::size_t row = 0; row < n_rows; row += kProductBlockRows) {
      BlockSums sums;
      multiply_block<Simd>(block, group + kGroupHeaderBytes, n_words, sums);
      n_hits += report_block(sums, set_sums, g * kProductQueries, row, n_rows,
                             limits + g * kProductQueries, row_limits, hits + n_hits);
      block += n_words * kBlockWordBytes;
    }
    group += kGroupHeaderBytes + n_words * kGroupWordBytes;
  }
  return n_hits;
}

static inline void store_block_distances(const BlockSums& sums, const std::int32_t* set_sums,
                                         std::size_t first_query, std::size_t n_queries,
                                         std::size_t first_row, std::size_t n_rows,
                                         std::int32_t* out, std::size_t out_stride) {
  for (std::size_t i = 0; i < kProductQueries && first_query + i < n_queries; ++i) {
    std::int32_t* row_out = out + (first_query + i) * out_stride;
    for (std::size_t row = 0; row < kProductBlockRows && first_row + row < n_rows; ++row) {
      row_out[first_row + row] = set_sums[i] - sums.of[row][i];
    }
  }
}

template <class Simd>
void product_distances(const void* tile, std::size_t n_rows, std::size_t n_bytes,
                       const void* groups, std::size_t n_queries, std::int32_t* out,
                       std::size_t out_stride) noexcept {
  const std::size_t n_words = (n_bytes + 7) / 8;
  const auto* group = static_cast<const std::int8_t*>(groups);
  for (std::size_t query = 0; query < n_queries; query += kProductQueries) {
    const auto* block = static_cast<const std::uint8_t*>(tile);
    for (std::size_t row = 0; row < n_rows; row += kProductBlockRows) {
      BlockSums sums;
      multiply_block<Simd>(block, group + kGroupHeaderBytes, n_words, sums);
      store_block_distances(sums, reinterpret_cast<const std::int32_t*>(group), query, n_queries,
                            row, n_rows, out, out_stride);
      block += n_words * kBlockWordBytes;
    }
    group += kGroupHeaderBytes + n_words * kGroupWordBytes;
  }
}

template <class Simd>
std::uint64_t product_ceiling(std::size_t n) noexcept {
  using Products = typename Simd::Products;
  constexpr std::size_t kSums = 8;
  alignas(64) static constexpr std::uint8_t kDocument[64] = {1, 0, 1, 1};
  alignas(64) static constexpr std::int8_t kQueries[64] = {1, -1, 1, -1};
  Products sums[kSums];
  for (auto& sum : sums) sum = Simd::no_products();
  auto query = Simd::load_queries(kQueries, 0);
  for (std::size_t i = 0; i < n; ++i) {
    for (auto& sum : sums) {
      query = Simd::concealed(query);
      sum = Simd::concealed(Simd::add_products(sum, kDocument, query));
    }
  }
  return n * kSums * 4 * (kProductQueries / Simd::kQueryVectors);
}

template <class Simd>
constexpr BatchKernel make_product_kernel() {
  return {
      .max_code_bytes = kMaxCodeBytes,
      .weighted = true,
      .tile_rows = kProductTileRows,
      .tile_word_bytes = kProductTileRows * 64,
      .fill_tile = fill_product_tile<Simd>,
      .group_queries = kProductQueries,
      .group_header_bytes = kGroupHeaderBytes,
      .group_word_bytes = kGroupWordBytes,
      .fill_group = fill_product_group,
      .scan = scan_product<Simd>,
      .distances = product_distances<Simd>,
      .ceiling = product_ceiling<Simd>,
  };
}

}  // namespace bitsift
