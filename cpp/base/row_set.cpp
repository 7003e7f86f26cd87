// SPDX-License-Identifier: Apache-2.0
#include "base/row_set.hpp"

#include <algorithm>
#include <utility>

namespace bitsift {
namespace {

std::size_t n_pages_of(std::size_t n_rows) { return (n_rows + kPageRows - 1) / kPageRows; }

}  // namespace

RowSet::RowSet(std::size_t n_rows)
    : n_rows_(n_rows),
      count_(n_rows),
      is_open_(true),
      pages_(n_pages_of(n_rows)),
      pointers_(n_pages_of(n_rows), nullptr) {}

void RowSet::add_page(std::shared_ptr<const Page> page) {
  pointers_.push_back(page == nullptr ? nullptr : page->data());
  pages_.push_back(std::move(page));
}

RowSet RowSet::of_values(const std::uint8_t* values, std::size_t n_rows) {
  RowSet set;
  set.n_rows_ = n_rows;
  for (std::size_t first = 0; first < n_rows; first += kPageRows) {
    const auto page = std::make_shared<Page>();
    for (std::size_t row = first; row < std::min(n_rows, first + kPageRows); ++row) {
      const std::uint64_t bit = values[row] != 0;
      (*page)[(row - first) / 64] |= bit << row % 64;
      set.count_ += bit;
    }
    set.add_page(page);
  }
  return set;
}

RowSet RowSet::of_numbers(const std::int64_t* numbers, std::size_t n, std::size_t n_rows) {
  RowSet set;
  set.n_rows_ = n_rows;
  std::vector<Page*> pages;
  for (std::size_t i = 0; i < n_pages_of(n_rows); ++i) {
    auto page = std::make_shared<Page>();
    pages.push_back(page.get());
    set.add_page(std::move(page));
  }
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

// A page of this set that no other set has: a copy, the first time.
RowSet::Page& RowSet::own_page(std::size_t i, std::vector<Page*>& owned) {
  if (owned[i] == nullptr) {
    auto page = std::make_shared<Page>();
    if (pages_[i] == nullptr) {
      page->fill(~std::uint64_t{0});
    } else {
      *page = *pages_[i];
    }
    owned[i] = page.get();
    pointers_[i] = page->data();
    pages_[i] = std::move(page);
  }
  return *owned[i];
}

RowSet RowSet::without(const std::int64_t* numbers, std::size_t n) const {
  RowSet set = *this;
  std::vector<Page*> owned(pages_.size(), nullptr);
  for (std::size_t i = 0; i < n; ++i) {
    if (numbers[i] < 0 || !set.contains(static_cast<std::size_t>(numbers[i]))) continue;
    const auto row = static_cast<std::size_t>(numbers[i]);
    Page& page = set.own_page(row / kPageRows, owned);
    page[row % kPageRows / 64] &= ~(std::uint64_t{1} << row % 64);
    --set.count_;
  }
  return set;
}

RowSet RowSet::extended_to(std::size_t n_rows) const {
  RowSet set = *this;
  if (n_rows <= n_rows_) return set;
  if (is_open_) set.count_ += n_rows - n_rows_;
  set.n_rows_ = n_rows;
  while (set.pages_.size() < n_pages_of(n_rows)) {
    set.add_page(is_open_ ? nullptr : std::make_shared<Page>());
  }
  return set;
}

RowSet RowSet::operator&(const RowSet& other) const {
  RowSet set;
  set.n_rows_ = n_rows_;
  set.is_open_ = is_open_ && other.is_open_;
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    if (i >= other.pages_.size()) {
      set.add_page(other.is_open_ ? pages_[i] : std::make_shared<Page>());
    } else if (pages_[i] == nullptr || other.pages_[i] == nullptr) {
      set.add_page(pages_[i] == nullptr ? other.pages_[i] : pages_[i]);
    } else {
      const auto page = std::make_shared<Page>();
      for (std::size_t word = 0; word < kPageWords; ++word) {
        (*page)[word] = (*pages_[i])[word] & (*other.pages_[i])[word];
      }
      set.add_page(page);
    }
  }
  set.count_ = set.mask().count(0, n_rows_);
  return set;
}

}  // namespace bitsift
