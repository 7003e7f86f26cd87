// SPDX-License-Identifier: Apache-2.0
#include "base/row_set.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

// Bytes are read eight at a time, the first as the lowest.
static_assert(std::endian::native == std::endian::little);

namespace bitsift {
namespace {

std::size_t n_pages_of(std::size_t n_rows) { return (n_rows + kPageRows - 1) / kPageRows; }

std::size_t word_of(std::size_t row) { return row % kPageRows / 64; }
std::uint64_t bit_of(std::size_t row) { return std::uint64_t{1} << row % 64; }

// A bit for each of `n` bytes, at most 64: 1 where it is not 0.
std::uint64_t bits_of(const std::uint8_t* values, std::size_t n) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < n; i += 8) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, values + i, n - i < 8 ? n - i : 8);
    constexpr std::uint64_t kLow = 0x7F7F7F7F7F7F7F7F;
    const std::uint64_t ones = ((((bytes & kLow) + kLow) | bytes) & ~kLow) >> 7;
    // The product moves bit 0 of byte i to bit i of the highest byte, where nothing else comes.
    bits |= (ones * 0x0102040810204080) >> 56 << i;
  }
  return bits;
}

}  // namespace

RowSet RowSet::filled(std::size_t n_rows, const SharedPage& page) {
  RowSet set;
  set.n_rows_ = n_rows;
  set.pages_.assign(n_pages_of(n_rows), page);
  set.pointers_.assign(set.pages_.size(), page.words());
  return set;
}

std::uint64_t* RowSet::own_page(std::size_t i) {
  std::uint64_t* words = pages_[i].own_words();
  pointers_[i] = words;
  return words;
}

void RowSet::add(std::size_t row) {
  std::uint64_t& word = own_page(row / kPageRows)[word_of(row)];
  count_ += (word & bit_of(row)) == 0;
  word |= bit_of(row);
}

RowSet RowSet::all(std::size_t n_rows) {
  RowSet set = filled(n_rows, SharedPage::ones());
  set.count_ = n_rows;
  set.is_open_ = true;
  return set;
}

RowSet RowSet::of_values(const std::uint8_t* values, std::size_t n_rows) {
  RowSet set = filled(n_rows, SharedPage::zeros());
  for (std::size_t first = 0; first < n_rows; first += kPageRows) {
    std::uint64_t* words = set.own_page(first / kPageRows);
    for (std::size_t row = first; row < std::min(n_rows, first + kPageRows); row += 64) {
      const std::uint64_t bits = bits_of(values + row, std::min<std::size_t>(64, n_rows - row));
      words[word_of(row)] = bits;
      set.count_ += static_cast<std::size_t>(std::popcount(bits));
    }
  }
  return set;
}

RowSet RowSet::of_numbers(const std::int64_t* numbers, std::size_t n, std::size_t n_rows) {
  return filled(n_rows, SharedPage::zeros()).with(numbers, n);
}

RowSet RowSet::with(const std::int64_t* numbers, std::size_t n) const {
  RowSet set = *this;
  for (std::size_t i = 0; i < n; ++i) {
    if (numbers[i] >= 0) set.add(static_cast<std::size_t>(numbers[i]));
  }
  return set;
}

std::size_t RowSet::remove(const std::int64_t* numbers, std::size_t n) {
  const auto is_in = [&](std::size_t i) {
    return numbers[i] >= 0 && contains(static_cast<std::size_t>(numbers[i]));
  };
  // First whatever may throw.
  for (std::size_t i = 0; i < n; ++i) {
    if (is_in(i)) own_page(static_cast<std::size_t>(numbers[i]) / kPageRows);
  }
  std::size_t n_removed = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (!is_in(i)) continue;
    const auto row = static_cast<std::size_t>(numbers[i]);
    own_page(row / kPageRows)[word_of(row)] &= ~bit_of(row);
    ++n_removed;
  }
  count_ -= n_removed;
  return n_removed;
}

RowSet RowSet::extended_to(std::size_t n_rows) const {
  RowSet set = *this;
  if (n_rows <= n_rows_) return set;
  if (is_open_) set.count_ += n_rows - n_rows_;
  set.n_rows_ = n_rows;
  const SharedPage& page = is_open_ ? SharedPage::ones() : SharedPage::zeros();
  set.pages_.resize(n_pages_of(n_rows), page);
  set.pointers_.resize(set.pages_.size(), page.words());
  return set;
}

RowSet RowSet::operator&(const RowSet& other) const {
  RowSet set = other.n_rows_ < n_rows_ ? other.extended_to(n_rows_) : other;
  set.n_rows_ = n_rows_;
  set.is_open_ = is_open_ && other.is_open_;
  set.pages_.resize(pages_.size(), SharedPage::zeros());
  set.pointers_.resize(pages_.size());
  set.count_ = 0;
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    std::uint64_t* words = set.own_page(i);
    for (std::size_t word = 0; word < kPageWords; ++word) words[word] &= pointers_[i][word];
  }
  set.count_ = set.mask().count(0, n_rows_);
  return set;
}

RowSet RowSet::selected(const std::uint8_t* values) const {
  RowSet set = filled(n_rows_, SharedPage::zeros());
  mask().for_each(0, n_rows_, [&](std::size_t row) {
    if (*values++ != 0) set.add(row);
  });
  return set;
}

}  // namespace bitsift
