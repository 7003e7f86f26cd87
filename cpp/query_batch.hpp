// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/kernels.hpp"
#include "matrix.hpp"

namespace bitsift {

// A batch of queries in the two layouts that kernels read: rows padded with zeros (scan_rows) and
// words interleaved in groups (scan_tile, tile_distances).
class QueryBatch {
 public:
  QueryBatch(Matrix<std::uint8_t> queries, std::size_t begin, std::size_t end)
      : size_(end - begin),
        n_words_((queries.n_columns + 7) / 8),
        padded_bytes_((queries.n_columns + kQueryPadding - 1) / kQueryPadding * kQueryPadding),
        rows_(size_ * padded_bytes_),
        words_(padded_size() * n_words_) {
    for (std::size_t i = 0; i < size_; ++i) {
      std::uint8_t* row = rows_.data() + i * padded_bytes_;
      std::memcpy(row, queries.row(begin + i), queries.n_columns);
      std::uint64_t* group = words_.data() + i / kQueryGroup * kQueryGroup * n_words_;
      for (std::size_t w = 0; w < n_words_; ++w) {
        std::memcpy(&group[w * kQueryGroup + i % kQueryGroup], row + 8 * w, 8);
      }
    }
  }

  std::size_t size() const { return size_; }
  // The size, rounded up to whole groups.
  std::size_t padded_size() const { return (size_ + kQueryGroup - 1) / kQueryGroup * kQueryGroup; }
  std::size_t n_words() const { return n_words_; }
  const std::uint8_t* row(std::size_t i) const { return rows_.data() + i * padded_bytes_; }
  const std::uint64_t* words() const { return words_.data(); }

 private:
  std::size_t size_;
  std::size_t n_words_;
  std::size_t padded_bytes_;
  std::vector<std::uint8_t> rows_;
  std::vector<std::uint64_t> words_;
};

// One transposed tile of documents, for as long as a batch of queries needs it.
class Tile {
 public:
  Tile(const Kernels& kernels, std::size_t n_bytes)
      : kernels_(kernels),
        n_bytes_(n_bytes),
        memory_(kernels.tile_rows * ((n_bytes + 7) / 8) + kAlignment / 8) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    words_ = memory_.data() + (kAlignment - address % kAlignment) % kAlignment / 8;
  }
  Tile(const Tile&) = delete;  // words_ points into memory_, which a move keeps in place
  Tile(Tile&&) = default;

  void fill(Matrix<std::uint8_t> codes, std::size_t begin, std::size_t n_rows) {
    n_rows_ = n_rows;
    kernels_.fill_tile(codes.row(begin), codes.stride, n_rows, n_bytes_, words_);
  }
  const std::uint64_t* words() const { return words_; }
  std::size_t n_rows() const { return n_rows_; }

 private:
  static constexpr std::size_t kAlignment = 64;
  const Kernels& kernels_;
  std::size_t n_bytes_;
  std::size_t n_rows_ = 0;
  std::vector<std::uint64_t> memory_;
  std::uint64_t* words_;
};

// Calls body(begin, n_rows) for each tile of rows [begin, end).
template <class Body>
void for_each_tile(const Kernels& kernels, std::size_t begin, std::size_t end, Body&& body) {
  for (; begin < end; begin += kernels.tile_rows) {
    body(begin, std::min(kernels.tile_rows, end - begin));
  }
}

}  // namespace bitsift
