// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "base/row_set.hpp"

namespace bitsift {

// The rows of a matrix that have not been removed. What a reader has got stays as it is: a page is
// copied, before a row of it is removed, if a reader still has it. Any number of threads may call
// anything at once.
class LiveRows {
 public:
  // All of so many rows. Takes no page until the first is removed.
  explicit LiveRows(std::size_t n_rows) : n_rows_(n_rows) {}

  std::size_t n_rows() const { return n_rows_; }
  std::size_t count() const;
  // The rows that are live now; none if all are. The same object until rows are removed, so that
  // searches see that they search the same rows.
  std::shared_ptr<const RowSet> current() const;
  // Removes rows, numbers as of RowSet::of_numbers(). Returns how many were live; if it throws, it
  // has removed none.
  std::size_t remove(const std::int64_t* numbers, std::size_t n);
  // The live rows of a matrix to which rows were appended, which are live.
  std::unique_ptr<LiveRows> extended_to(std::size_t n_rows) const;

 private:
  std::size_t n_rows_;
  mutable std::mutex mutex_;
  std::optional<RowSet> rows_;  // none: all are live
  mutable std::shared_ptr<const RowSet> current_;
};

}  // namespace bitsift
