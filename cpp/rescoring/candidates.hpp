// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/matrix.hpp"
#include "encoding/integers.hpp"
#include "kernels/kernels.hpp"

namespace bitsift {

// Original vectors of `dim` integers each.
struct IntegerVectors {
  Matrix<std::uint8_t> rows;
  IntegerType type;
  std::size_t dim;
  Scale scale;
};

// The rows to rescore, n_queries x n_candidates, -1 for none, and how many of the best to keep.
// Ties go to the smaller id; ids == nullptr: a row's number is its id.
struct CandidateRows {
  Matrix<std::int64_t> rows;
  const std::int64_t* ids;
  std::size_t k;
};

// Throws std::out_of_range if a candidate is not below n_rows.
void check_candidates(const CandidateRows& candidates, std::size_t n_rows);

}  // namespace bitsift
