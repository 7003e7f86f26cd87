// SPDX-License-Identifier: Apache-2.0
// Every loop of the kernels, once. `Simd` says what a vector is; kernel files supply it and take a
// table with make_kernels<Simd>().
//
// `Simd` lives in an unnamed namespace, so all that is instantiated here has internal linkage: the
// linker cannot put code built for one instruction set where another one is called. Nothing from
// the standard library's headers with code in them may be included, for the same reason.
//
// A policy has
//   kLanes            64-bit lanes of a Vector
//   kTileVectors      vectors of documents that a tile is wide
//   kWordsPerFlush    how many count() results add() may sum up before lane_sums() must empty them
//   Vector            load, load_partial, broadcast, exclusive_or, count, add, lane_sums,
//                     add_lanes, row_sums, at_most, store_lanes
//   Doubles           of kDoubles values: load_doubles, subtract, multiply, add_doubles, store
//   greater           64 comparisons at once, for packing
#pragma once

#include "kernels/kernels.hpp"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "codes are read as little-endian words");

namespace bitsift {

// ---- Packing ---------------------------------------------------------------------------------

// numpy.packbits puts the first value into the highest bit of a byte; comparisons put it lowest.
static inline std::uint64_t reverse_bits_of_bytes(std::uint64_t x) {
  x = ((x >> 1) & 0x5555555555555555) | ((x & 0x5555555555555555) << 1);
  x = ((x >> 2) & 0x3333333333333333) | ((x & 0x3333333333333333) << 2);
  return ((x >> 4) & 0x0F0F0F0F0F0F0F0F) | ((x & 0x0F0F0F0F0F0F0F0F) << 4);
}

template <class Simd, class Value, class Threshold>
bool pack(const Value* values, const Threshold* thresholds, std::size_t n_values,
          std::uint8_t* out) noexcept {
  bool finite = true;
  std::size_t i = 0;
  for (; i + 64 <= n_values; i += 64) {
    const std::uint64_t bits =
        reverse_bits_of_bytes(Simd::greater(values + i, thresholds + i, &finite));
    __builtin_memcpy(out + i / 8, &bits, 8);
  }
  if (const std::size_t n_left = n_values - i) {
    // 0 > 0 is false: the pad bits come out zero.
    Value last_values[64] = {};
    Threshold last_thresholds[64] = {};
    for (std::size_t j = 0; j < n_left; ++j) {
      last_values[j] = values[i + j];
      last_thresholds[j] = thresholds[i + j];
    }
    std::uint64_t bits =
        reverse_bits_of_bytes(Simd::greater(last_values, last_thresholds, &finite));
    for (std::size_t j = 0; j < n_left; j += 8, bits >>= 8) {
      out[(i + j) / 8] = static_cast<std::uint8_t>(bits);
    }
  }
  return finite;
}

// Eight bools at a time: (x | x + 0x7f..) has a byte's highest bit set where it is not zero, and
// the multiplication gathers the eight highest bits into one byte, first value first.
template <class Simd>
void pack_bool(const std::uint8_t* values, std::size_t n_values, std::uint8_t* out) noexcept {
  constexpr std::uint64_t kLow7 = 0x7F7F7F7F7F7F7F7F;
  for (std::size_t i = 0; i < n_values; i += 8) {
    std::uint64_t x = 0;
    if (i + 8 <= n_values) {
      __builtin_memcpy(&x, values + i, 8);
    } else {
      for (std::size_t j = 0; i + j < n_values; ++j) {
        x |= static_cast<std::uint64_t>(values[i + j]) << (8 * j);
      }
    }
    const std::uint64_t ones = ((((x & kLow7) + kLow7) | x) & ~kLow7) >> 7;
    out[i / 8] = static_cast<std::uint8_t>((ones * 0x8040201008040201) >> 56);
  }
}

// ---- Hamming: one query, rows as they lie ----------------------------------------------------

// Distances of one query to as many rows as a vector has lanes: lane i is that to rows[i]. A row's
// sums cross lanes only once, together with those of the other rows.
template <class Simd>
inline typename Simd::Vector row_distances(const std::uint8_t* query,
                                           const std::uint8_t* const* rows, std::size_t n_bytes) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kRows = Simd::kLanes;
  constexpr std::size_t kBytes = 8 * Simd::kLanes;
  const std::size_t n_whole = n_bytes / kBytes;
  Vector totals[kRows];
  for (auto& total : totals) total = Simd::broadcast(0);
  for (std::size_t begin = 0; begin < n_whole;) {
    const std::size_t n_left = n_whole - begin;
    const std::size_t end = begin + (n_left < Simd::kWordsPerFlush ? n_left : Simd::kWordsPerFlush);
    Vector counts[kRows];
    for (auto& count : counts) count = Simd::broadcast(0);
    for (std::size_t i = begin; i < end; ++i) {
      const Vector wanted = Simd::load(query + i * kBytes);
      for (std::size_t row = 0; row < kRows; ++row) {
        const Vector document = Simd::load(rows[row] + i * kBytes);
        counts[row] = Simd::add(counts[row], Simd::count(Simd::exclusive_or(wanted, document)));
      }
    }
    for (std::size_t row = 0; row < kRows; ++row) {
      totals[row] = Simd::add_lanes(totals[row], Simd::lane_sums(counts[row]));
    }
    begin = end;
  }
  if (const std::size_t n_left = n_bytes - n_whole * kBytes) {
    const Vector wanted = Simd::load(query + n_whole * kBytes);
    for (std::size_t row = 0; row < kRows; ++row) {
      const Vector document = Simd::load_partial(rows[row] + n_whole * kBytes, n_left);
      const Vector counts = Simd::count(Simd::exclusive_or(wanted, document));
      totals[row] = Simd::add_lanes(totals[row], Simd::lane_sums(counts));
    }
  }
  return Simd::row_sums(totals);
}

