// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/row_mask.hpp"

namespace bitsift {

// A set of rows of a matrix. It never changes: what removes rows returns another set, which shares
// the pages that stay as they are. So a search keeps the set that it began with, and to remove a
// row costs a copy of 8 KiB, whatever the number of rows.
class RowSet {
 public:
  // All of so many rows, and those that extended_to() adds.
  explicit RowSet(std::size_t n_rows);
  // The rows whose value is not zero.
  static RowSet of_values(const std::uint8_t* values, std::size_t n_rows);
  // Row numbers below n_rows, in any order, also repeated; negative ones stand for no row.
  static RowSet of_numbers(const std::int64_t* numbers, std::size_t n, std::size_t n_rows);

  std::size_t n_rows() const { return n_rows_; }
  // How many rows are in the set.
  std::size_t count() const { return count_; }
  bool is_all() const { return count_ == n_rows_; }
  bool contains(std::size_t row) const { return row < n_rows_ && mask()[row]; }
  // Valid as long as this set.
  RowMask mask() const { return {pointers_.data()}; }

  // The set without these rows, below n_rows(), in any order, also repeated; negative numbers stand
  // for no row.
  RowSet without(const std::int64_t* numbers, std::size_t n) const;
  // The set of a matrix to which rows were appended: they are in it if all of a first set were.
  RowSet extended_to(std::size_t n_rows) const;
  // What is in both: of the rows of this set, those that `other` has too.
  RowSet operator&(const RowSet& other) const;

 private:
  using Page = std::array<std::uint64_t, kPageWords>;

  RowSet() = default;
  void add_page(std::shared_ptr<const Page> page);
  Page& own_page(std::size_t i, std::vector<Page*>& owned);

  std::size_t n_rows_ = 0;
  std::size_t count_ = 0;
  bool is_open_ = false;  // rows that are appended are in the set; their bits are one already
  std::vector<std::shared_ptr<const Page>> pages_;  // none: all rows of the page are in the set
  std::vector<const std::uint64_t*> pointers_;      // their words
};

}  // namespace bitsift
