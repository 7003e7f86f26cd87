// SPDX-License-Identifier: Apache-2.0
// Rescoring refuses candidates that are not rows, before it reads or writes anything.
#include "rescoring/candidates.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "kernels/kernels.hpp"
#include "oracle/naive.hpp"
#include "rescoring/rescore.hpp"
#include "rescoring/rescore_codes.hpp"

namespace bitsift::test {
namespace {

TEST_CASE("a candidate is a row, or none") {
  for (std::size_t place = 0; place < 6; ++place) {
    CAPTURE(place);
    std::vector<std::int64_t> rows(6, 2);
    const CandidateRows candidates = {matrix_of(rows, 3), nullptr, 1};
    for (const std::int64_t row : {-1, 0, 1, 2}) {
      rows[place] = row;
      CHECK_NOTHROW(check_candidates(candidates, 3));
    }
    for (const std::int64_t row : {std::int64_t{3}, std::numeric_limits<std::int64_t>::max()}) {
      rows[place] = row;
      CHECK_THROWS_AS(check_candidates(candidates, 3), std::out_of_range);
    }
  }
}

TEST_CASE("every way of rescoring refuses the row behind the last") {
  const std::vector<float> vectors(8, 1.0f);
  const std::vector<Half> halves(8);
  const std::vector<std::uint8_t> bytes(8);
  const std::vector<std::uint8_t> magnitudes(8, 1);
  const std::vector<double> scale(4);
  const std::vector<std::int64_t> rows = {1, 2};
  const CandidateRows candidates = {matrix_of(rows, 2), nullptr, 2};
  const Matrix<float> query = {vectors.data(), 1, 4, 16};
  const IntegerVectors integers = {.rows = matrix_of(bytes, 4),
                                   .type = IntegerType::kInt8,
                                   .dim = 4,
                                   .scale = {scale.data(), scale.data()}};
  IntegerVectors unpacked = integers;
  unpacked.type = IntegerType::kUint8;
  const Queries code = {{bytes.data(), 1, 1, 1}, matrix_of(magnitudes, 8)};
  const Matrix<std::uint8_t> codes = {bytes.data(), 2, 1, 1};
  const auto refuses = [&](const auto& originals) {
    CHECK_THROWS_AS(
        rescore(kScalarKernels, Metric::kDot, originals, query, candidates, 2, nullptr, nullptr),
        std::out_of_range);
  };
  refuses(matrix_of(vectors, 4));
  refuses(matrix_of(halves, 4));
  refuses(integers);
  refuses(unpacked);
  CHECK_THROWS_AS(
      rescore_codes(kScalarKernels, codes, code, candidates, nullptr, 2, nullptr, nullptr),
      std::out_of_range);
}

}  // namespace
}  // namespace bitsift::test
