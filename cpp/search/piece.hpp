// SPDX-License-Identifier: Apache-2.0
// The rows that a thread scans at a time, where perhaps not all take part. Kernels scan rows as
// they lie, and what they report of a row that takes no part is dropped: reports are few. Where few
// rows take part, these are copied together and scanned alone, so the cost follows their number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/matrix.hpp"
#include "base/platform.hpp"
#include "base/row_mask.hpp"

namespace bitsift {

// The rows of a matrix that take part: those of a mask, in which the first has a number of its own.
struct MaskedRows {
  Matrix<std::uint8_t> codes;
  RowMask mask;
  std::size_t first_in_mask = 0;

  std::size_t count(std::size_t begin, std::size_t end) const {
    return mask.count(first_in_mask + begin, first_in_mask + end);
  }
  bool takes_part(std::size_t row) const { return mask[first_in_mask + row]; }
  // Calls body(row) for each of rows [begin, end) that takes part, in ascending order.
  template <class Body>
  void for_each(std::size_t begin, std::size_t end, Body&& body) const {
    mask.for_each(first_in_mask + begin, first_in_mask + end,
                  [&](std::size_t row) { body(row - first_in_mask); });
  }
};

// Copies of rows, one behind the other.
class CopiedRows {
 public:
  void clear() {
    bytes_.clear();
    numbers_.clear();
  }
  void add(std::size_t row) { numbers_.push_back(static_cast<std::int64_t>(row)); }
  // Copies the rows that were added.
  void copy(Matrix<std::uint8_t> codes) {
    const std::size_t n_bytes = codes.n_columns;
    bytes_.resize(numbers_.size() * n_bytes);
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
      if (i + kAhead < numbers_.size()) prefetch(source(codes, i + kAhead), n_bytes);
      std::memcpy(bytes_.data() + i * n_bytes, source(codes, i), n_bytes);
    }
  }

  Matrix<std::uint8_t> matrix(std::size_t n_bytes) const {
    return {.data = bytes_.data(),
            .n_rows = numbers_.size(),
            .n_columns = n_bytes,
            .stride = static_cast<std::ptrdiff_t>(n_bytes)};
  }
  const std::int64_t* numbers() const { return numbers_.data(); }

 private:
  static constexpr std::size_t kAhead = 16;

  const std::uint8_t* source(Matrix<std::uint8_t> codes, std::size_t i) const {
    return codes.row(static_cast<std::size_t>(numbers_[i]));
  }

  std::vector<std::uint8_t> bytes_;
  std::vector<std::int64_t> numbers_;
};

// Rows to scan: as they lie, from `first_row` on, or copies that have numbers.
struct Piece {
  Matrix<std::uint8_t> codes;
  std::size_t first_row;
  const std::int64_t* numbers;
  bool all_take_part;

  std::int64_t row(std::size_t i) const {
    return numbers == nullptr ? static_cast<std::int64_t>(first_row + i) : numbers[i];
  }
};

// Takes pieces for one thread.
class PieceTaker {
 public:
  PieceTaker(const MaskedRows& rows, std::size_t n_queries) : rows_(rows), n_queries_(n_queries) {}

  // Rows [begin, end). Valid until the next call.
  Piece take(std::size_t begin, std::size_t end) {
    const std::size_t n = rows_.count(begin, end);
    Piece piece = {rows_.codes, begin, nullptr, n == end - begin};
    if (n * (n_queries_ + kQueriesPerCopy) < (end - begin) * n_queries_) {
      copies_.clear();
      rows_.for_each(begin, end, [&](std::size_t row) { copies_.add(row); });
      copies_.copy(rows_.codes);
      piece.codes = copies_.matrix(rows_.codes.n_columns);
      piece.numbers = copies_.numbers();
      piece.all_take_part = true;
      return piece;
    }
    piece.codes.data = rows_.codes.row(begin);
    piece.codes.n_rows = end - begin;
    return piece;
  }

 private:
  // To copy a row costs what it costs to scan it for so many queries.
  static constexpr std::size_t kQueriesPerCopy = 5;

  MaskedRows rows_;
  std::size_t n_queries_;
  CopiedRows copies_;
};

}  // namespace bitsift
