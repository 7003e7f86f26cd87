// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/row_mask.hpp"
#include "base/shared_page.hpp"

namespace bitsift {

// A set of rows of a matrix. Copies share the pages; to change one copies the pages that it changes
// and that others have too.
class RowSet {
 public:
  // All of so many rows, and those that extended_to() adds.
  static RowSet all(std::size_t n_rows);
  // The rows whose value is not zero.
  static RowSet of_values(const std::uint8_t* values, std::size_t n_rows);
  // Row numbers below n_rows, in any order, also repeated; negative ones stand for no row.
  static RowSet of_numbers(const std::int64_t* numbers, std::size_t n, std::size_t n_rows);

  std::size_t n_rows() const { return n_rows_; }
  // How many rows are in the set.
  std::size_t count() const { return count_; }
  bool is_all() const { return count_ == n_rows_; }
  bool contains(std::size_t row) const { return row < n_rows_ && mask()[row]; }
  // Valid as long as this set is and stays as it is.
  RowMask mask() const { return {pointers_.data()}; }

  // The set of a matrix to which rows were appended: they are in it if it comes from all().
  RowSet extended_to(std::size_t n_rows) const;
  // What is in both: of the rows of this set, those that `other` has too.
  RowSet operator&(const RowSet& other) const;
  // Of the rows in this set, in ascending order, those whose value is not zero: count() values.
  RowSet selected(const std::uint8_t* values) const;
  // The set with these rows too, and without them; numbers are as of of_numbers().
  RowSet with(const std::int64_t* numbers, std::size_t n) const;
  // Removes them. Returns how many were in the set; if it throws, it has removed none.
  std::size_t remove(const std::int64_t* numbers, std::size_t n);

 private:
  RowSet() = default;
  static RowSet filled(std::size_t n_rows, const SharedPage& page);
  // The words of a page, to be changed.
  std::uint64_t* own_page(std::size_t i);
  void add(std::size_t row);

  std::size_t n_rows_ = 0;
  std::size_t count_ = 0;
  bool is_open_ = false;  // rows that are appended are in the set; their bits are one already
  std::vector<SharedPage> pages_;
  std::vector<const std::uint64_t*> pointers_;  // their words
};

}  // namespace bitsift
