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
// search/scan_method.cpp chooses by measured cost. Documents are A (bytes 0 and 1), queries are B
// (int8), as in loops/product.hpp.

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own intrinsics read registers that they leave undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "kernels/generic.hpp"

#if !defined(__AMX_TILE__) || !defined(__AMX_INT8__) || !defined(__AVX512VNNI__) || \
    defined(__AMX_BF16__) || defined(__BMI2__)
#error "the flags of this file must be exactly the features that dispatch.cpp tests"
#endif

namespace bitsift {
namespace {

struct Expander {
  static void expand_bits(std::uint64_t word, std::uint8_t* out) {
    _mm512_storeu_si512(out, _mm512_maskz_mov_epi8(word, _mm512_set1_epi8(1)));
  }
};

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
    .max_code_bytes = kMaxCodeBytes,
    .weighted = true,
    .tile_rows = kProductTileRows,
    .tile_word_bytes = kProductTileRows * 64,
    .fill_tile = fill_product_tile<Expander>,
    .group_queries = kProductQueries,
    .group_header_bytes = kGroupHeaderBytes,
    .group_word_bytes = kGroupWordBytes,
    .fill_group = fill_product_group,
    .scan = scan,
    .distances = distances,
    .ceiling = ceiling,
};

}  // namespace bitsift