template <class Simd>
std::size_t scan_rows(const std::uint8_t* query, const std::uint8_t* rows, std::ptrdiff_t stride,
                      std::size_t n_rows, std::size_t n_bytes, std::int64_t limit,
                      Hit* hits) noexcept {
  // Hardware prefetchers stop at the end of a 4 KiB page; asking this far ahead crosses it in time.
  constexpr std::size_t kPrefetchBytes = 8192;
  constexpr std::size_t kRows = Simd::kLanes;
  const auto farthest = Simd::broadcast(static_cast<std::uint64_t>(limit));
  std::size_t n_hits = 0;
  for (std::size_t first = 0; first < n_rows; first += kRows) {
    const std::size_t n_left = n_rows - first;
    const std::size_t n_present = n_left < kRows ? n_left : kRows;
    const std::uint8_t* group[kRows];
    for (std::size_t row = 0; row < kRows; ++row) {
      // The last group is filled up with its last row; what that gives is not looked at.
      const std::size_t present = row < n_present ? row : n_present - 1;
      group[row] = rows + static_cast<std::ptrdiff_t>(first + present) * stride;
      for (std::size_t i = 0; i < n_bytes; i += 64) {
        __builtin_prefetch(reinterpret_cast<const void*>(
            reinterpret_cast<std::uintptr_t>(group[row]) + kPrefetchBytes + i));
      }
    }
    const auto sums = row_distances<Simd>(query, group, n_bytes);
    std::uint32_t near = Simd::at_most(sums, farthest) & ((1u << n_present) - 1);
    if (near == 0) continue;
    std::uint64_t distances[kRows];
    Simd::store_lanes(distances, sums);
    for (; near != 0; near &= near - 1) {
      const auto row = static_cast<std::uint32_t>(__builtin_ctz(near));
      hits[n_hits++] = {0, static_cast<std::uint32_t>(first) + row,
                        static_cast<std::int32_t>(distances[row])};
    }
  }
  return n_hits;
}

// ---- Hamming: many queries, a transposed tile of documents -----------------------------------

template <class Simd>
void fill_tile(const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
               std::size_t n_bytes, std::uint64_t* words) noexcept {
  constexpr std::size_t kRows = Simd::kTileVectors * Simd::kLanes;
  const std::size_t n_whole = n_bytes / 8;
  const std::size_t n_words = (n_bytes + 7) / 8;
  for (std::size_t row = 0; row < kRows; ++row) {
    if (row >= n_rows) {
      for (std::size_t w = 0; w < n_words; ++w) words[w * kRows + row] = 0;
      continue;
    }
    const std::uint8_t* code = rows + static_cast<std::ptrdiff_t>(row) * stride;
    for (std::size_t w = 0; w < n_whole; ++w) {
      __builtin_memcpy(&words[w * kRows + row], code + 8 * w, 8);
    }
    if (n_whole < n_words) {
      std::uint64_t last = 0;
      for (std::size_t i = 8 * n_whole; i < n_bytes; ++i) {
        last |= static_cast<std::uint64_t>(code[i]) << (8 * (i % 8));
      }
      words[n_whole * kRows + row] = last;
    }
  }
}

