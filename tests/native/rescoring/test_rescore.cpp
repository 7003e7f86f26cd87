// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "helpers/divided.hpp"
#include "helpers/guarded_pages.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"
#include "rescoring/rescore.hpp"

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

// Calls body(originals) with the originals as segments.
template <class T, class Body>
void with_segments(Matrix<T> originals, const Body& body) {
  const SegmentTable<T> table = divided(Segments<T>(originals));
  body(Segments<T>(&table));
}
template <class Body>
void with_segments(IntegerVectors originals, const Body& body) {
  const SegmentTable<std::uint8_t> table = divided(originals.rows);
  originals.rows = Segments<std::uint8_t>(&table);
  body(originals);
}

// Every metric on every level and number of threads, of one matrix and of segments, against the
// reference.
template <class Originals>
void check_everywhere(const Originals& originals, Matrix<float> queries,
                      const CandidateRows& candidates) {
  for (const Metric metric : kMetrics) {
    CAPTURE(static_cast<int>(metric));
    const Found wanted = naive_rescore(metric, originals, queries, candidates);
    for (const Kernels* kernels : available_kernels()) {
      CAPTURE(kernels->name);
      for (const std::size_t n_threads : Sizes{1, 2, 7}) {
        CAPTURE(n_threads);
        const std::size_t n = queries.n_rows * candidates.k;
        Found found{std::vector<float>(n, -5), std::vector<std::int64_t>(n, -5)};
        rescore(*kernels, metric, originals, queries, candidates, n_threads, found.values.data(),
                found.rows.data());
        CHECK(same_bits(found, wanted));
        if (n_threads != 2) continue;
        with_segments(originals, [&](const auto& segments) {
          rescore(*kernels, metric, segments, queries, candidates, n_threads, found.values.data(),
                  found.rows.data());
          CHECK(same_bits(found, wanted));
        });
      }
    }
  }
}

std::vector<Half> halves(const std::vector<float>& values) {
  std::vector<Half> result;
  for (const float x : values) result.push_back(half_of(static_cast<double>(x)));
  return result;
}

// Different rows for each query, some of them none.
std::vector<std::int64_t> some_candidates(Random& random, std::size_t n_queries,
                                          std::size_t n_candidates, std::size_t n_rows) {
  std::vector<std::int64_t> result;
  for (std::size_t query = 0; query < n_queries; ++query) {
    const std::size_t first = random.below(n_rows);
    for (std::size_t i = 0; i < n_candidates; ++i) {
      const auto row = static_cast<std::int64_t>((first + 7 * i) % n_rows);
      result.push_back(random.below(9) == 0 ? -1 : row);
    }
  }
  return result;
}

TEST_CASE("many queries with many candidates") {
  Random random(1);
  const std::size_t n_rows = 1000;
  for (const std::size_t dim : Sizes{40, 384}) {
    CAPTURE(dim);
    const auto originals = random.floats(n_rows * dim);
    const auto originals_f16 = halves(originals);
    const auto queries = random.floats(23 * dim);
    const auto rows = some_candidates(random, 23, 40, n_rows);
    const auto ids = random.ids(n_rows);
    const auto query_matrix = matrix_of(queries, dim);
    const auto candidates = matrix_of(rows, 40);
    check_everywhere(matrix_of(originals, dim), query_matrix, {candidates, nullptr, 10});
    check_everywhere(matrix_of(originals, dim), query_matrix, {candidates, ids.data(), 50});
    check_everywhere(matrix_of(originals_f16, dim), query_matrix, {candidates, ids.data(), 10});
  }
}

TEST_CASE("one query with many candidates, equal vectors among them") {
  Random random(2);
  const std::size_t n_rows = 6000;
  const std::size_t dim = 33;
  auto originals = random.floats(n_rows * dim);
  for (std::size_t row = 0; row < n_rows; row += 2) {
    std::copy_n(originals.begin(), dim, originals.begin() + static_cast<std::ptrdiff_t>(row * dim));
  }
  const auto queries = random.floats(dim);
  std::vector<std::int64_t> rows(n_rows);
  for (std::size_t i = 0; i < n_rows; ++i) {
    rows[i] = static_cast<std::int64_t>(i * 7919 % n_rows);  // each once
  }
  const auto ids = random.ids(n_rows);
  for (const std::int64_t* of_case : {static_cast<const std::int64_t*>(nullptr), ids.data()}) {
    check_everywhere(matrix_of(originals, dim), matrix_of(queries, dim),
                     {matrix_of(rows, n_rows), of_case, 100});
  }
}

