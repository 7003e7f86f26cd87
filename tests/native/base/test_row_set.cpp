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

std::set<std::size_t> all_of(std::size_t n_rows) {
  std::set<std::size_t> rows;
  for (std::size_t row = 0; row < n_rows; ++row) rows.insert(rows.end(), row);
  return rows;
}

RowSet without(const RowSet& set, const Numbers& removed) {
  RowSet rest = set;
  const std::size_t n_removed = rest.remove(removed.data(), removed.size());
  CHECK(n_removed == set.count() - rest.count());
  return rest;
}

const std::size_t kSizes[] = {
    0, 1, 63, 64, 65, kPageRows, 2 * kPageRows, kPageRows - 1, kPageRows + 1, 150'001};

TEST_CASE("a first set has all rows, also those that are appended") {
  for (const std::size_t n : kSizes) {
    const RowSet set = RowSet::all(n);
    check_set(set, all_of(n), n);
    check_set(set.extended_to(n + 70'000), all_of(n + 70'000), n + 70'000);
  }
}

TEST_CASE("sets of values and of numbers, without rows, extended, and in common") {
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

    const RowSet all = RowSet::all(n);
    std::set<std::size_t> rest = all_of(n);
    for (const std::size_t row : wanted) rest.erase(row);
    const RowSet removed = without(all, numbers);
    check_set(removed, rest, n);
    check_set(all, all_of(n), n);
    check_set(without(by_values, numbers), {}, n);
    check_set(by_numbers.with(numbers.data(), numbers.size()), wanted, n);
    check_set(removed.with(numbers.data(), numbers.size()), all_of(n), n);
    check_set(by_values & removed, {}, n);
    check_set(all & by_values, wanted, n);
    check_set(by_values & all, wanted, n);
    check_set(removed & all, rest, n);

    std::set<std::size_t> grown = rest;
    for (std::size_t row = n; row < n + 500; ++row) grown.insert(grown.end(), row);
    const RowSet more = removed.extended_to(n + 500);
    check_set(more, grown, n + 500);
    check_set(more & by_values, {}, n + 500);
    check_set(more & by_values.extended_to(n + 10), {}, n + 500);
    check_set(more & RowSet::all(n), grown, n + 500);
  }
}

TEST_CASE("what removes a row shares the other pages") {
  const RowSet all = RowSet::all(3 * kPageRows);
  const RowSet less = without(all, {5});
  const RowSet least = without(less, {5 + 2 * kPageRows});
  CHECK(less.mask().pages[1] == all.mask().pages[1]);
  CHECK(less.mask().pages[0] != all.mask().pages[0]);
  CHECK(least.mask().pages[0] == less.mask().pages[0]);
  CHECK(least.mask().pages[2] != less.mask().pages[2]);
}

TEST_CASE("values for the rows of a set select some of them") {
  std::mt19937 random(2);
  for (const std::size_t n : kSizes) {
    Numbers removed;
    std::set<std::size_t> wanted;
    std::vector<std::uint8_t> values;
    for (std::size_t row = 0; row < n; ++row) {
      if (random() % 4 == 0) {
        removed.push_back(static_cast<std::int64_t>(row));
        continue;
      }
      values.push_back(random() % 2 == 0 ? 0 : 3);
      if (values.back() != 0) wanted.insert(row);
    }
    values.push_back(1);  // one too many, not read
    check_set(without(RowSet::all(n), removed).selected(values.data()), wanted, n);
  }
}

}  // namespace
}  // namespace bitsift::test
