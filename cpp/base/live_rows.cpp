// SPDX-License-Identifier: Apache-2.0
#include "base/live_rows.hpp"

#include <algorithm>
#include <utility>

namespace bitsift {

std::size_t LiveRows::count() const {
  const std::lock_guard lock(mutex_);
  return rows_ ? rows_->count() : n_rows_;
}

std::shared_ptr<const RowSet> LiveRows::current() const {
  const std::lock_guard lock(mutex_);
  if (rows_ && current_ == nullptr) current_ = std::make_shared<const RowSet>(*rows_);
  return current_;
}

std::size_t LiveRows::remove(const std::int64_t* numbers, std::size_t n) {
  const std::lock_guard lock(mutex_);
  if (!rows_) {
    RowSet rows = RowSet::all(n_rows_);
    const std::size_t n_removed = rows.remove(numbers, n);
    if (n_removed > 0) rows_ = std::move(rows);
    return n_removed;
  }
  current_.reset();  // else its pages would be another's
  return rows_->remove(numbers, n);
}

std::unique_ptr<LiveRows> LiveRows::extended_to(std::size_t n_rows) const {
  const std::lock_guard lock(mutex_);
  auto more = std::make_unique<LiveRows>(std::max(n_rows, n_rows_));
  if (rows_) more->rows_ = rows_->extended_to(n_rows);
  return more;
}

}  // namespace bitsift
