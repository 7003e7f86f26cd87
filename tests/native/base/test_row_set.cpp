// SPDX-License-Identifier: Apache-2.0
#include "base/row_set.hpp"

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <vector>

namespace bitsift::test {
namespace {

using Numbers = std::vector<std::int64_t>;

// What a mask says of the rows [begin, end), by each of its ways.
void check_rows(const RowSet& set, const std::set<std::size_t>& wanted, std::size_t begin,
                std::size_t end) {
  const RowMask mask = set.mask();
  std::vector<std::size_t> found;
  mask.for_each(begin, end, [&](std::size_t row) { found.push_back(row); });
  const std::vector<std::size_t> expected(wanted.lower_bound(begin), wanted.lower_bound(end));
  CHECK(found == expected);
  CHECK(mask.count(begin, end) == expected.size());
  for (std::size_t row = begin; row < end; row += 1 + (end - begin) / 100) {
    CHECK(mask[row] == (wanted.count(row) == 1));
    CHECK(set.contains(row) == (wanted.count(row) == 1));
  }
}

void check_set(const RowSet& set, const std::set<std::size_t>& wanted, std::size_t n_rows) {
  CHECK(set.n_rows() == n_rows);
  CHECK(set.count() == wanted.size());
  CHECK(set.is_all() == (wanted.size() == n_rows));
  CHECK_FALSE(set.contains(n_rows));
  for (const std::size_t begin : {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{64},
                                  kPageRows - 1, kPageRows, kPageRows + 65}) {
    for (const std::size_t end : {std::size_t{0}, std::size_t{1}, std::size_t{64}, kPageRows,
                                  kPageRows + 1, 2 * kPageRows, n_rows}) {
      if (begin <= end && end <= n_rows) check_rows(set, wanted, begin, end);
    }
  }
}

const std::size_t kSizes[] = {
    0, 1, 63, 64, 65, kPageRows, 2 * kPageRows, kPageRows - 1, kPageRows + 1, 150'001};

TEST_CASE("sets of values and of numbers, and of a matrix that has grown") {
  std::mt19937 random(1);
  for (const std::size_t n : kSizes) {
    std::vector<std::uint8_t> values(n);
    Numbers numbers = {-1};
    std::set<std::size_t> wanted;
    for (std::size_t row = 0; row < n; ++row) {
      if (random() % 3 != 0) continue;
      values[row] = static_cast<std::uint8_t>(1 + random() % 255);
      numbers.push_back(static_cast<std::int64_t>(row));
      wanted.insert(row);
    }
    std::shuffle(numbers.begin(), numbers.end(), random);
    numbers.push_back(numbers[0]);
    const RowSet by_values = RowSet::of_values(values.data(), n);
    const RowSet by_numbers = RowSet::of_numbers(numbers.data(), numbers.size(), n);
    check_set(by_values, wanted, n);
    check_set(by_numbers, wanted, n);
    check_set(by_values.extended_to(n + 70'000), wanted, n + 70'000);

    check_set(by_values.extended_to(n), wanted, n);
  }
}

}  // namespace
}  // namespace bitsift::test
