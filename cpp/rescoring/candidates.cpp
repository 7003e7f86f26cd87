// SPDX-License-Identifier: Apache-2.0
#include "rescoring/candidates.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/checked_order.hpp"

namespace bitsift {

void check_candidates(const CandidateRows& candidates, std::size_t n_rows) {
  std::int64_t largest = -1;
  const std::size_t n = candidates.rows.n_columns;
  Checkpoint checkpoint(kValuesBetweenChecks);
  for (std::size_t query = 0; query < candidates.rows.n_rows; ++query) {
    const std::int64_t* rows = candidates.rows.row(query);
    for (std::size_t begin = 0; begin < n; begin += kValuesBetweenChecks) {
      const std::size_t end = std::min(n, begin + kValuesBetweenChecks);
      for (std::size_t i = begin; i < end; ++i) largest = std::max(largest, rows[i]);
      checkpoint.did(end - begin);
    }
  }
  if (largest >= static_cast<std::int64_t>(n_rows)) {
    throw std::out_of_range("a candidate is not a row");
  }
}

}  // namespace bitsift
