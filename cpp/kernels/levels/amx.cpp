// SPDX-License-Identifier: Apache-2.0
// Level `amx`: AVX-512 as at level `avx512`, and AMX-TILE and AMX-INT8 (Sapphire Rapids and later).
//
// instruction   Golden Cove        per word (64 bits) of 32 documents x 32 queries
// TDPBUSD       16 cycles, TMUL    4: 1,024 bits of pairs a cycle, three times VPOPCNTQ
// TILELOADD     8 cycles from L1   4: documents from L1, queries from L2
// TILESTORED    16 cycles          4 for all words
// VPMAXSD       1/2 cycle          64 for all words: the look at 1,024 sums
//
// Bottleneck: TDPBUSD, as long as its operands come from the L1 and L2 caches. Both hardware
// threads of a core share its one TMUL, so beside a neighbour who uses it VPOPCNTQ may win:
// search/scan_method.cpp chooses by measured cost.
//
// With s[i] = m[i] where the query's bit is set and -m[i] where it is not, the weighted distance is
// the sum of m[i] over the query's set bits, minus the sum of s[i] over the document's. So
// documents are expanded to bytes 0 and 1, once for all queries, and need no norms; Hamming is m
// = 1. Documents are A of TDPBUSD, queries are B:
//
// tile:  [block of 16 documents][word][document][64 bytes: the word's bits, lowest first]
// group: 16 int32, the sums over the query's set bits; then [word][4 bits][query][s of 4 bits]

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own intrinsics read registers that they leave undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "kernels/kernels.hpp"

#if !defined(__AMX_TILE__) || !defined(__AMX_INT8__) || !defined(__AVX512VBMI__) || \
    defined(__AMX_BF16__) || defined(__BMI2__)
#error "the flags of this file must be exactly the features that dispatch.cpp tests"
#endif

namespace bitsift {
namespace {

constexpr std::size_t kProductQueries = 16;
constexpr std::size_t kProductBlockRows = 16;
constexpr std::size_t kProductTileRows = 32;
constexpr std::size_t kBlockWordBytes = kProductBlockRows * 64;
constexpr std::size_t kGroupWordBytes = kProductQueries * 64;
constexpr std::size_t kGroupHeaderBytes = kProductQueries * sizeof(std::int32_t);

// Sums of products of a group of queries and a block of documents.
struct alignas(64) BlockSums {
  std::int32_t of[kProductBlockRows][kProductQueries];
};

void fill_tile(const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
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
      _mm512_storeu_si512(out, _mm512_maskz_mov_epi8(word, _mm512_set1_epi8(1)));
    }
  }
}

