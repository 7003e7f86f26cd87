// SPDX-License-Identifier: Apache-2.0
// The rows that a thread scans at a time, where perhaps not all take part. Kernels scan rows as
// they lie, and what they report of a row that takes no part is dropped: reports are few. Where few
// rows take part, these are copied together and scanned alone, so the cost follows their number.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/matrix.hpp"
#include "base/platform.hpp"
#include "base/row_mask.hpp"
#include "base/segments.hpp"

namespace bitsift {

// Bytes of codes that a thread takes at a time.
inline constexpr std::size_t kScanPieceBytes = 1 << 18;

// The rows that take part: those of a mask, in which the first has a number of its own.
struct MaskedRows {
  Segments<std::uint8_t> codes;
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
  void copy(const Segments<std::uint8_t>& codes) {
    const std::size_t n_bytes = codes.n_columns();
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

  const std::uint8_t* source(const Segments<std::uint8_t>& codes, std::size_t i) const {
    return codes.row(static_cast<std::size_t>(numbers_[i]));
  }

  std::vector<std::uint8_t> bytes_;
  std::vector<std::int64_t> numbers_;
};

// Rows to scan: as they lie in one segment, from `first_row` on, or copies that have numbers.
struct Piece {
  Matrix<std::uint8_t> codes;
  std::size_t first_row;
  const std::int64_t* numbers;
  bool all_take_part;

  std::int64_t row(std::size_t i) const {
    return numbers == nullptr ? static_cast<std::int64_t>(first_row + i) : numbers[i];
  }
};

// Takes rows for one thread.
class RowTaker {
 public:
  RowTaker(const MaskedRows& rows, std::size_t n_queries) : rows_(rows), n_queries_(n_queries) {}

  // Rows [begin, end). Returns how many there are to scan.
  std::size_t take(std::size_t begin, std::size_t end) {
    begin_ = begin;
    end_ = end;
    const std::size_t n = rows_.count(begin, end);
    all_take_part_ = n == end - begin;
    are_copied_ = n * (n_queries_ + kQueriesPerCopy) < (end - begin) * n_queries_;
    if (!are_copied_) return end - begin;
    copies_.clear();
    rows_.for_each(begin, end, [&](std::size_t row) { copies_.add(row); });
    copies_.copy(rows_.codes);
    return n;
  }

  // Calls body(piece) for the rows taken, piece by piece. A piece is valid until the next take().
  template <class Body>
  void for_each_piece(Body&& body) const {
    const Segments<std::uint8_t>& codes = rows_.codes;
    if (are_copied_)
      return body(Piece{copies_.matrix(codes.n_columns()), begin_, copies_.numbers(), true});
    for (std::size_t begin = begin_, end; begin < end_; begin = end) {
      end = std::min(codes.end_of(begin), end_);
      body(Piece{codes.matrix(begin, end), begin, nullptr, all_take_part_});
    }
  }

 private:
  // To copy a row costs what it costs to scan it for so many queries.
  static constexpr std::size_t kQueriesPerCopy = 5;

  MaskedRows rows_;
  std::size_t n_queries_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool all_take_part_ = true;
  bool are_copied_ = false;
  CopiedRows copies_;
};

}  // namespace bitsift
