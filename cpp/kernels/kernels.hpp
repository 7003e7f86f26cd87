// SPDX-License-Identifier: Apache-2.0
// The kernel contract: one table of function pointers for each instruction set.
//
// Kernels take plain pointers and sizes, are noexcept, allocate nothing and keep no state. Every
// table gives the same results for the same input. A code is a row of bytes; bit order does not
// matter to a Hamming distance, only to packing and to magnitudes (MSB first, pad bits zero).
//
// A distance is the Hamming distance or, for queries that have magnitudes m, the weighted one:
// the sum of m[i] over the bits i in which query and document differ. Hamming is m = 1.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitsift {

enum class Isa : std::uint8_t { kScalar, kAvx2, kAvx512, kAmx, kNeon };
inline constexpr std::size_t kIsas = 5;

// A document within the limit of a query, as scan kernels report it.
struct Hit {
  std::uint32_t query;
  std::uint32_t row;
  std::int32_t distance;
};

// IEEE binary16, carried as its bits: no C++ type for it is portable yet.
struct Half {
  std::uint16_t bits;
};

// Exact: every binary16 is a binary32. Inlined everywhere: no level may lend its copy to another.
[[gnu::always_inline]] inline float to_float(Half half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half.bits & 0x8000) << 16;
  const std::uint32_t exponent = (half.bits >> 10) & 0x1F;
  const std::uint32_t fraction = half.bits & 0x3FF;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t biased = exponent == 0x1F ? 0xFF : exponent + (127 - 15);
  const std::uint32_t bits = sign | (biased << 23) | (fraction << 13);
  float result;
  __builtin_memcpy(&result, &bits, 4);
  return result;
}

// Rows that a kernel scans, `stride` bytes apart. It may prefetch the bytes that lie `ahead` bytes
// behind those that it reads; 0: it prefetches nothing.
struct RowSpan {
  const std::uint8_t* first;
  std::ptrdiff_t stride;
  std::size_t n_rows;
  std::size_t n_bytes;
  std::size_t ahead = 0;
};

// The scale of quantized vectors: value i of a vector is base[i] + step[i] * integer i.
struct Scale {
  const double* base;
  const double* step;
  bool exact = false;  // every step[i] * integer is exact in float64
};

// Codes have at most this many bytes (65,536 bits).
inline constexpr std::size_t kMaxCodeBytes = 8192;
// Row kernels may read a query, and each plane of it, up to a multiple of this many bytes, whatever
// the length of a row: pad with zeros.
inline constexpr std::size_t kQueryPadding = 64;
// The most queries that scan_rows takes.
inline constexpr std::size_t kMaxRowQueries = 2;
// Magnitudes are 0 to 31: the sum of six fits the byte of a table (loops/lookup.hpp).
inline constexpr std::size_t kMagnitudeBits = 5;
inline constexpr std::size_t kMaxTileRows = 512;
inline constexpr std::size_t kMaxGroupQueries = 16;
// Tiles and groups begin at multiples of this many bytes.
inline constexpr std::size_t kTileAlignment = 64;
// The limit that admits every document, and the one that admits none.
inline constexpr std::int64_t kAdmitAll = std::int64_t{1} << 30;
inline constexpr std::int64_t kAdmitNone = -1;

// What a batch kernel makes of queries. Kernels of one level and layout take the same groups.
enum class GroupLayout : std::uint8_t {
  kWords,     // words of the codes; no magnitudes
  kTables,    // tables of distances
  kProducts,  // signed magnitudes
};
inline constexpr std::size_t kGroupLayouts = 3;

// Many queries against a tile of documents. The kernel lays out tiles and groups of queries; for
// its callers they are bytes, a fixed number for each 64-bit word of a code.
struct BatchKernel {
  GroupLayout layout;
  std::size_t max_code_bytes = kMaxCodeBytes;  // its sums hold no more
  // For fewer queries a row kernel is the better guess, while no costs are known.
  std::size_t least_queries = 4;

  std::size_t tile_rows;
  std::size_t tile_word_bytes;
  // Rows `stride` bytes apart; 1 <= n_rows <= tile_rows.
  void (*fill_tile)(const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
                    std::size_t n_bytes, void* tile) noexcept;

  std::size_t group_queries;
  std::size_t group_header_bytes;
  std::size_t group_word_bytes;
  // codes[i] is the code of a query, padded as for row kernels; magnitudes[i] has a byte for each
  // of its bits, or `magnitudes` is nullptr. 1 <= n_queries <= group_queries.
  void (*fill_group)(const std::uint8_t* const* codes, const std::uint8_t* const* magnitudes,
                     std::size_t n_queries, std::size_t n_bytes, void* group) noexcept;