void fill_group(const std::uint8_t* const* codes, const std::uint8_t* const* magnitudes,
                std::size_t n_queries, std::size_t n_bytes, void* group) noexcept {
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
inline std::size_t report_block(const BlockSums& sums, const std::int32_t* set_sums,
                                std::size_t first_query, std::size_t first_row, std::size_t n_rows,
                                const std::int64_t* limits, const std::int64_t* row_limits,
                                Hit* hits) {
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

inline void store_block_distances(const BlockSums& sums, const std::int32_t* set_sums,
                                  std::size_t first_query, std::size_t n_queries,
                                  std::size_t first_row, std::size_t n_rows, std::int32_t* out,
                                  std::size_t out_stride) {
  for (std::size_t i = 0; i < kProductQueries && first_query + i < n_queries; ++i) {
    std::int32_t* row_out = out + (first_query + i) * out_stride;
    for (std::size_t row = 0; row < kProductBlockRows && first_row + row < n_rows; ++row) {
      row_out[first_row + row] = set_sums[i] - sums.of[row][i];
    }
  }
}

// Eight tiles of 16 rows of 64 bytes: C of two blocks x two groups, A of two blocks, B of two
// groups.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t n_rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);
constexpr TileConfig kTileConfig;

// Configures the tiles of this thread and, at the end, releases them.
class Tiles {
 public:
  Tiles() { _tile_loadconfig(&kTileConfig); }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

// The tile unit reads and writes memory unseen by the compiler.
inline void settle_memory() { __asm__ volatile("" ::: "memory"); }

// The hot loop: four products for four loads. sums[block][group].
inline void multiply_2x2(const std::uint8_t* block, const std::int8_t* group,
                         std::size_t block_bytes, std::size_t group_bytes, std::size_t n_words,
                         BlockSums (*sums)[2]) {
  settle_memory();
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::size_t w = 0; w < n_words; ++w) {
    const std::uint8_t* documents = block + w * kBlockWordBytes;
    const std::int8_t* queries = group + w * kGroupWordBytes;
    _tile_loadd(4, documents, 64);
    _tile_loadd(6, queries, 64);
    _tile_dpbusd(0, 4, 6);
    _tile_loadd(7, queries + group_bytes, 64);
    _tile_dpbusd(1, 4, 7);
    _tile_loadd(5, documents + block_bytes, 64);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_stored(0, sums[0][0].of, 64);
  _tile_stored(1, sums[0][1].of, 64);
  _tile_stored(2, sums[1][0].of, 64);
  _tile_stored(3, sums[1][1].of, 64);
  settle_memory();
}

// Calls use(row, query, set_sums, sums) for each block of documents and group of queries. An odd
// last one is multiplied twice: a loop of its own would gain too little.
template <class Use>
inline void for_each_product(const std::uint8_t* tile, std::size_t n_rows, std::size_t n_bytes,
                             const std::int8_t* groups, std::size_t n_groups, Use use) {
  const std::size_t n_words = (n_bytes + 7) / 8;
  const std::size_t n_blocks = (n_rows + kProductBlockRows - 1) / kProductBlockRows;
  const std::size_t block_bytes = n_blocks > 1 ? n_words * kBlockWordBytes : 0;
  const std::size_t group_bytes = kGroupHeaderBytes + n_words * kGroupWordBytes;
  const Tiles tiles;
  for (std::size_t g = 0; g < n_groups; g += 2) {
    const std::int8_t* group = groups + g * group_bytes;
    const std::size_t n_here = n_groups - g < 2 ? 1 : 2;
    BlockSums sums[2][2];
    multiply_2x2(tile, group + kGroupHeaderBytes, block_bytes, n_here > 1 ? group_bytes : 0,
                 n_words, sums);
    for (std::size_t i = 0; i < n_here; ++i) {
      const auto* set_sums = reinterpret_cast<const std::int32_t*>(group + i * group_bytes);
      for (std::size_t b = 0; b < n_blocks; ++b) {
        use(b * kProductBlockRows, (g + i) * kProductQueries, set_sums, sums[b][i]);
      }
    }
  }
}

std::size_t scan(const void* tile, std::size_t n_rows, std::size_t n_bytes, const void* groups,
                 std::size_t n_groups, const std::int64_t* limits, const std::int64_t* row_limits,
                 Hit* hits) noexcept {
  std::size_t n_hits = 0;
  for_each_product(
      static_cast<const std::uint8_t*>(tile), n_rows, n_bytes,
      static_cast<const std::int8_t*>(groups), n_groups,
      [&](std::size_t row, std::size_t query, const std::int32_t* set_sums, const BlockSums& sums) {
        n_hits += report_block(sums, set_sums, query, row, n_rows, limits + query, row_limits,
                               hits + n_hits);
      });
  return n_hits;
}

void distances(const void* tile, std::size_t n_rows, std::size_t n_bytes, const void* groups,
               std::size_t n_queries, std::int32_t* out, std::size_t out_stride) noexcept {
  for_each_product(
      static_cast<const std::uint8_t*>(tile), n_rows, n_bytes,
      static_cast<const std::int8_t*>(groups), (n_queries + kProductQueries - 1) / kProductQueries,
      [&](std::size_t row, std::size_t query, const std::int32_t* set_sums, const BlockSums& sums) {
        store_block_distances(sums, set_sums, query, n_queries, row, n_rows, out, out_stride);
      });
}

std::uint64_t ceiling(std::size_t n) noexcept {
  const Tiles tiles;
  alignas(64) static constexpr std::uint8_t kZeros[16 * 64] = {};
  _tile_loadd(4, kZeros, 64);
  _tile_loadd(5, kZeros, 64);
  _tile_loadd(6, kZeros, 64);
  _tile_loadd(7, kZeros, 64);
  for (std::size_t i = 0; i < n; ++i) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  return n * 4 * 16 * 16 * 64;
}

}  // namespace

constinit const BatchKernel kAmxProductKernel = {
    .layout = GroupLayout::kProducts,
    .tile_rows = kProductTileRows,
    .tile_word_bytes = kProductTileRows * 64,
    .fill_tile = fill_tile,
    .group_queries = kProductQueries,
    .group_header_bytes = kGroupHeaderBytes,
    .group_word_bytes = kGroupWordBytes,
    .fill_group = fill_group,
    .scan = scan,
    .distances = distances,
    .ceiling = ceiling,
};

}  // namespace bitsift
