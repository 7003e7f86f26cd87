// SPDX-License-Identifier: Apache-2.0
// A range scan finds what comparing every pair finds, for every radius, instruction set, method,
// batch, mask, division into segments and number of threads; counts and parts agree with it.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "base/row_set.hpp"
#include "helpers/divided.hpp"
#include "helpers/levels.hpp"
#include "helpers/polled_call.hpp"
#include "helpers/random.hpp"
#include "helpers/scan_methods.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"
#include "search/range_scan.hpp"

namespace bitsift::test {
namespace {

using Limits = std::vector<std::int64_t>;
using Pairs = std::vector<std::pair<std::int32_t, std::int64_t>>;  // (distance, row)

std::vector<Pairs> plain(const FoundRows& found) {
  std::vector<Pairs> pairs;
  for (const auto& neighbors : found) {
    Pairs& some = pairs.emplace_back();
    for (const Neighbor one : neighbors) some.emplace_back(one.distance(), one.row());
  }
  return pairs;
}

// Of rows [0, n_rows) of the set.
std::vector<Pairs> naive_range(Matrix<std::uint8_t> codes, const RowSet& set, std::size_t first,
                               const Queries& queries, const Limits& limits,
                               const std::int64_t* ids, std::size_t n_rows) {
  std::vector<Pairs> found;
  for (std::size_t query = 0; query < queries.codes.n_rows; ++query) {
    Pairs& some = found.emplace_back();
    for (std::size_t row = 0; row < n_rows; ++row) {
      if (!set.contains(first + row)) continue;
      const std::int32_t distance =
          queries.weighted()
              ? naive_weighted_distance(queries.codes.row(query), queries.magnitudes.row(query),
                                        codes.row(row), codes.n_columns)
              : naive_distance(queries.codes.row(query), codes.row(row), codes.n_columns);
      if (distance <= limits[query]) some.emplace_back(distance, row);
    }
    std::sort(some.begin(), some.end(), [ids](const auto& a, const auto& b) {
      if (a.first != b.first || ids == nullptr) return a < b;
      return ids[a.second] < ids[b.second];
    });
  }
  return found;
}

std::size_t n_of(const std::vector<Pairs>& found) {
  std::size_t n = 0;
  for (const Pairs& some : found) n += some.size();
  return n;
}

struct Case {
  std::size_t n_rows;
  std::size_t n_bytes;
  std::size_t n_queries;
  Limits limits;
  bool weighted = false;
  double share = 1;
  std::size_t first = 0;  // of the codes in the mask
};

void check_everywhere(Random& random, const Case& one) {
  CAPTURE(one.n_rows);
  CAPTURE(one.n_bytes);
  CAPTURE(one.n_queries);
  const auto bytes = random.bytes(one.n_rows * one.n_bytes);
  Matrix<std::uint8_t> codes = matrix_of(bytes, one.n_bytes);
  const auto query_codes = random.bytes(one.n_queries * one.n_bytes);
  std::vector<std::uint8_t> magnitudes(one.weighted ? one.n_queries * 8 * one.n_bytes : 0);
  for (auto& m : magnitudes) m = static_cast<std::uint8_t>(random.below(32));
  Queries queries = {matrix_of(query_codes, one.n_bytes)};
  if (one.weighted) queries.magnitudes = matrix_of(magnitudes, 8 * one.n_bytes);
  std::vector<std::uint8_t> taking_part(one.first + one.n_rows);
  for (auto& value : taking_part)
    value = static_cast<double>(random.below(1000)) < one.share * 1000;
  const RowSet set = RowSet::of_values(taking_part.data(), taking_part.size());
  const auto ids = random.ids(one.n_rows);
  const auto table = divided(Segments<std::uint8_t>(codes));
  for (const std::int64_t limit : one.limits) {
    CAPTURE(limit);
    Limits limits(one.n_queries, limit);
    if (one.n_queries > 2) limits[1] = limit / 2 - 1;  // each query has its own
    for (const bool with_ids : {false, true}) {
      const std::int64_t* tied = with_ids ? ids.data() : nullptr;
      const auto wanted = naive_range(codes, set, one.first, queries, limits, tied, one.n_rows);
      for (const Kernels* kernels : tested_kernels()) {
        CAPTURE(kernels->name);
        for (const auto method : scan_methods(*kernels)) {
          for (const std::size_t n_threads : Sizes{1, 3}) {
            RangeOptions options = {.ids = tied, .n_threads = n_threads, .method = method};
            options.first_row = one.first;
            if (one.share < 1) options.mask = set.mask();
            const bool divide = n_threads == 3;
            const auto rows =
                divide ? Segments<std::uint8_t>(&table) : Segments<std::uint8_t>(codes);
            CHECK(plain(range_scan(*kernels, rows, queries, limits, options)) == wanted);
            std::vector<std::int64_t> counts(one.n_queries, -5);
            count_range(*kernels, rows, queries, limits, options, counts.data());
            for (std::size_t i = 0; i < one.n_queries; ++i) {
              CHECK(counts[i] == static_cast<std::int64_t>(wanted[i].size()));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("every radius, with and without magnitudes") {
  Random random(1);
  for (const std::size_t n_queries : Sizes{1, 2, 3, 17}) {
    check_everywhere(random, {601, 1, n_queries, {-1, 0, 1, 3, 7, 8, 100}});
    check_everywhere(random, {900, 13, n_queries, {-7, 0, 40, 52, 104, 1 << 30}});
    check_everywhere(random, {500, 8, n_queries, {0, 400, 496, 900, 1984, 1983, 5000}, true});
  }
  check_everywhere(random, {300, 96, 40, {350, 380, 768}});
}

TEST_CASE("masks, and codes that begin amid one") {
  Random random(2);
  for (const double share : {0., .004, .3, .95}) {
    check_everywhere(random, {3000, 4, 1, {8, 32}, false, share});
    check_everywhere(random, {3000, 4, 9, {8, 32}, false, share, kPageRows - 100});
    check_everywhere(random, {700, 5, 3, {200, 2000}, true, share, 37});
  }
}

TEST_CASE("several pieces, and batches of queries") {
  Random random(3);
  check_everywhere(random, {9'000, 64, 2, {225, 240}});
  check_everywhere(random, {6'000, 1, 300, {1}});
}

TEST_CASE("no rows, one row, no queries") {
  Random random(4);
  check_everywhere(random, {0, 3, 2, {0, 24}});
  check_everywhere(random, {1, 3, 2, {0, 24}});
  check_everywhere(random, {10, 3, 0, {24}});
}

TEST_CASE("all rows tie") {
  const std::vector<std::uint8_t> bytes(5'000 * 3, 0x5A);
  const auto codes = matrix_of(bytes, 3);
  Random random(5);
  const auto ids = random.ids(5'000);
  for (const std::int64_t* tied : {static_cast<const std::int64_t*>(nullptr), ids.data()}) {
    const Limits limits = {0};
    std::vector<std::uint8_t> everyone(5'000, 1);
    const RowSet all = RowSet::of_values(everyone.data(), everyone.size());
    const Queries queries = {codes.n_rows > 0 ? Matrix<std::uint8_t>{bytes.data(), 1, 3, 3}
                                              : codes};
    for (const std::size_t n_threads : Sizes{1, 4}) {
      const auto found = range_scan(*tested_kernels().front(), codes, queries, limits,
                                    {.ids = tied, .n_threads = n_threads});
      CHECK(plain(found) == naive_range(codes, all, 0, queries, limits, tied, 5'000));
    }
  }
}

// All parts, one after the other.
std::vector<RangePart> parts_of(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                                const Queries& queries, const Limits& limits, std::size_t most,
                                const RangeOptions& whole) {
  std::vector<RangePart> parts;
  for (std::size_t begin = 0; begin < codes.n_rows();) {
    RangeOptions options = whole;
    options.ids = whole.ids.from(begin);
    options.first_row = whole.first_row + begin;
    parts.push_back(range_scan_part(kernels, codes.part(begin, codes.n_rows()), queries, limits,
                                    most, options));
    REQUIRE(parts.back().n_rows > 0);
    begin += parts.back().n_rows;
  }
  return parts;
}

TEST_CASE("parts hold no more than they may, and are the same everywhere") {
  Random random(6);
  constexpr std::size_t kRows = 4'000;
  const auto bytes = random.bytes(kRows * 4);
  const auto codes = matrix_of(bytes, 4);
  const auto ids = random.ids(kRows);
  std::vector<std::uint8_t> taking_part(kRows);
  for (auto& value : taking_part) value = random.below(5) != 0;
  const RowSet set = RowSet::of_values(taking_part.data(), kRows);
  const auto table = divided(Segments<std::uint8_t>(codes));
  for (const std::size_t n_queries : Sizes{1, 3, 20}) {
    const auto query_codes = random.bytes(n_queries * 4);
    const Queries queries = {matrix_of(query_codes, 4)};
    for (const std::int64_t limit : {-1, 10, 16, 32}) {
      const Limits limits(n_queries, limit);
      for (const std::size_t most : Sizes{20, 333, 5'000, 1'000'000}) {
        CAPTURE(limit);
        CAPTURE(most);
        std::vector<std::size_t> ends;
        for (const Kernels* kernels : tested_kernels()) {
          for (const std::size_t n_threads : Sizes{1, 4}) {
            const auto rows =
                n_threads == 4 ? Segments<std::uint8_t>(&table) : Segments<std::uint8_t>(codes);
            const RangeOptions options = {
                .ids = ids.data(), .n_threads = n_threads, .mask = set.mask()};
            std::vector<std::size_t> begins;
            std::size_t begin = 0;
            for (const RangePart& part : parts_of(*kernels, rows, queries, limits, most, options)) {
              const auto found = plain(part.found);
              CHECK(n_of(found) <= most);
              const Segments<std::uint8_t> from(codes);
              const auto wanted =
                  naive_range(from.part(begin, kRows).matrix(0, kRows - begin), set, begin, queries,
                              limits, ids.data() + begin, part.n_rows);
              CHECK(found == wanted);
              begin += part.n_rows;
              begins.push_back(begin);
            }
            CHECK(begin == kRows);
            if (ends.empty()) ends = begins;
            CHECK(ends == begins);
          }
        }
      }
    }
  }
}

TEST_CASE("a part takes few queries, and a row for each") {
  Random random(7);
  const auto bytes = random.bytes(300 * 2);
  const auto codes = matrix_of(bytes, 2);
  const Kernels& kernels = *tested_kernels().front();
  const Limits limits(300, 3);
  const Queries queries = {codes};
  CHECK_THROWS_AS(range_scan_part(kernels, codes, queries, limits, 10'000, {}),
                  std::invalid_argument);
  CHECK_THROWS_AS(range_scan_part(kernels, codes, queries.part(0, 20), {limits.data(), 20}, 19, {}),
                  std::invalid_argument);
}

TEST_CASE("a poll ends each form of a scan, on any number of threads") {
  struct Enough {};
  Random random(8);
  constexpr std::size_t kRows = 60'000;
  const auto bytes = random.bytes(kRows * 128);
  const auto codes = matrix_of(bytes, 128);
  const auto query_codes = random.bytes(std::size_t{64} * 128);
  const Queries queries = {matrix_of(query_codes, 128)};
  const Limits limits(64, 1024);  // all pairs
  for (const std::size_t n_threads : Sizes{1, 3}) {
    const RangeOptions options = {.n_threads = n_threads};
    std::vector<std::int64_t> counts(64);
    const auto ended = [&](auto&& scan) {
      PolledCall call([] { throw Enough(); });
      std::this_thread::sleep_for(Interruption::kBetweenPolls);
      call.check_after_wait(false);
      CHECK_THROWS_AS(
          [&] {
            for (int i = 0; i < 1'000; ++i) scan();
          }(),
          Enough);
    };
    ended([&] { range_scan(kScalarKernels, codes, queries, limits, options); });
    ended([&] { count_range(kScalarKernels, codes, queries, limits, options, counts.data()); });
    ended([&] { range_scan_part(kScalarKernels, codes, queries, limits, 1 << 20, options); });
  }
}

}  // namespace
}  // namespace bitsift::test
