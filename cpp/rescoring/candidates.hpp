// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/matrix.hpp"
#include "base/segments.hpp"
#include "encoding/integers.hpp"
#include "kernels/kernels.hpp"

namespace bitsift {

// Original vectors of `dim` integers each.
struct IntegerVectors {
  Segments<std::uint8_t> rows;
  IntegerType type;
  std::size_t dim;
  Scale scale;
};

// Results up to number `n_results` are the best of the first `n_candidates`, without those that an
// earlier step gave.
struct Step {
  std::size_t n_results;
  std::size_t n_candidates;
};

// The rows to rescore, n_queries x n_candidates, -1 for none, and how many results to give.
// Ties go to the smaller id.
struct CandidateRows {
  Matrix<std::int64_t> rows;
  RowIds ids;
  std::size_t k;
  // Both numbers ascend, and the last n_results is k or more. No steps: the best of all.
  std::span<const Step> steps = {};
  // Scores stay in the order of the candidates, of which there are k, and none is left out.
  bool keep_order = false;
};

// Throws std::out_of_range if a candidate is not below n_rows.
void check_candidates(const CandidateRows& candidates, std::size_t n_rows);

}  // namespace bitsift
