// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/row_mask.hpp"

namespace bitsift {

// A set of rows of a matrix. It never changes: what changes its matrix makes another set, which
// shares the pages.
class RowSet {
 public:
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

  // The same rows of a matrix to which others were appended.
  RowSet extended_to(std::size_t n_rows) const;

 private:
  using Page = std::array<std::uint64_t, kPageWords>;

  RowSet() = default;
  Page& add_page();

  std::size_t n_rows_ = 0;
  std::size_t count_ = 0;
  std::vector<std::shared_ptr<const Page>> pages_;
  std::vector<const std::uint64_t*> pointers_;  // their words
};

}  // namespace bitsift