  // Groups lie one behind the other. `limits` has an entry for each query, padding included
  // (kAdmitNone), `row_limits` one for each of tile_rows, or is nullptr. Writes a hit for each pair
  // at the query's limit or nearer, and if `row_limits` is not nullptr, also for each at the row's
  // limit or nearer; a query's own by ascending row. Returns their number; `hits` has room for all
  // pairs, padding included.
  std::size_t (*scan)(const void* tile, std::size_t n_rows, std::size_t n_bytes, const void* groups,
                      std::size_t n_groups, const std::int64_t* limits,
                      const std::int64_t* row_limits, Hit* hits) noexcept;
  // Every distance: out[query * out_stride + row], for the first n_queries.
  void (*distances)(const void* tile, std::size_t n_rows, std::size_t n_bytes, const void* groups,
                    std::size_t n_queries, std::int32_t* out, std::size_t out_stride) noexcept;

  // Runs the instructions that bound scan(), n times, on registers alone. Returns the number of
  // pairs (query bit, document bit) that they compare: the kernel's work if memory cost no time.
  std::uint64_t (*ceiling)(std::size_t n) noexcept;
};

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

  // Queries, 1 to kMaxRowQueries, against rows. Writes a hit for each row at a query's limit or
  // nearer, a query's own in row order, and returns their number. `hits` has room for all pairs.
  std::size_t (*scan_rows)(const std::uint8_t* const* queries, std::size_t n_queries, RowSpan rows,
                           const std::int64_t* limits, Hit* hits) noexcept;
  // The same for one query with magnitudes, as kMagnitudeBits bit-planes: plane p, `plane_stride`
  // bytes behind plane p - 1, has the bits of value 2^p of all magnitudes in the order of the code.
  std::size_t (*scan_rows_weighted)(const std::uint8_t* query, const std::uint8_t* planes,
                                    std::size_t plane_stride, RowSpan rows, std::int64_t limit,
                                    Hit* hits) noexcept;

  // The level's fastest kernels for unweighted and for weighted distances.
  BatchKernel batch;
  BatchKernel weighted_batch;
  // A rival of both where the processor multiplies matrices, else nullptr.
  const BatchKernel* product;

  // Reads n_bytes and returns an exclusive-or of them: measures how fast memory can be.
  std::uint64_t (*read_all)(const std::uint8_t* bytes, std::size_t n_bytes) noexcept;

  // The CRC-32C of n_bytes behind others, whose CRC-32C is `before`; 0: of none.
  std::uint32_t (*crc32c)(std::uint32_t before, const std::uint8_t* bytes,
                          std::size_t n_bytes) noexcept;
  // The same by an instruction that not every processor of the level has; nullptr: there is none.
  std::uint32_t (*crc32c_by_instruction)(std::uint32_t before, const std::uint8_t* bytes,
                                         std::size_t n_bytes) noexcept;

  // Reads n_rows rows of n_bytes each, anywhere, as read_all: measures how fast vectors to rescore
  // can be read. `n_ahead` more pointers follow, as for rescoring.
  std::uint64_t (*read_rows)(const std::uint8_t* const* rows, std::size_t n_rows,
                             std::size_t n_ahead, std::size_t n_bytes) noexcept;

  // Rescoring, in float64 and in one order of summation on every instruction set, of any number of
  // vectors: dots[i] = query . vectors[i] and, unless `squares` is nullptr, squares[i] =
  // vectors[i] . vectors[i]. The query's values are float32. `n_ahead` more pointers follow:
  // vectors that are rescored next, which the kernel prefetches; with many of them, some
  // repeatedly.
  void (*dot_f32)(const double* query, const float* const* vectors, std::size_t n_vectors,
                  std::size_t n_ahead, std::size_t n, double* dots, double* squares) noexcept;
  void (*dot_f16)(const double* query, const Half* const* vectors, std::size_t n_vectors,
                  std::size_t n_ahead, std::size_t n, double* dots, double* squares) noexcept;
  // The squared Euclidean distances.
  void (*l2_f32)(const double* query, const float* const* vectors, std::size_t n_vectors,
                 std::size_t n_ahead, std::size_t n, double* squares) noexcept;
  void (*l2_f16)(const double* query, const Half* const* vectors, std::size_t n_vectors,
                 std::size_t n_ahead, std::size_t n, double* squares) noexcept;
  // The same for quantized vectors.
  void (*dot_i8)(const double* query, const std::int8_t* const* vectors, Scale scale,
                 std::size_t n_vectors, std::size_t n_ahead, std::size_t n, double* dots,
                 double* squares) noexcept;
  void (*l2_i8)(const double* query, const std::int8_t* const* vectors, Scale scale,
                std::size_t n_vectors, std::size_t n_ahead, std::size_t n,
                double* squares) noexcept;
};

// The kernel for batches of such codes: where the sums of `batch` do not hold a distance, the one
// for weighted distances.
inline const BatchKernel& batch_kernel(const Kernels& kernels, std::size_t n_bytes, bool weighted) {
  const bool fits = !weighted && n_bytes <= kernels.batch.max_code_bytes;
  return fits ? kernels.batch : kernels.weighted_batch;
}

extern const Kernels kScalarKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kNeonKernels;
// Distances by products of int8 and bits. Level `amx` is kAvx512Kernels with this as its `product`.
extern const BatchKernel kAmxProductKernel;

}  // namespace bitsift
