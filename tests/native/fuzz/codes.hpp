// SPDX-License-Identifier: Apache-2.0
// Rows of codes and queries, as kernels that scan take them, and the hits that they report.
#pragma once

#include <algorithm>
#include <tuple>
#include <vector>

#include "base/matrix.hpp"
#include "fuzz/input.hpp"

namespace bitsift::test {

inline std::size_t some_code_bytes(Input& input) {
  switch (input.below(8)) {
    case 7:
      return input.between(kMaxCodeBytes - 70, kMaxCodeBytes);
    case 6:
      return input.between(1, 1100);
    default:
      return input.between(1, 140);
  }
}

// Rows that end with the memory, at any address, forwards, backwards, with gaps, or all the same.
class Rows {
 public:
  Rows(Input& input, std::size_t n_rows, std::size_t n_bytes)
      : apart_(input.below(8) == 7 ? 0 : n_bytes + input.one_of<std::size_t>({0, 0, 1, 13, 64})),
        memory_(n_rows == 0 ? 0 : (n_rows - 1) * apart_ + n_bytes, input.below(64)) {
    fill_bytes(input, memory_.get(), memory_.size());
    const bool backwards = n_rows > 0 && input.below(4) == 3;
    const auto apart = static_cast<std::ptrdiff_t>(apart_);
    view_ = {.data = memory_.get() + (backwards ? (n_rows - 1) * apart_ : 0),
             .n_rows = n_rows,
             .n_columns = n_bytes,
             .stride = backwards ? -apart : apart};
  }
  const Matrix<std::uint8_t>& view() const { return view_; }

 private:
  std::size_t apart_;
  Exact<std::uint8_t> memory_;
  Matrix<std::uint8_t> view_;
};

// A query's code or a plane of it, padded with zeros as kernels want it.
inline Exact<std::uint8_t> padded_code(Input& input, std::size_t n_bytes) {
  const std::size_t n_padded = (n_bytes + kQueryPadding - 1) / kQueryPadding * kQueryPadding;
  Exact<std::uint8_t> code(n_padded, input.below(64));
  std::fill(code.begin(), code.end(), std::uint8_t{0});
  fill_bytes(input, code.get(), n_bytes);
  return code;
}

// Admits none, all, or those up to a distance that occurs.
inline std::int64_t some_limit(Input& input, std::int64_t largest) {
  switch (input.below(8)) {
    case 7:
      return kAdmitNone;
    case 6:
      return kAdmitAll;
    default:
      return static_cast<std::int64_t>(input.below(static_cast<std::size_t>(largest) + 2));
  }
}

// By query, the rows of one ascending: the order in which kernels report is theirs.
inline std::vector<Hit> sorted(std::vector<Hit> hits) {
  std::stable_sort(hits.begin(), hits.end(),
                   [](const Hit& a, const Hit& b) { return a.query < b.query; });
  return hits;
}

inline bool same_hits(const std::vector<Hit>& a, const std::vector<Hit>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Hit& x, const Hit& y) {
    return std::tie(x.query, x.row, x.distance) == std::tie(y.query, y.row, y.distance);
  });
}

}  // namespace bitsift::test
