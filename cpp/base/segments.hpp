// SPDX-License-Identifier: Apache-2.0
// Rows that lie in several matrices, one behind the other. An index that grows beside a mapped file
// has them in segments: to join them would copy everything.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/matrix.hpp"

namespace bitsift {

// The matrices, equally wide, with the number of the first row of each.
template <class T>
class SegmentTable {
 public:
  explicit SegmentTable(std::vector<Matrix<T>> segments) : segments_(std::move(segments)) {
    begins_.reserve(segments_.size() + 1);
    begins_.push_back(0);
    for (const Matrix<T>& segment : segments_) begins_.push_back(begins_.back() + segment.n_rows);
  }

  std::size_t n_rows() const { return begins_.back(); }
  std::size_t n_columns() const { return segments_.empty() ? 0 : segments_.front().n_columns; }
  const T* row(std::size_t i) const {
    const std::size_t segment = segment_of(i);
    return segments_[segment].row(i - begins_[segment]);
  }
  // The first row behind the segment of a row.
  std::size_t end_of(std::size_t row) const { return begins_[segment_of(row) + 1]; }
  std::ptrdiff_t stride_at(std::size_t row) const { return segments_[segment_of(row)].stride; }

 private:
  std::size_t segment_of(std::size_t row) const {
    const auto behind = std::upper_bound(begins_.begin() + 1, begins_.end() - 1, row);
    return static_cast<std::size_t>(behind - begins_.begin()) - 1;
  }

  std::vector<Matrix<T>> segments_;
  std::vector<std::size_t> begins_;  // one more: the number of rows
};

// A view of rows of one matrix or of a table.
template <class T>
class Segments {
 public:
  Segments() = default;
  // Not explicit: a matrix is the usual case.
  Segments(Matrix<T> only)  // NOLINT(google-explicit-constructor)
      : only_(only), n_rows_(only.n_rows) {}
  // The table must outlive the view.
  explicit Segments(const SegmentTable<T>* table)
      : only_{.n_columns = table->n_columns()}, table_(table), n_rows_(table->n_rows()) {}

  std::size_t n_rows() const { return n_rows_; }
  std::size_t n_columns() const { return only_.n_columns; }
  bool is_one() const { return table_ == nullptr; }
  const T* row(std::size_t i) const {
    return table_ == nullptr ? only_.row(i) : table_->row(first_ + i);
  }
  // The first row behind the segment of a row.
  std::size_t end_of(std::size_t row) const {
    return table_ == nullptr ? n_rows_ : std::min(table_->end_of(first_ + row) - first_, n_rows_);
  }
  // Rows [begin, end), which lie in one segment.
  Matrix<T> matrix(std::size_t begin, std::size_t end) const {
    return {.data = row(begin),
            .n_rows = end - begin,
            .n_columns = only_.n_columns,
            .stride = table_ == nullptr ? only_.stride : table_->stride_at(first_ + begin)};
  }
  // Rows [begin, end).
  Segments part(std::size_t begin, std::size_t end) const {
    Segments rows = *this;
    rows.n_rows_ = end - begin;
    if (table_ == nullptr) {
      rows.only_ = matrix(begin, end);
    } else {
      rows.first_ += begin;
    }
    return rows;
  }
  // Whether both are the same rows of memory.
  bool is_same_as(const Segments& other) const {
    return table_ == other.table_ && first_ == other.first_ && n_rows_ == other.n_rows_ &&
           only_.data == other.only_.data && only_.n_columns == other.only_.n_columns &&
           only_.stride == other.only_.stride;
  }

 private:
  Matrix<T> only_;                          // of a table, the number of columns alone
  const SegmentTable<T>* table_ = nullptr;  // nullptr: the rows of `only_`
  std::size_t first_ = 0;                   // of the table's rows
  std::size_t n_rows_ = 0;
};

// The id of each row. Without ids, a row's number is its id.
class RowIds {
 public:
  RowIds() = default;
  // Not explicit: an array is the usual case; nullptr: no ids.
  RowIds(const std::int64_t* ids) : ids_(ids) {}  // NOLINT(google-explicit-constructor)
  explicit RowIds(const SegmentTable<std::int64_t>* table) : table_(table) {}

  bool are_numbers() const { return ids_ == nullptr && table_ == nullptr; }
  // There must be ids.
  std::int64_t operator[](std::size_t row) const {
    return table_ == nullptr ? ids_[row] : *table_->row(first_ + row);
  }
  // Those of the rows from `row` on.
  RowIds from(std::size_t row) const {
    RowIds ids = *this;
    if (table_ != nullptr) {
      ids.first_ += row;
    } else if (ids_ != nullptr) {
      ids.ids_ += row;
    }
    return ids;
  }
  bool operator==(const RowIds&) const = default;

 private:
  const std::int64_t* ids_ = nullptr;
  const SegmentTable<std::int64_t>* table_ = nullptr;
  std::size_t first_ = 0;
};

}  // namespace bitsift
