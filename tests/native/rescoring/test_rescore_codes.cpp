// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <vector>

#include "helpers/divided.hpp"
#include "helpers/guarded_pages.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"
#include "rescoring/rescore_codes.hpp"

namespace bitsift::test {
namespace {

using Found = Results<float>;

constexpr Metric kMetrics[] = {Metric::kCosine, Metric::kDot, Metric::kL2};

bool same_bits(const Found& a, const Found& b) {
  return a.rows == b.rows &&
         std::equal(a.values.begin(), a.values.end(), b.values.begin(), b.values.end(),
                    [](float x, float y) {
                      return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
                    });
}

// Compares every level and number of threads, of one matrix and of segments, with the reference,
// and returns its results.
Found check_everywhere(Matrix<std::uint8_t> codes, const Queries& queries,
                       const CandidateRows& candidates, const Estimate* estimate) {
  const Found wanted = naive_rescore_codes(codes, queries, candidates, estimate);
  const SegmentTable<std::uint8_t> table = divided(Segments<std::uint8_t>(codes));
  const auto factors = divided(estimate != nullptr ? estimate->factors : Segments<std::uint16_t>());
  std::optional<Estimate> of_segments;
  if (estimate != nullptr) {
    of_segments = *estimate;
    of_segments->factors = Segments<std::uint16_t>(&factors);
  }
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    for (const std::size_t n_threads : Sizes{1, 2, 7}) {
      CAPTURE(n_threads);
      const std::size_t n = queries.codes.n_rows * candidates.k;
      Found found{std::vector<float>(n, -5), std::vector<std::int64_t>(n, -5)};
      rescore_codes(*kernels, codes, queries, candidates, estimate, n_threads, found.values.data(),
                    found.rows.data());
      CHECK(same_bits(found, wanted));
      if (n_threads != 2) continue;
      rescore_codes(*kernels, Segments<std::uint8_t>(&table), queries, candidates,
                    of_segments ? &*of_segments : nullptr, n_threads, found.values.data(),
                    found.rows.data());
      CHECK(same_bits(found, wanted));
    }
  }
  return wanted;
}

std::vector<std::uint8_t> some_magnitudes(Random& random, std::size_t n, std::size_t largest) {
  std::vector<std::uint8_t> result(n);
  for (auto& m : result) m = static_cast<std::uint8_t>(random.below(largest + 1));
  return result;
}

// Rows in no order and more than once, some of them none.
std::vector<std::int64_t> some_rows(Random& random, std::size_t n, std::size_t n_rows) {
  std::vector<std::int64_t> result(n);
  for (auto& row : result) {
    row = random.below(9) == 0 ? -1 - static_cast<std::int64_t>(random.below(2))
                               : static_cast<std::int64_t>(random.below(n_rows));
  }
  return result;
}

// The numbers of estimates: any sign, and factors whose estimates are near to each other.
struct Numbers {
  Numbers(Random& random, std::size_t n_queries, std::size_t n_codes) {
    for (std::size_t i = 0; i < n_queries; ++i) {
      scales.push_back(random.value() * 0x1p-6);
      sums.push_back(static_cast<double>(random.below(8000)));
      constants.push_back(random.value() + 0.5);
    }
    for (std::size_t i = 0; i < 2 * n_codes; ++i) {
      factors.push_back(naive_bfloat16(static_cast<float>(random.value())));
    }
  }

  // With one factor for each code or two.
  Estimate estimate(Metric metric, std::size_t n_columns) const {
    Matrix<std::uint16_t> matrix = matrix_of(factors, 2);
    matrix.n_columns = n_columns;
    return {metric, matrix, scales.data(), sums.data(), constants.data()};
  }

