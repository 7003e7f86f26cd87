// SPDX-License-Identifier: Apache-2.0
// A scan of the rows of a mask finds what a scan of these rows alone finds, for every share of
// rows, instruction set, method, batch and number of threads.
#include <doctest/doctest.h>

#include <optional>
#include <vector>

#include "base/row_set.hpp"
#include "helpers/levels.hpp"
#include "helpers/random.hpp"
#include "helpers/scan_methods.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"
#include "search/scan.hpp"
#include "search/shared_scan.hpp"

namespace bitsift::test {
namespace {

using Found = Results<std::int32_t>;

Found search_with(const Kernels& kernels, Matrix<std::uint8_t> codes, const Queries& queries,
                  const ScanOptions& options) {
  const std::size_t n = queries.codes.n_rows * options.k;
  Found found{std::vector<std::int32_t>(n, -5), std::vector<std::int64_t>(n, -5)};
  scan(kernels, codes, queries, options, found.values.data(), found.rows.data());
  return found;
}

// The rows of the set, one behind the other, searched alone.
Found naive_masked(Matrix<std::uint8_t> codes, const RowSet& set, std::size_t first_in_set,
                   const Queries& queries, const std::int64_t* ids, std::size_t k) {
  std::vector<std::uint8_t> bytes;
  std::vector<std::int64_t> numbers;
  std::vector<std::int64_t> some_ids;
  for (std::size_t row = 0; row < codes.n_rows; ++row) {
    if (!set.contains(first_in_set + row)) continue;
    bytes.insert(bytes.end(), codes.row(row), codes.row(row) + codes.n_columns);
    numbers.push_back(static_cast<std::int64_t>(row));
    some_ids.push_back(ids == nullptr ? numbers.back() : ids[row]);
  }
  Found found = naive_search(matrix_of(bytes, codes.n_columns), queries, some_ids.data(), k);
  for (auto& row : found.rows) {
    if (row >= 0) row = numbers[static_cast<std::size_t>(row)];
  }
  return found;
}

enum class Shape { kRandom, kOneRange, kOnePage };

RowSet rows_taking_part(Random& random, std::size_t n, double share, Shape shape) {
  std::vector<std::uint8_t> values(n);
  const auto n_in = static_cast<std::size_t>(share * static_cast<double>(n));
  for (std::size_t row = 0; row < n; ++row) {
    switch (shape) {
      case Shape::kRandom:
        values[row] = static_cast<double>(random.below(10'000)) < share * 10'000;
        break;
      case Shape::kOneRange:
        values[row] = n / 3 <= row && row < n / 3 + n_in;
        break;
      case Shape::kOnePage:
        values[row] = row % kPageRows < n_in;
        break;
    }
  }
  return RowSet::of_values(values.data(), n);
}

void check_everywhere(Matrix<std::uint8_t> codes, const RowSet& set, std::size_t first_in_set,
                      Queries queries, const std::int64_t* ids, std::size_t k,
                      const std::vector<std::size_t>& batches) {
  const Found wanted = naive_masked(codes, set, first_in_set, queries, ids, k);
  for (const Kernels* kernels : tested_kernels()) {
    CAPTURE(kernels->name);
    for (const std::optional<ScanMethod> method : scan_methods(*kernels)) {
      for (const std::size_t batch : batches) {
        CAPTURE(batch);
        queries.codes.n_rows = batch;
        for (const std::size_t n_threads : Sizes{1, 3}) {
          ScanOptions options = {k, ids, n_threads, method};
          options.mask = set.mask();
          options.first_row = first_in_set;
          CHECK(search_with(*kernels, codes, queries, options) == wanted.part(0, batch, k));
        }
      }
    }
  }
}

TEST_CASE("any share of the rows") {
  Random random(1);
  constexpr std::size_t kRows = 70'000;
  const auto codes = random.bytes(kRows * 8);
  const auto queries = random.bytes(std::size_t{17} * 8);
  const auto ids = random.ids(kRows);
  for (const double share : {0., .0001, .01, .3, .5, .8, 1.}) {
    CAPTURE(share);
    const Shape shape = share == .3   ? Shape::kOneRange
                        : share == .8 ? Shape::kOnePage
                                      : Shape::kRandom;
    const RowSet some = rows_taking_part(random, kRows, share, shape);
    check_everywhere(matrix_of(codes, 8), some, 0, {matrix_of(queries, 8)}, nullptr, 10, {1, 17});
    const RowSet set = rows_taking_part(random, kRows, share, Shape::kRandom);
    check_everywhere(matrix_of(codes, 8), set, 0, {matrix_of(queries, 8)}, ids.data(), 100, {2});
  }
}

TEST_CASE("queries with magnitudes, and codes that begin amid the mask") {
  Random random(2);
  constexpr std::size_t kRows = 5'000;
  constexpr std::size_t kFirst = kPageRows - 1'003;
  for (const std::size_t n_bytes : Sizes{1, 13, 96}) {
    const auto codes = random.bytes(kRows * n_bytes);
    const auto query_codes = random.bytes(5 * n_bytes);
    std::vector<std::uint8_t> magnitudes(5 * 8 * n_bytes);
    for (auto& m : magnitudes) m = static_cast<std::uint8_t>(random.below(32));
    const Queries queries = {matrix_of(query_codes, n_bytes), matrix_of(magnitudes, 8 * n_bytes)};
    for (const double share : {.02, .4, .9}) {
      const RowSet set = rows_taking_part(random, kFirst + kRows + 77, share, Shape::kRandom);
      check_everywhere(matrix_of(codes, n_bytes), set, kFirst, queries, nullptr, 10, {1, 5});
    }
  }
}

TEST_CASE("many results of many queries begin with a sample") {
  Random random(3);
  constexpr std::size_t kRows = 30'000;
  const auto codes = random.bytes(kRows * 16);
  const auto queries = random.bytes(std::size_t{40} * 16);
  for (const double share : {.05, .5, .95}) {
    const RowSet set = rows_taking_part(random, kRows, share, Shape::kRandom);
    check_everywhere(matrix_of(codes, 16), set, 0, {matrix_of(queries, 16)}, nullptr, 120, {40});
  }
}

TEST_CASE("more results than rows that take part") {
  Random random(4);
  const auto codes = random.bytes(1'000 * 4);
  const auto queries = random.bytes(std::size_t{20} * 4);
  const RowSet set = rows_taking_part(random, 1'000, .05, Shape::kRandom);
  check_everywhere(matrix_of(codes, 4), set, 0, {matrix_of(queries, 4)}, nullptr, 200, {1, 20});
}

TEST_CASE("a shared scan takes the mask") {
  Random random(5);
  constexpr std::size_t kRows = 90'000;
  const auto codes = random.bytes(kRows * 64);
  const auto queries = random.bytes(std::size_t{2} * 64);
  const RowSet set = rows_taking_part(random, kRows, .3, Shape::kRandom);
  ScanOptions options = {.k = 20, .n_threads = 1000};
  options.mask = set.mask();
  Found found{std::vector<std::int32_t>(40), std::vector<std::int64_t>(40)};
  shared_scan(*tested_kernels().front(), matrix_of(codes, 64), {matrix_of(queries, 64)}, options,
              found.values.data(), found.rows.data());
  CHECK(found == naive_masked(matrix_of(codes, 64), set, 0, {matrix_of(queries, 64)}, nullptr, 20));
}

}  // namespace
}  // namespace bitsift::test
