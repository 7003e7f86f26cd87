// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/matrix.hpp"
#include "encoding/integers.hpp"
#include "kernels/kernels.hpp"

namespace bitsift {

// Original vectors as integers of `type`, dim of them a row.
struct IntegerVectors {
  Matrix<std::uint8_t> rows;
  IntegerType type;
  std::size_t dim;
  Scale scale;
};

// What is rescored: n_queries x n_candidates rows of the originals, -1 for none; every other value
// must be below their number. The best k are kept. ids == nullptr: a row's number is its id.
struct CandidateRows {
  Matrix<std::int64_t> rows;
  const std::int64_t* ids;
  std::size_t k;
};

}  // namespace bitsift