TEST_CASE("by steps: the best of more and more candidates, without those given before") {
  Random random(5);
  const std::size_t n_rows = 700;
  const std::size_t dim = 9;
  auto originals = random.floats(n_rows * dim);
  std::copy_n(originals.begin(), 300 * dim, originals.begin() + 300 * dim);  // ties
  const auto queries = random.floats(3 * dim);
  std::vector<std::int64_t> rows(3 * n_rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<std::int64_t>(i * 79 % n_rows);  // each once for each query
  }
  std::fill(rows.begin() + 650, rows.begin() + 700, -1);  // the first query has fewer
  const auto ids = random.ids(n_rows);
  const std::vector<Step> few = {{16, 60}};
  const std::vector<Step> some = {{16, 100}, {100, 600}};
  const std::vector<Step> all = {{1, 1}, {1, 2}, {5, 64}, {60, 65}, {200, 200}, {700, 700}};
  const std::vector<std::vector<Step>> each = {few, some, all};
  for (const auto& steps : each) {
    for (const std::size_t k : Sizes{0, 3, 17, 700}) {
      if (k > steps.back().n_results) continue;
      CAPTURE(k);
      for (const std::int64_t* of_case : {static_cast<const std::int64_t*>(nullptr), ids.data()}) {
        check_everywhere(matrix_of(originals, dim), matrix_of(queries, dim),
                         {matrix_of(rows, n_rows), of_case, k, steps});
      }
    }
  }
}

TEST_CASE("the score of each candidate, in their order") {
  Random random(9);
  constexpr std::size_t kRows = 500;
  constexpr std::size_t kDim = 21;
  constexpr std::size_t kQueries = 6;
  constexpr std::size_t kCandidates = 90;
  const auto values = random.floats(kRows * kDim);
  const auto queries = random.floats(kQueries * kDim);
  const auto rows = some_candidates(random, kQueries, kCandidates, kRows);
  std::vector<float> each;  // of a query for each candidate
  for (std::size_t query = 0; query < kQueries; ++query) {
    for (std::size_t i = 0; i < kCandidates; ++i) {
      const auto first = queries.begin() + static_cast<std::ptrdiff_t>(query * kDim);
      each.insert(each.end(), first, first + kDim);
    }
  }
  for (const Metric metric : kMetrics) {
    const Found wanted = naive_rescore(metric, matrix_of(values, kDim), matrix_of(each, kDim),
                                       {matrix_of(rows, 1), nullptr, 1});
    for (const Kernels* kernels : available_kernels()) {
      for (const std::size_t n_threads : Sizes{1, 3}) {
        Found found{std::vector<float>(rows.size(), -5), std::vector<std::int64_t>(rows.size())};
        CandidateRows candidates = {matrix_of(rows, kCandidates), nullptr, kCandidates};
        candidates.keep_order = true;
        rescore(*kernels, metric, Segments<float>(matrix_of(values, kDim)),
                matrix_of(queries, kDim), candidates, n_threads, found.values.data(),
                found.rows.data());
        CHECK(same_bits(found, wanted));
      }
    }
  }
}

TEST_CASE("no candidates, no originals, no queries, none wanted") {
  Random random(3);
  const auto originals = random.floats(30);
  const auto queries = random.floats(15);
  const std::vector<std::int64_t> none(12, -1);
  const Matrix<float> no_originals = {originals.data(), 0, 5, 20};
  const Matrix<float> no_queries = {queries.data(), 0, 5, 20};
  const Matrix<std::int64_t> no_columns = {none.data(), 3, 0, 0};
  const Matrix<std::int64_t> no_rows = {none.data(), 0, 4, 32};
  const auto all = matrix_of(originals, 5);
  const auto asked = matrix_of(queries, 5);
  check_everywhere(all, asked, {matrix_of(none, 4), nullptr, 3});
  check_everywhere(no_originals, asked, {matrix_of(none, 4), nullptr, 3});
  check_everywhere(all, asked, {no_columns, nullptr, 3});
  check_everywhere(all, no_queries, {no_rows, nullptr, 3});
  check_everywhere(all, asked, {matrix_of(none, 4), nullptr, 0});
}

