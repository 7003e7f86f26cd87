// SPDX-License-Identifier: Apache-2.0
// A scan of segments finds what a scan of the same rows in one matrix finds, for every division,
// instruction set, method, batch, mask and number of threads.
#include <doctest/doctest.h>

#include <optional>
#include <vector>

#include "base/row_set.hpp"
#include "base/segments.hpp"
#include "helpers/levels.hpp"
#include "helpers/random.hpp"
#include "helpers/scan_methods.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"
#include "search/joint_scan.hpp"
#include "search/scan.hpp"
#include "search/shared_scan.hpp"

namespace bitsift::test {
namespace {

using Found = Results<std::int32_t>;

// Rows of a matrix, divided; each segment has memory of its own, and a stride of its own.
class Divided {
 public:
  Divided(Matrix<std::uint8_t> codes, const std::vector<std::size_t>& sizes) {
    std::vector<Matrix<std::uint8_t>> segments;
    std::size_t row = 0;
    for (const std::size_t size : sizes) {
      const std::size_t stride = codes.n_columns + segments.size() % 3;
      std::vector<std::uint8_t>& memory =
          memory_.emplace_back(size * stride + 1, std::uint8_t{0xA5});
      for (std::size_t i = 0; i < size; ++i, ++row) {
        std::copy_n(codes.row(row), codes.n_columns, memory.data() + i * stride);
      }
      segments.push_back({.data = memory.data(),
                          .n_rows = size,
                          .n_columns = codes.n_columns,
                          .stride = static_cast<std::ptrdiff_t>(stride)});
    }
    REQUIRE(row == codes.n_rows);
    table_.emplace(std::move(segments));
  }

  Segments<std::uint8_t> rows() const { return Segments<std::uint8_t>(&*table_); }