// The distances of one group of queries to a tile, in registers: lane by lane, a document's own
// sum.
template <class Simd>
struct TileSums {
  typename Simd::Vector of[kQueryGroup][Simd::kTileVectors];
};

// The loop that matters: a document's word is loaded once for kQueryGroup queries, a query's once
// for the whole tile, and no sum crosses lanes.
template <class Simd>
inline TileSums<Simd> tile_sums(const std::uint64_t* words, std::size_t n_words,
                                const std::uint64_t* queries) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kVectors = Simd::kTileVectors;
  TileSums<Simd> totals;
  for (auto& query : totals.of) {
    for (auto& sum : query) sum = Simd::broadcast(0);
  }
  for (std::size_t begin = 0; begin < n_words;) {
    const std::size_t n_left = n_words - begin;
    const std::size_t end = begin + (n_left < Simd::kWordsPerFlush ? n_left : Simd::kWordsPerFlush);
    TileSums<Simd> counts;
    for (auto& query : counts.of) {
      for (auto& sum : query) sum = Simd::broadcast(0);
    }
    for (std::size_t w = begin; w < end; ++w) {
      Vector documents[kVectors];
      for (std::size_t v = 0; v < kVectors; ++v) {
        documents[v] = Simd::load(words + (w * kVectors + v) * Simd::kLanes);
      }
      for (std::size_t i = 0; i < kQueryGroup; ++i) {
        const Vector query = Simd::broadcast(queries[w * kQueryGroup + i]);
        for (std::size_t v = 0; v < kVectors; ++v) {
          counts.of[i][v] =
              Simd::add(counts.of[i][v], Simd::count(Simd::exclusive_or(query, documents[v])));
        }
      }
    }
    for (std::size_t i = 0; i < kQueryGroup; ++i) {
      for (std::size_t v = 0; v < kVectors; ++v) {
        totals.of[i][v] = Simd::add_lanes(totals.of[i][v], Simd::lane_sums(counts.of[i][v]));
      }
    }
    begin = end;
  }
  return totals;
}

template <class Simd>
std::size_t scan_tile(const std::uint64_t* words, std::size_t n_rows, std::size_t n_words,
                      const std::uint64_t* queries, std::size_t n_queries,
                      const std::int64_t* limits, Hit* hits) noexcept {
  constexpr std::size_t kRows = Simd::kTileVectors * Simd::kLanes;
  const std::uint32_t present = (1u << n_rows) - 1;
  std::size_t n_hits = 0;
  for (std::size_t first = 0; first < n_queries; first += kQueryGroup) {
    const TileSums<Simd> sums = tile_sums<Simd>(words, n_words, queries + first * n_words);
    for (std::size_t i = 0; i < kQueryGroup; ++i) {
      const auto limit = Simd::broadcast(static_cast<std::uint64_t>(limits[first + i]));
      std::uint32_t near = 0;
      for (std::size_t v = 0; v < Simd::kTileVectors; ++v) {
        near |= Simd::at_most(sums.of[i][v], limit) << (v * Simd::kLanes);
      }
      near &= present;
      if (near == 0) continue;
      std::uint64_t distances[kRows];
      for (std::size_t v = 0; v < Simd::kTileVectors; ++v) {
        Simd::store_lanes(distances + v * Simd::kLanes, sums.of[i][v]);
      }
      for (; near != 0; near &= near - 1) {
        const auto row = static_cast<std::uint32_t>(__builtin_ctz(near));
        hits[n_hits++] = {static_cast<std::uint32_t>(first + i), row,
                          static_cast<std::int32_t>(distances[row])};
      }
    }
  }
  return n_hits;
}

