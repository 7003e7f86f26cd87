// SPDX-License-Identifier: Apache-2.0
// What the look-ups of lookup.hpp are made in: documents as digits, and tables of queries.
//
// A digit is kDigitBits (4 or 6) neighbouring bits of a code. A query's table for a digit holds the
// distance, weighted or not, of that digit to each of the 16 or 64 that a document may have.
//
// tile:  [block][digit][row of the block], a byte each, in an order that widening undoes
// group: Header, then [slice][pair of queries][digit][query of the pair][table]
#pragma once

#include "kernels/kernels.hpp"

namespace bitsift {

inline constexpr std::size_t kLookupQueries = 2;  // that the hot loop takes at once
inline constexpr std::size_t kLookupGroupQueries = 8;
inline constexpr std::size_t kLookupPairs = kLookupGroupQueries / kLookupQueries;

template <class Simd>
struct Lookup {
  using Vector = typename Simd::Vector;
  static constexpr std::size_t kVectors = Simd::kLookupVectors;  // that the hot loop takes at once
  static constexpr std::size_t kVectorRows = 8 * Simd::kLanes;
  static constexpr std::size_t kBlockRows = kVectors * kVectorRows;
  static constexpr std::size_t kRows = Simd::kLookupBlocks * kBlockRows;
  static constexpr std::size_t kBits = Simd::kDigitBits;
  static constexpr std::size_t kTableBytes = std::size_t{1} << kBits;
  static constexpr std::size_t kPairBytes = kLookupQueries * kTableBytes;
  // Bytes that make up whole digits: 1 for 2 digits, or 3 for 4.
  static constexpr std::size_t kUnitBytes = kBits == 4 ? 1 : 3;
  static constexpr std::size_t kUnitDigits = kBits == 4 ? 2 : 4;
  static constexpr std::size_t kDigitsPerWord = (64 + kBits - 1) / kBits;
  // Tables of a group for a slice take some 8 or 16 KB. The sum of a slice fits 16 bits:
  // 63 * 4 * 31 < 2^16.
  static constexpr std::size_t kSliceDigits = kBits == 4 ? 63 : 32;

  static constexpr std::size_t n_digits(std::size_t n_bytes) {
    return (8 * n_bytes + kBits - 1) / kBits;
  }
  // Digits of a slice, of about equal slices.
  static constexpr std::size_t slice_digits(std::size_t n_digits) {
    const std::size_t n_slices = (n_digits + kSliceDigits - 1) / kSliceDigits;
    return (n_digits + n_slices - 1) / n_slices;
  }
  static constexpr std::size_t kMostSlices =
      (n_digits(kMaxCodeBytes) + kSliceDigits - 1) / kSliceDigits;

  struct alignas(64) Header {
    std::uint32_t n_queries;
    std::uint32_t largest;  // the largest distance that a query of the group can have
    std::uint8_t runs[kMostSlices][kLookupPairs];
  };
  static constexpr std::size_t group_bytes(std::size_t n_bytes) {
    return sizeof(Header) + (n_bytes + 7) / 8 * kDigitsPerWord * kLookupGroupQueries * kTableBytes;
  }
};

// columns[j] is byte j of kVectorRows codes from `offset` on; `n_present` bytes follow, at least 1.
template <class Simd>
inline void load_columns(const std::uint8_t* const* codes, std::size_t offset,
                         std::size_t n_present, typename Simd::Vector* columns) {
  constexpr std::size_t kRows = Lookup<Simd>::kVectorRows;
  if (n_present >= 16) return Simd::transpose_bytes(codes, offset, columns);
  std::uint8_t last[kRows][16] = {};
  const std::uint8_t* pieces[kRows];
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::size_t j = 0; j < n_present; ++j) last[i][j] = codes[i][offset + j];
    pieces[i] = last[i];
  }
  Simd::transpose_bytes(pieces, 0, columns);
}

