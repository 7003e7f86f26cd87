// SPDX-License-Identifier: Apache-2.0
// Scans that begin with a sample of the rows.
#include "search/sample.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "helpers/levels.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "oracle/naive.hpp"
#include "search/scan.hpp"

namespace bitsift::test {
namespace {

constexpr std::size_t kBytes = 8;

using Found = Results<std::int32_t>;

void check_scan(const std::vector<std::uint8_t>& codes, const std::vector<std::uint8_t>& queries,
                const std::int64_t* ids, std::size_t k) {
  const Matrix<std::uint8_t> rows = matrix_of(codes, kBytes);
  const Queries wanted = {matrix_of(queries, kBytes)};
  REQUIRE(worthwhile_sample(rows.n_rows, k, wanted.codes.n_rows));
  const Found expected = naive_search(rows, wanted, ids, k);
  for (const Kernels* kernels : tested_kernels()) {
    CAPTURE(kernels->name);
    for (const std::size_t n_threads : Sizes{1, 2, 7}) {
      CAPTURE(n_threads);
      const std::size_t n = wanted.codes.n_rows * k;
      Found found{std::vector<std::int32_t>(n, -5), std::vector<std::int64_t>(n, -5)};
      scan(*kernels, rows, wanted, {.k = k, .ids = ids, .n_threads = n_threads},
           found.values.data(), found.rows.data());
      CHECK(found == expected);
    }
  }
}

TEST_CASE("a sample lies within the rows and is a small part of them") {
  for (const std::size_t n_rows : Sizes{1, 100, 1000, 4097, 1000000, std::size_t{1} << 40}) {
    for (const std::size_t k : Sizes{1, 24, 32, 100, 1000, 65536, n_rows}) {
      for (const std::size_t n_queries : Sizes{1, 15, 16, 256}) {
        const std::optional<Sample> sample = worthwhile_sample(n_rows, k, n_queries);
        if (!sample) continue;
        CHECK((sample->n_rows - 1) * sample->step < n_rows);
        CHECK(sample->n_rows <= n_rows / 8);
        CHECK(sample->rank >= 1);
        CHECK(2 * sample->rank <= sample->n_rows);
        CHECK(sample->rank < k);
      }
    }
  }
}

TEST_CASE("random rows") {
  Random random(1);
  const auto codes = random.bytes(20000 * kBytes);
  const auto queries = random.bytes(33 * kBytes);
  check_scan(codes, queries, nullptr, 100);
  check_scan(codes, queries, random.ids(20000).data(), 1000);
}

// The sample's limit then admits fewer than k rows.
TEST_CASE("near rows that the sample finds, and no others") {
  constexpr std::size_t kRows = 20000;
  constexpr std::size_t kResults = 100;
  Random random(2);
  const auto queries = random.bytes(20 * kBytes);
  const Sample sample = worthwhile_sample(kRows, kResults, 20).value();
  for (const std::vector<std::size_t>& misled :
       std::vector<std::vector<std::size_t>>{{0}, {19}, {3, 11}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}) {
    auto codes = random.bytes(kRows * kBytes);
    for (std::size_t i = 0; i < misled.size(); ++i) {
      for (std::size_t n = 0; n < sample.rank; ++n) {
        const std::size_t row = (i + n * misled.size()) * sample.step;
        for (std::size_t byte = 0; byte < kBytes; ++byte) {
          codes[row * kBytes + byte] = queries[misled[i] * kBytes + byte];
        }
      }
    }
    check_scan(codes, queries, nullptr, kResults);
    check_scan(codes, queries, random.ids(kRows).data(), kResults);
  }
}

TEST_CASE("all rows are the same") {
  const std::vector<std::uint8_t> codes(20000 * kBytes, 0x55);
  const std::vector<std::uint8_t> queries(16 * kBytes, 0x33);
  check_scan(codes, queries, nullptr, 100);
  check_scan(codes, queries, nullptr, 2500);
}

}  // namespace
}  // namespace bitsift::test
