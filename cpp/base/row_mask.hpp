// SPDX-License-Identifier: Apache-2.0
// Which rows take part, one bit for each, in memory that a RowSet owns.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace bitsift {

// Rows of a page: 8 KiB of bits.
inline constexpr std::size_t kPageRows = std::size_t{1} << 16;
inline constexpr std::size_t kPageWords = kPageRows / 64;

// A view. Bit i % 64 of word i / 64 of a page is set if its row i takes part.
struct RowMask {
  const std::uint64_t* const* pages = nullptr;  // nullptr: every row takes part

  bool is_all() const { return pages == nullptr; }

  bool operator[](std::size_t row) const {
    if (is_all()) return true;
    return (pages[row / kPageRows][row % kPageRows / 64] >> row % 64 & 1) != 0;
  }

  // Calls body(first row, bits) for each word of rows [begin, end); bits of other rows are zero.
  template <class Body>
  void for_each_word(std::size_t begin, std::size_t end, Body&& body) const {
    for (std::size_t row = begin / 64 * 64; row < end; row += 64) {
      std::uint64_t bits =
          is_all() ? ~std::uint64_t{0} : pages[row / kPageRows][row % kPageRows / 64];
      if (row < begin) bits &= ~std::uint64_t{0} << (begin - row);
      if (end - row < 64) bits &= ~(~std::uint64_t{0} << (end - row));
      body(row, bits);
    }
  }

  // How many of rows [begin, end) take part.
  std::size_t count(std::size_t begin, std::size_t end) const {
    if (is_all()) return end - begin;
    std::size_t n = 0;
    for_each_word(begin, end, [&](std::size_t, std::uint64_t bits) {
      n += static_cast<std::size_t>(std::popcount(bits));
    });
    return n;
  }

  // Calls body(row) for each of rows [begin, end) that takes part, in ascending order.
  template <class Body>
  void for_each(std::size_t begin, std::size_t end, Body&& body) const {
    for_each_word(begin, end, [&](std::size_t first, std::uint64_t bits) {
      for (; bits != 0; bits &= bits - 1) {
        body(first + static_cast<std::size_t>(std::countr_zero(bits)));
      }
    });
  }
};

}  // namespace bitsift