template <class Simd>
void fill_lookup_tile(const std::uint8_t* rows, std::ptrdiff_t stride, std::size_t n_rows,
                      std::size_t n_bytes, void* tile) noexcept {
  using L = Lookup<Simd>;
  static constexpr std::uint8_t kNoCode[kMaxCodeBytes] = {};
  constexpr std::size_t kStepBytes = 16 * L::kUnitBytes;
  const std::size_t n_digits = L::n_digits(n_bytes);
  for (std::size_t first = 0; first < n_rows; first += L::kVectorRows) {
    // Even bytes of a vector are its first half of the rows, odd bytes the second.
    const std::uint8_t* codes[L::kVectorRows];
    for (std::size_t i = 0; i < L::kVectorRows; ++i) {
      const std::size_t row = first + i / 2 + i % 2 * (L::kVectorRows / 2);
      codes[i] = row < n_rows ? rows + static_cast<std::ptrdiff_t>(row) * stride : kNoCode;
    }
    auto* out = static_cast<std::uint8_t*>(tile) +
                first / L::kBlockRows * L::kBlockRows * n_digits + first % L::kBlockRows;
    for (std::size_t byte = 0; byte < n_bytes; byte += kStepBytes) {
      typename Simd::Vector columns[kStepBytes];
      for (std::size_t i = 0; i < kStepBytes; i += 16) {
        const std::size_t n_left = n_bytes > byte + i ? n_bytes - byte - i : 0;
        if (n_left == 0) {
          for (std::size_t j = i; j < i + 16; ++j) columns[j] = Simd::broadcast(0);
        } else {
          load_columns<Simd>(codes, byte + i, n_left, columns + i);
        }
      }
      std::size_t digit = 8 * byte / L::kBits;
      for (std::size_t i = 0; i < kStepBytes && digit < n_digits; i += L::kUnitBytes) {
        typename Simd::Vector digits[L::kUnitDigits];
        Simd::split_digits(columns + i, digits);
        for (std::size_t j = 0; j < L::kUnitDigits && digit < n_digits; ++j, ++digit) {
          Simd::store_lanes(reinterpret_cast<std::uint64_t*>(out + digit * L::kBlockRows),
                            digits[j]);
        }
      }
    }
  }
}

// Writes the table of one digit: `bits` are those of the query, the first dimension's highest.
template <std::size_t kBits>
static inline void fill_table(std::uint32_t bits, const std::uint8_t* magnitudes,
                              std::uint8_t* table) {
  // Entries 0 to 7, a byte each, that have bit 0, 1 or 2.
  constexpr std::uint64_t kHaveBit[] = {0x0100010001000100, 0x0101000001010000, 0x0101010100000000};
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  // Distances of n bits of the query, from `bit` up, to each 0 to 7.
  const auto of_bits = [&](std::size_t bit, std::size_t n) {
    std::uint64_t result = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint64_t differing = kHaveBit[i] ^ ((bits >> (bit + i) & 1) * kOnes);
      result += differing * magnitudes[kBits - 1 - bit - i];
    }
    return result;
  };
  const std::uint64_t low = of_bits(0, 3);
  std::uint64_t high = of_bits(3, kBits - 3);
  for (std::size_t i = 0; i < std::size_t{1} << (kBits - 3); ++i, high >>= 8) {
    const std::uint64_t eight = low + (high & 0xFF) * kOnes;
    __builtin_memcpy(table + 8 * i, &eight, 8);
  }
}

// Calls use(tables, n) for each slice of the tables of a pair of queries.
template <class Simd, class Use>
inline void for_each_slice_of(std::uint8_t* tables, std::size_t n_digits, std::size_t pair,
                              std::size_t n_pairs, Use use) {
  using L = Lookup<Simd>;
  const std::size_t slice = L::slice_digits(n_digits);
  for (std::size_t begin = 0; begin < n_digits; begin += slice) {
    const std::size_t n = n_digits - begin < slice ? n_digits - begin : slice;
    use(tables + (begin * n_pairs + pair * n) * L::kPairBytes, n);
  }
}

// The tables of unweighted distances, for each digit that a query may have.
template <std::size_t kBits>
struct UnweightedTables {
  static constexpr std::size_t kDigits = std::size_t{1} << kBits;
  std::uint8_t of[kDigits][kDigits];
  constexpr UnweightedTables() : of() {
    for (std::size_t a = 0; a < kDigits; ++a) {
      for (std::size_t b = 0; b < kDigits; ++b) {
        for (std::size_t differing = a ^ b; differing != 0; differing &= differing - 1) ++of[a][b];
      }
    }
  }
};