  std::vector<std::uint16_t> factors;
  std::vector<double> scales;
  std::vector<double> sums;
  std::vector<double> constants;
};

// The distances themselves, and every kind of estimate.
void check_all_scores(Random& random, Matrix<std::uint8_t> codes, const Queries& queries,
                      const CandidateRows& candidates) {
  check_everywhere(codes, queries, candidates, nullptr);
  const Numbers numbers(random, queries.codes.n_rows, codes.n_rows);
  for (const Metric metric : kMetrics) {
    CAPTURE(static_cast<int>(metric));
    for (const std::size_t n_columns : Sizes{1, 2}) {
      CAPTURE(n_columns);
      const Estimate estimate = numbers.estimate(metric, n_columns);
      check_everywhere(codes, queries, candidates, &estimate);
    }
  }
}

TEST_CASE("codes of any length, candidates at the edges of a block") {
  Random random(1);
  for (const std::size_t n_bytes : Sizes{1, 2, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 96, 128, 130}) {
    CAPTURE(n_bytes);
    const auto codes = random.bytes(50 * n_bytes);
    const auto query_codes = random.bytes(3 * n_bytes);
    const auto ids = random.ids(50);
    const std::size_t largest = Sizes{31, 0, 1, 20, 7}.begin()[random.below(5)];
    CAPTURE(largest);
    const auto magnitudes = some_magnitudes(random, 3 * 8 * n_bytes, largest);
    const Queries queries = {matrix_of(query_codes, n_bytes), matrix_of(magnitudes, 8 * n_bytes)};
    for (const std::size_t n_candidates : Sizes{1, 63, 64, 65, 130}) {
      CAPTURE(n_candidates);
      const auto rows = some_rows(random, 3 * n_candidates, 50);
      const std::int64_t* of_case = random.below(2) == 0 ? nullptr : ids.data();
      const std::size_t k = 1 + random.below(n_candidates + 3);
      CAPTURE(k);
      check_all_scores(random, matrix_of(codes, n_bytes), queries,
                       {matrix_of(rows, n_candidates), of_case, k});
    }
  }
}

TEST_CASE("one query with many candidates, many queries with some") {
  Random random(2);
  const std::size_t n_bytes = 12;
  const auto codes = random.bytes(2000 * n_bytes);
  const auto ids = random.ids(2000);
  const auto query_codes = random.bytes(150 * n_bytes);
  const auto magnitudes = some_magnitudes(random, 150 * 8 * n_bytes, 31);
  Queries queries = {matrix_of(query_codes, n_bytes), matrix_of(magnitudes, 8 * n_bytes)};
  const auto rows = some_rows(random, 150 * 70, 2000);
  check_all_scores(random, matrix_of(codes, n_bytes), queries,
                   {matrix_of(rows, 70), ids.data(), 10});
  std::vector<std::int64_t> different(150 * 70);
  for (std::size_t i = 0; i < different.size(); ++i) {
    different[i] = static_cast<std::int64_t>(i * 7 % 2000);
  }
  const std::vector<Step> steps = {{4, 20}, {20, 70}};
  check_all_scores(random, matrix_of(codes, n_bytes), queries,
                   {matrix_of(different, 70), ids.data(), 18, steps});
  queries.codes.n_rows = 1;
  check_all_scores(random, matrix_of(codes, n_bytes), queries,
                   {matrix_of(rows, 150 * 70), nullptr, 300});
}

TEST_CASE("any strides") {
  Random random(3);
  const std::size_t n_bytes = 13;
  GuardedPages code_pages(40 * n_bytes);
  GuardedPages factor_pages(40 * 3 * 2);
  const auto query_codes = random.bytes(4 * 20);
  const auto magnitudes = some_magnitudes(random, 4 * 110, 31);
  const auto rows = some_rows(random, 4 * 30, 40);
  const Queries queries = {{query_codes.data() + 60, 4, n_bytes, -20},
                           {magnitudes.data() + 1, 4, 8 * n_bytes, 110}};
  const CandidateRows candidates = {{rows.data(), 4, 27, 30 * 8}, nullptr, 30};
  const Numbers numbers(random, 4, 60);
  for (const Side side : kSides) {
    std::uint8_t* codes = code_pages.place<std::uint8_t>(40 * n_bytes, side);
    random.fill(codes, 40 * n_bytes);
    // Two numbers in three a row, the last row without the third.
    auto* factors = factor_pages.place<std::uint16_t>(40 * 3 - 1, side);
    std::copy_n(numbers.factors.begin(), 40 * 3 - 1, factors);
    for (const Metric metric : kMetrics) {
      Estimate estimate = numbers.estimate(metric, 2);
      estimate.factors = Matrix<std::uint16_t>{factors, 40, 2, 6};
      const auto stride = static_cast<std::ptrdiff_t>(n_bytes);
      check_everywhere({codes, 40, n_bytes, stride}, queries, candidates, &estimate);
      check_everywhere({codes + 39 * n_bytes, 40, n_bytes, -stride}, queries, candidates, nullptr);
    }
  }
}

TEST_CASE("equal codes are ordered by their ids") {
  const std::vector<std::uint8_t> codes = {5, 5, 4, 5, 4};
  const std::vector<std::uint8_t> query = {4};
  const std::vector<std::uint8_t> magnitudes = {1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<std::int64_t> rows = {0, 1, 2, 3, 4};
  const std::vector<std::int64_t> ids = {9, 2, 8, 1, 7};
  const Queries queries = {matrix_of(query, 1), matrix_of(magnitudes, 8)};
  const Found found =
      check_everywhere(matrix_of(codes, 1), queries, {matrix_of(rows, 5), ids.data(), 6}, nullptr);
  CHECK(found.rows == std::vector<std::int64_t>{4, 2, 3, 1, 0, -1});
  CHECK(found.values == std::vector<float>{0, 0, 8, 8, 8, std::numeric_limits<float>::infinity()});
}

TEST_CASE("queries of zeros have no planes, and every distance is 0") {
  Random random(4);
  const auto codes = random.bytes(20 * 40);
  const auto query_codes = random.bytes(2 * 40);
  const std::vector<std::uint8_t> magnitudes(2 * 320);
  const auto rows = some_rows(random, 2 * 30, 20);
  const Queries queries = {matrix_of(query_codes, 40), matrix_of(magnitudes, 320)};
  check_all_scores(random, matrix_of(codes, 40), queries, {matrix_of(rows, 30), nullptr, 12});
}

TEST_CASE("no candidates, no codes, no queries, none wanted") {
  Random random(5);
  const auto codes = random.bytes(30);
  const auto query_codes = random.bytes(9);
  const auto magnitudes = some_magnitudes(random, 72, 31);
  const std::vector<std::int64_t> none(12, -1);
  const Matrix<std::uint8_t> no_codes = {codes.data(), 0, 3, 3};
  const Matrix<std::int64_t> no_columns = {none.data(), 3, 0, 0};
  const Matrix<std::int64_t> no_rows = {none.data(), 0, 4, 32};
  const auto all = matrix_of(codes, 3);
  const Queries asked = {matrix_of(query_codes, 3), matrix_of(magnitudes, 24)};
  const Queries no_queries = {{query_codes.data(), 0, 3, 3}, {magnitudes.data(), 0, 24, 24}};
  check_all_scores(random, all, asked, {matrix_of(none, 4), nullptr, 3});
  check_all_scores(random, no_codes, asked, {matrix_of(none, 4), nullptr, 3});
  check_all_scores(random, all, asked, {no_columns, nullptr, 3});
  check_all_scores(random, all, no_queries, {no_rows, nullptr, 3});
  check_all_scores(random, all, asked, {matrix_of(none, 4), nullptr, 0});
}

TEST_CASE("the largest distance is exact") {
  Random random(6);
  const std::size_t n_bytes = kMaxCodeBytes;
  const auto query = random.bytes(n_bytes);
  std::vector<std::uint8_t> magnitudes(8 * n_bytes, 31);
  std::vector<std::uint8_t> codes(3 * n_bytes);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    codes[i] = static_cast<std::uint8_t>(~query[i % n_bytes]);
  }
  codes[2 * n_bytes - 1] ^= 1;  // the last bit of the second code
  codes[2 * n_bytes] ^= 0x80;   // the first of the third
  const std::vector<std::int64_t> rows = {2, 1, 0};
  const Queries queries = {matrix_of(query, n_bytes), matrix_of(magnitudes, 8 * n_bytes)};
  const CandidateRows candidates = {matrix_of(rows, 3), nullptr, 3};
  Found found = check_everywhere(matrix_of(codes, n_bytes), queries, candidates, nullptr);
  const float largest = 65536 * 31;
  CHECK(found.values == std::vector<float>{largest - 31, largest - 31, largest});
  CHECK(found.rows == std::vector<std::int64_t>{1, 2, 0});
  magnitudes.back() = 1;
  found = check_everywhere(matrix_of(codes, n_bytes), queries, candidates, nullptr);
  CHECK(found.values == std::vector<float>{largest - 30 - 31, largest - 30 - 1, largest - 30});
  CHECK(found.rows == std::vector<std::int64_t>{2, 1, 0});
}

TEST_CASE("estimates by hand") {
  // Distances 3, 0 and 5; first factors 1, 0.5 and -2; second factors 8, -1 and 2.
  const std::vector<std::uint8_t> codes = {0b01000000, 0b11000000, 0b11100000};
  const std::vector<std::uint8_t> query = {0b11000000};
  const std::vector<std::uint8_t> magnitudes = {3, 2, 5, 1, 0, 0, 0, 0};
  const std::vector<std::uint16_t> factors = {0x3F80, 0x4100, 0x3F00, 0xBF80, 0xC000, 0x4000};
  const std::vector<std::int64_t> rows = {0, 1, 2};
  const double scale = 0.5;
  const double sum = 11;
  const double constant = 4;
  const Queries queries = {matrix_of(query, 1), matrix_of(magnitudes, 8)};
  const CandidateRows candidates = {matrix_of(rows, 3), nullptr, 3};
  Estimate estimate = {Metric::kDot, matrix_of(factors, 2), &scale, &sum, &constant};
  Found found = check_everywhere(matrix_of(codes, 1), queries, candidates, &estimate);
  // Products 2.5, 2.75 and -1.
  CHECK(found.values == std::vector<float>{14.5f, 5.75f, 5});
  CHECK(found.rows == std::vector<std::int64_t>{0, 1, 2});
  estimate.metric = Metric::kL2;
  found = check_everywhere(matrix_of(codes, 1), queries, candidates, &estimate);
  // Squares 63, less than 0, and 10.
  CHECK(found.values == std::vector<float>{0, std::sqrt(10.0f), std::sqrt(63.0f)});
  CHECK(found.rows == std::vector<std::int64_t>{1, 2, 0});
  estimate.metric = Metric::kCosine;
  estimate.factors = Matrix<std::uint16_t>{factors.data(), 3, 1, 4};
  found = check_everywhere(matrix_of(codes, 1), queries, candidates, &estimate);
  CHECK(found.values == std::vector<float>{6.75f, 6.5f, 3});
  CHECK(found.rows == std::vector<std::int64_t>{1, 0, 2});
}

TEST_CASE("factors that only a damaged file holds make no score a NaN") {
  Random random(7);
  const std::vector<std::uint16_t> special = {0x7F80, 0xFF80, 0x7FC0, 0xFFFF, 0x7F81,
                                              0x0000, 0x8000, 0x0001, 0x7F7F, 0xFF7F};
  const std::size_t n_codes = 100;
  const auto codes = random.bytes(n_codes * 6);
  const auto query_codes = random.bytes(3 * 6);
  const auto magnitudes = some_magnitudes(random, 3 * 48, 31);
  const auto rows = some_rows(random, 3 * 80, n_codes);
  const auto ids = random.ids(n_codes);
  const Queries queries = {matrix_of(query_codes, 6), matrix_of(magnitudes, 48)};
  const CandidateRows candidates = {matrix_of(rows, 80), ids.data(), 80};
  Numbers numbers(random, 3, n_codes);
  numbers.scales = {1, -1, 0};
  numbers.constants = {0, 1e300, -1};
  for (std::size_t i = 0; i < n_codes; ++i) {
    numbers.factors[2 * i] = special[i % 10];
    numbers.factors[2 * i + 1] = special[i / 10];
  }
  for (const Metric metric : kMetrics) {
    CAPTURE(static_cast<int>(metric));
    for (const std::size_t n_columns : Sizes{1, 2}) {
      const Estimate estimate = numbers.estimate(metric, n_columns);
      const Found found = check_everywhere(matrix_of(codes, 6), queries, candidates, &estimate);
      CHECK(std::none_of(found.values.begin(), found.values.end(),
                         [](float score) { return std::isnan(score); }));
    }
  }
}

TEST_CASE("no score is a negative zero") {
  const std::vector<std::uint8_t> codes = {0, 255};
  const std::vector<std::uint8_t> query = {0};
  const std::vector<std::uint8_t> magnitudes(8, 1);
  const std::vector<std::uint16_t> factors = {0x0000, 0x8000, 0x8000, 0x0000};
  const std::vector<std::int64_t> rows = {0, 1};
  for (const double zero : {0.0, -0.0}) {
    const double sum = 8;
    const Queries queries = {matrix_of(query, 1), matrix_of(magnitudes, 8)};
    for (const Metric metric : kMetrics) {
      const Estimate estimate = {metric, matrix_of(factors, 2), &zero, &sum, &zero};
      const Found found = check_everywhere(matrix_of(codes, 1), queries,
                                           {matrix_of(rows, 2), nullptr, 2}, &estimate);
      for (const float score : found.values) CHECK(std::bit_cast<std::uint32_t>(score) == 0);
    }
  }
}

}  // namespace
}  // namespace bitsift::test