template <class Simd>
void tile_distances(const std::uint64_t* words, std::size_t n_rows, std::size_t n_words,
                    const std::uint64_t* queries, std::size_t n_queries, std::int32_t* out,
                    std::size_t out_stride) noexcept {
  constexpr std::size_t kRows = Simd::kTileVectors * Simd::kLanes;
  for (std::size_t first = 0; first < n_queries; first += kQueryGroup) {
    const TileSums<Simd> sums = tile_sums<Simd>(words, n_words, queries + first * n_words);
    for (std::size_t i = 0; i < kQueryGroup && first + i < n_queries; ++i) {
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

// ---- Rescoring -------------------------------------------------------------------------------

// Lane i sums the terms i, i + 16, i + 32, ...; then the lanes are added as a tree. Every
// instruction set keeps this order, so that scores are the same bits. A product of two float32 is
// exact in float64.
inline constexpr std::size_t kSumLanes = 16;

template <class Simd>
struct Sum {
  static constexpr std::size_t kVectors = kSumLanes / Simd::kDoubles;
  typename Simd::Doubles lanes[kVectors];

  Sum() {
    constexpr double kZeros[kSumLanes] = {};
    for (std::size_t v = 0; v < kVectors; ++v) {
      lanes[v] = Simd::load_doubles(kZeros + v * Simd::kDoubles);
    }
  }

  double total() const {
    double sums[kSumLanes];
    for (std::size_t v = 0; v < kVectors; ++v) {
      Simd::store(sums + v * Simd::kDoubles, lanes[v]);
    }
    for (std::size_t width = kSumLanes / 2; width > 0; width /= 2) {
      for (std::size_t i = 0; i < width; ++i) sums[i] += sums[i + width];
    }
    return sums[0];
  }
};

// Calls add(v, query, vector) for each vector of float64, the last ones padded with zeros.
template <class Simd, class Value, class Add>
inline void for_each_doubles(const double* query, const Value* vector, std::size_t n, Add add) {
  constexpr std::size_t kStep = Simd::kDoubles;
  std::size_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    for (std::size_t v = 0; v < kSumLanes / kStep; ++v) {
      add(v, Simd::load_doubles(query + i + v * kStep), Simd::load_doubles(vector + i + v * kStep));
    }
  }
  if (i < n) {
    double last_query[kSumLanes] = {};
    Value last_vector[kSumLanes] = {};
    for (std::size_t j = 0; i + j < n; ++j) {
      last_query[j] = query[i + j];
      last_vector[j] = vector[i + j];
    }
    for (std::size_t v = 0; v < kSumLanes / kStep; ++v) {
      add(v, Simd::load_doubles(last_query + v * kStep),
          Simd::load_doubles(last_vector + v * kStep));
    }
  }
}

template <class Simd, class Value>
void dot(const double* query, const Value* vector, std::size_t n, double* sums) noexcept {
  using Doubles = typename Simd::Doubles;
  Sum<Simd> products;
  Sum<Simd> squares;
  for_each_doubles<Simd>(query, vector, n, [&](std::size_t v, Doubles q, Doubles x) {
    products.lanes[v] = Simd::add_doubles(products.lanes[v], Simd::multiply(q, x));
    squares.lanes[v] = Simd::add_doubles(squares.lanes[v], Simd::multiply(x, x));
  });
  sums[0] = products.total();
  sums[1] = squares.total();
}

template <class Simd, class Value>
double l2(const double* query, const Value* vector, std::size_t n) noexcept {
  using Doubles = typename Simd::Doubles;
  Sum<Simd> squares;
  for_each_doubles<Simd>(query, vector, n, [&](std::size_t v, Doubles q, Doubles x) {
    const Doubles difference = Simd::subtract(q, x);
    squares.lanes[v] = Simd::add_doubles(squares.lanes[v], Simd::multiply(difference, difference));
  });
  return squares.total();
}

// ---- The table -------------------------------------------------------------------------------

template <class Simd>
constexpr Kernels make_kernels(Isa isa, const char* name) {
  static_assert(Simd::kTileVectors * Simd::kLanes <= kMaxTileRows);
  static_assert(8 * Simd::kLanes <= kQueryPadding);
  return {
      .isa = isa,
      .name = name,
      .pack_f32 = pack<Simd, float, float>,
      .pack_f16 = pack<Simd, Half, float>,
      .pack_f64 = pack<Simd, double, double>,
      .pack_bool = pack_bool<Simd>,
      .scan_rows = scan_rows<Simd>,
      .tile_rows = Simd::kTileVectors * Simd::kLanes,
      .fill_tile = fill_tile<Simd>,
      .scan_tile = scan_tile<Simd>,
      .tile_distances = tile_distances<Simd>,
      .dot_f32 = dot<Simd, float>,
      .dot_f16 = dot<Simd, Half>,
      .l2_f32 = l2<Simd, float>,
      .l2_f16 = l2<Simd, Half>,
  };
}

}  // namespace bitsift
