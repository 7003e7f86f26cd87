// SPDX-License-Identifier: Apache-2.0
// The kernel contract: one table of function pointers for each instruction set.
//
// Kernels take plain pointers and sizes, are noexcept, allocate nothing and keep no state. Every
// table gives the same bits for the same input. A code is a row of bytes; kernels count differing
// bits, so bit order does not matter to them, only to packing (MSB first, pad bits zero).
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitsift {

enum class Isa : std::uint8_t { kScalar, kAvx2, kAvx512, kNeon };

// A document within reach of a query: what the scanning kernels report.
struct Hit {
  std::uint32_t query;
  std::uint32_t row;
  std::int32_t distance;
};

// IEEE binary16, carried as its bits: no C++ type for it is portable yet.
struct Half {
  std::uint16_t bits;
};

// Queries that a tile kernel works on together. Batches are padded to a multiple of it.
inline constexpr std::size_t kQueryGroup = 4;
// Row kernels may read a query up to this many bytes, whatever the row's length: pad with zeros.
inline constexpr std::size_t kQueryPadding = 64;
// Upper bound of Kernels::tile_rows.
inline constexpr std::size_t kMaxTileRows = 16;
// The limit that admits every document, and the one that admits none.
inline constexpr std::int64_t kNoLimit = 65536;
inline constexpr std::int64_t kNothing = -1;

struct Kernels {
  Isa isa;
  const char* name;

  // Packing: bit i of `out`, MSB first, is values[i] > thresholds[i]; pad bits are zero. Returns
  // false if a value is infinite or NaN (`out` is written all the same).
  bool (*pack_f32)(const float* values, const float* thresholds, std::size_t n_values,
                   std::uint8_t* out) noexcept;
  bool (*pack_f16)(const Half* values, const float* thresholds, std::size_t n_values,
                   std::uint8_t* out) noexcept;
  bool (*pack_f64)(const double* values, const double* thresholds, std::size_t n_values,
                   std::uint8_t* out) noexcept;
  // Bit i is set where values[i] is not zero.
  void (*pack_bool)(const std::uint8_t* values, std::size_t n_values, std::uint8_t* out) noexcept;

  // One query against rows `stride` bytes apart. Writes a hit (query 0) for each row at `limit` or
  // nearer, in row order, and returns their number. `hits` has room for `n_rows`.
  std::size_t (*scan_rows)(const std::uint8_t* query, const std::uint8_t* rows,
                           std::ptrdiff_t stride, std::size_t n_rows, std::size_t n_bytes,
                           std::int64_t limit, Hit* hits) noexcept;

  // A tile is `tile_rows` documents transposed: words[w * tile_rows + row], the last word of a row
  // padded with zeros, absent rows zero. `words` is aligned to 64 bytes.
  std::size_t tile_rows;
  void (*fill_tile)(const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
                    std::size_t n_bytes, std::uint64_t* words) noexcept;
  // Many queries against a tile. Queries are interleaved in groups:
  // queries[(group * n_words + w) * kQueryGroup + i]. `limits` has an entry for each query, padding
  // included (kNothing). Writes hits by ascending query; a query's own by ascending row.
  std::size_t (*scan_tile)(const std::uint64_t* words, std::size_t n_rows, std::size_t n_words,
                           const std::uint64_t* queries, std::size_t n_queries,
                           const std::int64_t* limits, Hit* hits) noexcept;
  // The same pairs, every distance: out[query * out_stride + row].
  void (*tile_distances)(const std::uint64_t* words, std::size_t n_rows, std::size_t n_words,
                         const std::uint64_t* queries, std::size_t n_queries, std::int32_t* out,
                         std::size_t out_stride) noexcept;

  // Rescoring, in float64 and in one order of summation on every instruction set.
  // sums[0] = query . vector, sums[1] = vector . vector
  void (*dot_f32)(const double* query, const float* vector, std::size_t n, double* sums) noexcept;
  void (*dot_f16)(const double* query, const Half* vector, std::size_t n, double* sums) noexcept;
  // The squared Euclidean distance.
  double (*l2_f32)(const double* query, const float* vector, std::size_t n) noexcept;
  double (*l2_f16)(const double* query, const Half* vector, std::size_t n) noexcept;
};

extern const Kernels kScalarKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kNeonKernels;

}  // namespace bitsift