// Writes the tables of one query, one of a pair. Returns the largest distance that it can have.
template <class Simd, bool kWeighted>
inline std::uint32_t fill_tables(const std::uint8_t* code, const std::uint8_t* magnitudes,
                                 std::size_t n_bytes, std::uint8_t* tables, std::size_t query,
                                 std::size_t n_pairs) {
  using L = Lookup<Simd>;
  constexpr std::size_t kUnitBits = 8 * L::kUnitBytes;
  static constexpr UnweightedTables<L::kBits> kUnweighted;
  std::uint32_t sum = 0;
  std::size_t next = 0;    // byte of the unit that comes next
  std::size_t n_left = 0;  // digits of this unit that are still to come
  std::uint32_t bits = 0;  // of this unit
  std::uint8_t weights[kUnitBits] = {};
  const auto begin_unit = [&] {
    for (std::size_t i = 0; i < L::kUnitBytes; ++i) {
      bits = bits << 8 | (next + i < n_bytes ? code[next + i] : 0u);
    }
    for (std::size_t i = 0; kWeighted && i < kUnitBits; ++i) {
      weights[i] = next + i / 8 < n_bytes ? magnitudes[8 * next + i] : std::uint8_t{0};
      sum += weights[i];
    }
    next += L::kUnitBytes;
    n_left = L::kUnitDigits;
  };
  for_each_slice_of<Simd>(
      tables, L::n_digits(n_bytes), query / kLookupQueries, n_pairs,
      [&](std::uint8_t* table, std::size_t n) {
        table += query % kLookupQueries * L::kTableBytes;
        for (std::size_t digit = 0; digit < n; ++digit, table += L::kPairBytes) {
          if (n_left == 0) begin_unit();
          --n_left;
          const std::uint32_t of_digit = bits >> (n_left * L::kBits) & (L::kTableBytes - 1);
          if constexpr (kWeighted) {
            fill_table<L::kBits>(of_digit, weights + (L::kUnitDigits - 1 - n_left) * L::kBits,
                                 table);
          } else {
            __builtin_memcpy(table, kUnweighted.of[of_digit], L::kTableBytes);
          }
        }
      });
  return kWeighted ? sum : static_cast<std::uint32_t>(8 * n_bytes);
}

// How many digits of a slice can be added up as bytes, for both queries of a pair.
template <class Simd>
inline std::uint8_t longest_run(const std::uint8_t* tables, std::size_t n_digits) {
  using L = Lookup<Simd>;
  // A digit and its complement differ from the query's in all bits together.
  const auto largest_of = [](const std::uint8_t* table) {
    return static_cast<std::uint32_t>(table[0] + table[L::kTableBytes - 1]);
  };
  // The largest sum of `run` digits.
  const auto largest_sum = [&](std::size_t run) {
    std::uint32_t largest = 0;
    const std::uint8_t* table = tables;
    for (std::size_t begin = 0; begin < n_digits; begin += run) {
      const std::size_t end = n_digits - begin < run ? n_digits : begin + run;
      std::uint32_t first = 0;
      std::uint32_t second = 0;
      for (std::size_t digit = begin; digit < end; ++digit, table += L::kPairBytes) {
        first += largest_of(table);
        second += largest_of(table + L::kTableBytes);
      }
      const std::uint32_t larger = first < second ? second : first;
      largest = largest < larger ? larger : largest;
    }
    return largest;
  };
  const std::uint32_t of_digit = largest_sum(1);
  std::size_t run = of_digit == 0 ? n_digits : 0xFF / of_digit;
  while (run < n_digits && largest_sum(run + 1) <= 0xFF) ++run;
  return static_cast<std::uint8_t>(run < n_digits ? run : n_digits);
}

template <class Simd>
void fill_lookup_group(const std::uint8_t* const* codes, const std::uint8_t* const* magnitudes,
                       std::size_t n_queries, std::size_t n_bytes, void* group) noexcept {
  using L = Lookup<Simd>;
  static constexpr std::uint8_t kNothing[8 * kMaxCodeBytes] = {};
  auto* header = static_cast<typename L::Header*>(group);
  auto* tables = static_cast<std::uint8_t*>(group) + sizeof *header;
  const std::size_t n_pairs = (n_queries + kLookupQueries - 1) / kLookupQueries;
  header->largest = 0;
  header->n_queries = static_cast<std::uint32_t>(n_queries);
  for (std::size_t i = 0; i < n_pairs * kLookupQueries; ++i) {
    // An odd query has a partner, whose distances nobody asks for.
    const std::uint8_t* code = i < n_queries ? codes[i] : kNothing;
    const std::uint32_t largest =
        magnitudes == nullptr
            ? fill_tables<Simd, false>(code, nullptr, n_bytes, tables, i, n_pairs)
            : fill_tables<Simd, true>(code, i < n_queries ? magnitudes[i] : kNothing, n_bytes,
                                      tables, i, n_pairs);
    if (largest > header->largest) header->largest = largest;
  }
  for (std::size_t pair = 0; pair < n_pairs; ++pair) {
    std::size_t slice = 0;
    for_each_slice_of<Simd>(
        tables, L::n_digits(n_bytes), pair, n_pairs, [&](const std::uint8_t* table, std::size_t n) {
          const std::size_t unweighted = n < 0xFF / L::kBits ? n : 0xFF / L::kBits;
          header->runs[slice++][pair] = magnitudes == nullptr
                                            ? static_cast<std::uint8_t>(unweighted)
                                            : longest_run<Simd>(table, n);
        });
  }
}

}  // namespace bitsift