TEST_CASE("vectors that only a damaged file holds come last") {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> originals = {1, 2, nan, 1, infinity, -infinity, 3, 4, -1, nan};
  const std::vector<float> queries = {1, 1, 0, 0};
  const std::vector<std::int64_t> rows = {0, 1, 2, 3, 4, 4, 3, 2, 1, 0};
  check_everywhere(matrix_of(originals, 2), matrix_of(queries, 2),
                   {matrix_of(rows, 5), nullptr, 5});
  std::vector<float> scores(10);
  std::vector<std::int64_t> found(10);
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    rescore(*kernels, Metric::kDot, matrix_of(originals, 2), matrix_of(queries, 2),
            {matrix_of(rows, 5), nullptr, 5}, 1, scores.data(), found.data());
    // inf - inf is NaN, too.
    CHECK(std::vector(found.begin(), found.begin() + 5) ==
          std::vector<std::int64_t>{3, 0, 1, 2, 4});
    CHECK(scores[2] == -infinity);
  }
}

TEST_CASE("no score is a negative zero") {
  const std::vector<float> originals = {0, 0, -0.0f, -0.0f, 1, -1};
  const std::vector<float> queries = {1, 1, -0.0f, 0, 0, 0};
  const std::vector<std::int64_t> rows = {0, 1, 2, 2, 1, 0, 1, 2, 0};
  check_everywhere(matrix_of(originals, 2), matrix_of(queries, 2),
                   {matrix_of(rows, 3), nullptr, 3});
}

constexpr IntegerType kIntegerTypes[] = {IntegerType::kInt8, IntegerType::kUint8,
                                         IntegerType::kInt4, IntegerType::kTernary};

// Any bytes unpack to integers, including those of a damaged file.
struct SomeIntegers {
  SomeIntegers(Random& random, IntegerType of_type, std::size_t n_rows, std::size_t n_dims,
               std::size_t padding)
      : type(of_type), dim(n_dims), row_bytes(bytes_for(type, dim)), stride(row_bytes + padding) {
    bytes = random.bytes(n_rows * stride);
    for (std::size_t i = 0; i < dim; ++i) {
      base.push_back(random.value());
      step.push_back(0.01 + random.value() * random.value());
    }
  }

  IntegerVectors vectors() const {
    const Matrix<std::uint8_t> rows = {bytes.data(), bytes.size() / stride, row_bytes,
                                       static_cast<std::ptrdiff_t>(stride)};
    return {rows, type, dim, {base.data(), step.data()}};
  }
  IntegerVectors backwards() const {
    IntegerVectors result = vectors();
    const std::size_t n_rows = result.rows.n_rows();
    Matrix<std::uint8_t> rows = result.rows.matrix(0, n_rows);
    rows.data = rows.row(n_rows - 1);
    rows.stride = -rows.stride;
    result.rows = rows;
    return result;
  }

  IntegerType type;
  std::size_t dim;
  std::size_t row_bytes;
  std::size_t stride;
  std::vector<std::uint8_t> bytes;
  std::vector<double> base;
  std::vector<double> step;
};

TEST_CASE("integers of every type, of any number") {
  Random random(4);
  std::vector<std::size_t> dims;
  for (std::size_t n = 1; n <= 100; ++n) dims.push_back(n);
  for (const std::size_t n : Sizes{127, 128, 129, 384, 1001, 1024}) dims.push_back(n);
  for (const IntegerType type : kIntegerTypes) {
    CAPTURE(static_cast<int>(type));
    for (const std::size_t dim : dims) {
      CAPTURE(dim);
      const SomeIntegers originals(random, type, 20, dim, random.below(3));
      const auto queries = random.floats(2 * dim);
      const auto rows = some_candidates(random, 2, 11, 20);
      const auto ids = random.ids(20);
      // Fewer than there are, and more.
      check_everywhere(originals.vectors(), matrix_of(queries, dim),
                       {matrix_of(rows, 11), ids.data(), 1 + random.below(8)});
      check_everywhere(originals.backwards(), matrix_of(queries, dim),
                       {matrix_of(rows, 11), nullptr, 13});
    }
  }
}