 private:
  std::vector<std::vector<std::uint8_t>> memory_;
  std::optional<SegmentTable<std::uint8_t>> table_;
};

SegmentTable<std::int64_t> divided_ids(const std::vector<std::int64_t>& ids,
                                       const std::vector<std::size_t>& sizes) {
  std::vector<Matrix<std::int64_t>> segments;
  std::size_t row = 0;
  for (const std::size_t size : sizes) {
    segments.push_back(
        {.data = ids.data() + row, .n_rows = size, .n_columns = 1, .stride = sizeof(std::int64_t)});
    row += size;
  }
  return SegmentTable<std::int64_t>(std::move(segments));
}

std::vector<std::vector<std::size_t>> divisions(std::size_t n) {
  std::vector<std::vector<std::size_t>> result = {
      {n}, {0, n, 0}, {n - 1, 1}, {1, n - 1}, {n / 2, n - n / 2},
  };
  std::vector<std::size_t> uneven;  // 1, 2, 3, ... rows, and some segments without any
  std::size_t n_left = n;
  for (std::size_t size = 1; n_left > 0; ++size) {
    uneven.push_back(std::min(size, n_left));
    n_left -= uneven.back();
    if (size % 7 == 0) uneven.push_back(0);
  }
  result.push_back(uneven);
  result.emplace_back(n / 100, 100);
  if (n % 100 != 0) result.back().push_back(n % 100);
  return result;
}

Found search_with(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                  const Queries& queries, const ScanOptions& options) {
  const std::size_t n = queries.codes.n_rows * options.k;
  Found found{std::vector<std::int32_t>(n, -5), std::vector<std::int64_t>(n, -5)};
  CHECK(scan(kernels, codes, queries, options, found.values.data(), found.rows.data()) ==
        codes.n_rows());
  return found;
}

struct Case {
  std::size_t n_rows;
  std::size_t n_bytes;
  std::size_t k;
  std::vector<std::size_t> batches;
  bool weighted = false;
};

void check_everywhere(Random& random, const Case& one) {
  CAPTURE(one.n_rows);
  CAPTURE(one.n_bytes);
  const std::size_t n_queries = one.batches.back();
  const auto codes = random.bytes(one.n_rows * one.n_bytes);
  const auto query_codes = random.bytes(n_queries * one.n_bytes);
  std::vector<std::uint8_t> magnitudes(one.weighted ? n_queries * 8 * one.n_bytes : 0);
  for (auto& m : magnitudes) m = static_cast<std::uint8_t>(random.below(32));
  const auto ids = random.ids(one.n_rows);
  std::vector<std::uint8_t> taking_part(one.n_rows);
  for (auto& value : taking_part) value = random.below(3) != 0;
  const RowSet set = RowSet::of_values(taking_part.data(), one.n_rows);
  const auto joined = matrix_of(codes, one.n_bytes);
  Queries queries = {matrix_of(query_codes, one.n_bytes)};
  if (one.weighted) queries.magnitudes = matrix_of(magnitudes, 8 * one.n_bytes);
  const Kernels& first = *tested_kernels().front();
  for (const bool with_ids : {false, true}) {
    for (const bool masked : {false, true}) {
      CAPTURE(with_ids);
      CAPTURE(masked);
      ScanOptions options = {.k = one.k};
      if (with_ids) options.ids = ids.data();
      if (masked) options.mask = set.mask();
      const Found wanted = search_with(first, joined, queries, options);
      if (!masked) {
        REQUIRE(wanted == naive_search(joined, queries, with_ids ? ids.data() : nullptr, one.k));
      }
      for (const auto& sizes : divisions(one.n_rows)) {
        CAPTURE(sizes.size());
        const Divided divided(joined, sizes);
        const auto tied = divided_ids(ids, sizes);
        if (with_ids) options.ids = RowIds(&tied);
        for (const Kernels* kernels : tested_kernels()) {
          CAPTURE(kernels->name);
          for (const std::optional<ScanMethod> method : scan_methods(*kernels)) {
            options.method = method;
            for (const std::size_t batch : one.batches) {
              for (const std::size_t n_threads : Sizes{1, 3}) {
                options.n_threads = n_threads;
                CHECK(search_with(*kernels, divided.rows(), queries.part(0, batch), options) ==
                      wanted.part(0, batch, one.k));
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("rows of one matrix and of its segments") {
  Random random(1);
  for (const std::size_t n_bytes : Sizes{1, 8, 13}) {
    check_everywhere(random, {.n_rows = 1'201, .n_bytes = n_bytes, .k = 10, .batches = {1, 2, 33}});
  }
  check_everywhere(random, {.n_rows = 700, .n_bytes = 96, .k = 10, .batches = {1, 9}});
  check_everywhere(random, {.n_rows = 1, .n_bytes = 5, .k = 3, .batches = {1, 4}});
}

TEST_CASE("queries with magnitudes") {
  Random random(2);
  check_everywhere(random,
                   {.n_rows = 900, .n_bytes = 24, .k = 7, .batches = {1, 17}, .weighted = true});
}

TEST_CASE("many results begin with a sample of all segments") {
  Random random(3);
  check_everywhere(random, {.n_rows = 20'011, .n_bytes = 4, .k = 120, .batches = {40}});
}

TEST_CASE("a part of the segments, and where each ends") {
  Random random(4);
  const auto codes = random.bytes(100 * 3);
  const auto joined = matrix_of(codes, 3);
  const Divided divided(joined, {10, 0, 60, 30});
  const auto rows = divided.rows();
  CHECK(rows.n_rows() == 100);
  CHECK(rows.n_columns() == 3);
  CHECK(rows.end_of(9) == 10);
  CHECK(rows.end_of(10) == 70);
  CHECK(rows.end_of(99) == 100);
  const auto part = rows.part(5, 80).part(3, 75);
  CHECK(part.n_rows() == 72);
  CHECK(part.end_of(0) == 2);
  CHECK(part.end_of(2) == 62);
  CHECK(part.end_of(62) == 72);
  for (std::size_t row = 0; row < 72; ++row) {
    CHECK(std::equal(part.row(row), part.row(row) + 3, joined.row(row + 8)));
  }
  CHECK(part.is_same_as(rows.part(8, 80)));
  CHECK(!part.is_same_as(rows.part(8, 79)));
}

TEST_CASE("callers who join a scan of segments") {
  Random random(5);
  constexpr std::size_t kRows = 6'000;
  constexpr std::size_t kBytes = 16;
  constexpr std::size_t kResults = 5;
  const auto codes = random.bytes(kRows * kBytes);
  const auto query_codes = random.bytes(2 * kBytes);
  const auto ids = random.ids(kRows);
  const auto joined = matrix_of(codes, kBytes);
  const Queries queries = {matrix_of(query_codes, kBytes)};
  for (const auto& sizes : divisions(kRows)) {
    const Divided divided(joined, sizes);
    const auto tied = divided_ids(ids, sizes);
    const Found wanted = naive_search(joined, queries, ids.data(), kResults);
    for (const bool others_wait : {false, true}) {
      Found found[2];
      JointScan together;
      const std::atomic<bool> waiting{others_wait};
      std::vector<ScanTask> tasks;
      std::vector<std::size_t> places;
      for (std::size_t i = 0; i < 2; ++i) {
        found[i] = {std::vector<std::int32_t>(kResults), std::vector<std::int64_t>(kResults)};
        ScanOptions options = {.k = kResults, .ids = RowIds(&tied)};
        tasks.push_back({tested_kernels().front(), divided.rows(), queries.part(i, i + 1), options,
                         found[i].values.data(), found[i].rows.data()});
      }
      places.push_back(together.add(tasks[0]));
      bool is_done = together.scan(&waiting);
      if (is_done) {
        together = {};
        places = {together.add(tasks[0])};
      }
      places.push_back(together.add(tasks[1]));
      while (!together.scan(nullptr)) {
      }
      for (std::size_t i = 0; i < 2; ++i) {
        together.copy_results(places[i], tasks[i]);
        CHECK(found[i] == wanted.part(i, i + 1, kResults));
      }
    }
  }
}

TEST_CASE("a shared scan takes segments") {
  Random random(6);
  constexpr std::size_t kRows = 90'000;
  const auto codes = random.bytes(kRows * 64);
  const auto queries = random.bytes(std::size_t{2} * 64);
  const Divided divided(matrix_of(codes, 64), {kRows / 3, 1, kRows - kRows / 3 - 1});
  Found found{std::vector<std::int32_t>(40), std::vector<std::int64_t>(40)};
  shared_scan(*tested_kernels().front(), divided.rows(), {matrix_of(queries, 64)},
              {.k = 20, .n_threads = 1000}, found.values.data(), found.rows.data());
  CHECK(found == naive_search(matrix_of(codes, 64), {matrix_of(queries, 64)}, nullptr, 20));
}

}  // namespace
}  // namespace bitsift::test
