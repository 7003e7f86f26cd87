// SPDX-License-Identifier: Apache-2.0
#include "base/row_set.hpp"

#include <algorithm>
#include <utility>

namespace bitsift {

RowSet::Page& RowSet::add_page() {
  auto page = std::make_shared<Page>();
  Page& made = *page;
  pointers_.push_back(made.data());
  pages_.push_back(std::move(page));
  return made;
}

RowSet RowSet::of_values(const std::uint8_t* values, std::size_t n_rows) {
  RowSet set;
  set.n_rows_ = n_rows;
  for (std::size_t first = 0; first < n_rows; first += kPageRows) {
    Page& page = set.add_page();
    for (std::size_t row = first; row < std::min(n_rows, first + kPageRows); ++row) {
      const std::uint64_t bit = values[row] != 0;
      page[(row - first) / 64] |= bit << row % 64;
      set.count_ += bit;
    }
  }
  return set;
}

RowSet RowSet::of_numbers(const std::int64_t* numbers, std::size_t n, std::size_t n_rows) {
  RowSet set;
  set.n_rows_ = n_rows;
  std::vector<Page*> pages;
  for (std::size_t first = 0; first < n_rows; first += kPageRows) pages.push_back(&set.add_page());
  for (std::size_t i = 0; i < n; ++i) {
    if (numbers[i] < 0) continue;
    const auto row = static_cast<std::size_t>(numbers[i]);
    std::uint64_t& word = (*pages[row / kPageRows])[row % kPageRows / 64];
    const std::uint64_t bit = std::uint64_t{1} << row % 64;
    set.count_ += (word & bit) == 0;
    word |= bit;
  }
  return set;
}

RowSet RowSet::extended_to(std::size_t n_rows) const {
  RowSet set = *this;
  set.n_rows_ = std::max(n_rows, n_rows_);
  while (set.pages_.size() * kPageRows < n_rows) set.add_page();
  return set;
}

}  // namespace bitsift