TEST_CASE("integers split among threads, with equal vectors") {
  Random random(5);
  for (const IntegerType type : kIntegerTypes) {
    CAPTURE(static_cast<int>(type));
    SomeIntegers originals(random, type, 700, 384, 0);
    const std::size_t stride = originals.stride;
    for (std::size_t row = 0; row < 700; row += 3) {
      std::copy_n(originals.bytes.begin(), stride,
                  originals.bytes.begin() + static_cast<std::ptrdiff_t>(row * stride));
    }
    const auto queries = random.floats(40 * 384);
    const auto ids = random.ids(700);
    const auto rows = some_candidates(random, 40, 150, 700);
    check_everywhere(originals.vectors(), matrix_of(queries, 384),
                     {matrix_of(rows, 150), ids.data(), 60});
    Matrix<float> one_query = matrix_of(queries, 384);
    one_query.n_rows = 1;
    check_everywhere(originals.vectors(), one_query, {matrix_of(rows, 40 * 150), nullptr, 100});
  }
}

TEST_CASE("nothing is read beyond the integers and their scale") {
  Random random(6);
  const std::size_t n_rows = 9;
  GuardedPages byte_pages(n_rows * 131);
  GuardedPages base_pages(131 * sizeof(double));
  GuardedPages step_pages(131 * sizeof(double));
  for (const IntegerType type : kIntegerTypes) {
    CAPTURE(static_cast<int>(type));
    for (const std::size_t dim : Sizes{1, 2, 3, 5, 6, 16, 17, 31, 33, 64, 131}) {
      CAPTURE(dim);
      const SomeIntegers integers(random, type, n_rows, dim, 0);
      const auto queries = random.floats(dim);
      const auto rows = some_candidates(random, 1, 20, n_rows);
      for (const Side side : kSides) {
        IntegerVectors originals = integers.vectors();
        auto* bytes = byte_pages.place<std::uint8_t>(integers.bytes.size(), side);
        auto* base = base_pages.place<double>(dim, side);
        auto* step = step_pages.place<double>(dim, side);
        std::copy(integers.bytes.begin(), integers.bytes.end(), bytes);
        std::copy(integers.base.begin(), integers.base.end(), base);
        std::copy(integers.step.begin(), integers.step.end(), step);
        Matrix<std::uint8_t> placed = originals.rows.matrix(0, originals.rows.n_rows());
        placed.data = bytes;
        originals.rows = placed;
        originals.scale = {base, step};
        check_everywhere(originals, matrix_of(queries, dim), {matrix_of(rows, 20), nullptr, 9});
      }
    }
  }
}

TEST_CASE("scales that give zeros, very large values and NaN") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  Random random(7);
  for (const IntegerType type : kIntegerTypes) {
    CAPTURE(static_cast<int>(type));
    SomeIntegers originals(random, type, 12, 7, 0);
    const auto queries = random.floats(2 * 7);
    const auto rows = some_candidates(random, 2, 15, 12);
    for (const double base : {0.0, -0.0, 1e300, kInfinity, kNan}) {
      CAPTURE(base);
      for (const double step : {0.0, -0.0, 1e200}) {
        CAPTURE(step);
        originals.base.assign(7, base);
        originals.step.assign(7, step);
        check_everywhere(originals.vectors(), matrix_of(queries, 7),
                         {matrix_of(rows, 15), nullptr, 15});
      }
    }
  }
}

TEST_CASE("no integers, no queries, none wanted") {
  Random random(8);
  const auto queries = random.floats(15);
  const std::vector<std::int64_t> none(12, -1);
  const Matrix<float> no_queries = {queries.data(), 0, 5, 20};
  const Matrix<std::int64_t> no_columns = {none.data(), 3, 0, 0};
  const Matrix<std::int64_t> no_rows = {none.data(), 0, 4, 32};
  const auto asked = matrix_of(queries, 5);
  for (const IntegerType type : kIntegerTypes) {
    const SomeIntegers some(random, type, 6, 5, 0);
    IntegerVectors nothing = some.vectors();
    nothing.rows = nothing.rows.part(0, 0);
    check_everywhere(some.vectors(), asked, {matrix_of(none, 4), nullptr, 3});
    check_everywhere(nothing, asked, {matrix_of(none, 4), nullptr, 3});
    check_everywhere(some.vectors(), asked, {no_columns, nullptr, 3});
    check_everywhere(some.vectors(), no_queries, {no_rows, nullptr, 3});
    check_everywhere(some.vectors(), asked, {matrix_of(none, 4), nullptr, 0});
  }
}

}  // namespace
}  // namespace bitsift::test
