// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <vector>

#include "base/segments.hpp"

namespace bitsift::test {

// The rows of a matrix as segments: the first one, none, a third of the others, and the rest.
template <class T>
SegmentTable<T> divided(const Segments<T>& rows) {
  const std::size_t n = rows.n_rows();
  const std::size_t first = std::min<std::size_t>(n, 1);
  const std::size_t second = first + (n - first) / 3;
  std::vector<Matrix<T>> segments;
  std::size_t begin = 0;
  for (const std::size_t end : {first, first, second, n}) {
    Matrix<T> segment = {.n_columns = rows.n_columns()};
    if (begin < end) segment = rows.matrix(begin, end);
    segments.push_back(segment);
    begin = end;
  }
  return SegmentTable<T>(std::move(segments));
}

}  // namespace bitsift::test
