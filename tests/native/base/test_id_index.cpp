// SPDX-License-Identifier: Apache-2.0
#include "base/id_index.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <numeric>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/row_set.hpp"

namespace bitsift::test {
namespace {

using Ids = std::vector<std::int64_t>;

IdentifiedRows rows_of(const Ids& ids, const RowSet* set = nullptr) {
  return {ids.data(), ids.size(), set == nullptr ? RowMask{} : set->mask()};
}

RowSet all_without(std::size_t n_rows, const Ids& removed) {
  RowSet set = RowSet::all(n_rows);
  set.remove(removed.data(), removed.size());
  return set;
}

Ids found(const IdIndex& index, const IdentifiedRows& known, const Ids& wanted) {
  Ids rows(wanted.size());
  index.find(known, wanted.data(), wanted.size(), rows.data());
  return rows;
}

Ids random_ids(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Ids ids(n);
  std::iota(ids.begin(), ids.end(), 0);
  for (auto& id : ids) id = (id << 20 | static_cast<std::int64_t>(random() >> 44)) & INT64_MAX;
  std::shuffle(ids.begin(), ids.end(), random);
  return ids;
}

TEST_CASE("every id is found on its row, and no other") {
  for (const std::size_t n : {1u, 31u, 32u, 33u, 1000u, 20'000u}) {
    const Ids ids = random_ids(n, n);
    IdIndex index(n, 7 * n);
    for (std::size_t begin = 0, size = 1; begin < n; begin += size, size = 3 * size + 1) {
      const std::size_t n_new = std::min(size, n - begin);
      const IdentifiedRows known = {ids.data(), begin, {}};
      CHECK_FALSE(index.enter(known, ids.data() + begin, n_new));
      CHECK(index.size() == begin + n_new);
    }
    Ids rows(n);
    std::iota(rows.begin(), rows.end(), 0);
    CHECK(found(index, rows_of(ids), ids) == rows);
    const Ids others = random_ids(n, n + 1);
    std::unordered_map<std::int64_t, std::int64_t> by_id;
    for (std::size_t row = 0; row < n; ++row) by_id[ids[row]] = static_cast<std::int64_t>(row);
    Ids wanted;
    for (const auto id : others) wanted.push_back(by_id.count(id) == 0 ? -1 : by_id[id]);
    CHECK(found(index, rows_of(ids), others) == wanted);
    CHECK(found(index, rows_of(ids), {-1, INT64_MIN}) == Ids{-1, -1});
    CHECK(index.version() == 0);
  }
}

TEST_CASE("a built index has the last row of each id") {
  for (const std::size_t n : {0u, 1u, 33u, 5000u}) {
    const Ids some = random_ids(n, 2);
    Ids ids = some;
    ids.insert(ids.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(n / 3));
    IdIndex index(ids.size(), 4);
    index.build(ids.data(), ids.size());
    CHECK(index.size() == n);
    CHECK(index.version() == 0);
    for (std::size_t i = 0; i < n; ++i) {
      const auto row = static_cast<std::int64_t>(i < n / 3 ? n + i : i);
      CHECK(index.find_one(rows_of(ids), some[i]) == row);
    }
    CHECK(index.find_one(rows_of(ids), -1) == -1);
  }
}

TEST_CASE("of ids that are known or come twice, none is entered") {
  IdIndex index(100, 1);
  Ids ids = {5, 7, 9};
  CHECK_FALSE(index.enter({ids.data(), 0, {}}, ids.data(), 3));
  const Ids known = {8, 7, 6};
  CHECK(index.enter(rows_of(ids), known.data(), 3) == 1);
  const Ids twice = {8, 6, 8};
  CHECK(index.enter(rows_of(ids), twice.data(), 3) == 2);
  CHECK(index.size() == 3);
  const Ids again = {8, 6};
  CHECK_FALSE(index.enter(rows_of(ids), again.data(), 2));
  CHECK(found(index, rows_of(ids), {8}) == Ids{-1});
  ids.insert(ids.end(), again.begin(), again.end());
  CHECK(found(index, rows_of(ids), {5, 6, 7, 8, 9}) == Ids{0, 4, 1, 3, 2});
}

TEST_CASE("ids that were entered and never published are as good as new") {
  IdIndex index(100, 1);
  Ids ids = {5};
  CHECK_FALSE(index.enter({ids.data(), 0, {}}, ids.data(), 1));
  const Ids lost = {6, 7};
  CHECK_FALSE(index.enter(rows_of(ids), lost.data(), 2));
  const Ids next = {7, 8, 6};
  CHECK_FALSE(index.enter(rows_of(ids), next.data(), 3));
  ids.insert(ids.end(), next.begin(), next.end());
  CHECK(found(index, rows_of(ids), {5, 6, 7, 8}) == Ids{0, 3, 1, 2});
}

TEST_CASE("the id of a row that is in the set no more may be entered again") {
  IdIndex index(100, 1);
  Ids ids = {5, 6};
  CHECK_FALSE(index.enter({ids.data(), 0, {}}, ids.data(), 2));
  const Ids removed = {0};
  const RowSet set = all_without(2, removed);
  CHECK(found(index, rows_of(ids, &set), {5, 6}) == Ids{-1, 1});
  const Ids again = {5};
  CHECK(index.enter(rows_of(ids), again.data(), 1) == 0);
  CHECK(index.version() == 0);
  CHECK_FALSE(index.enter(rows_of(ids, &set), again.data(), 1));
  CHECK(index.version() == 1);
  CHECK(index.size() == 2);
  ids.push_back(5);
  const RowSet more = set.extended_to(3);
  CHECK(found(index, rows_of(ids, &more), {5, 6}) == Ids{2, 1});
}

TEST_CASE("one id that is replaced again and again takes one entry") {
  IdIndex index(10, 1);
  Ids ids = {3};
  CHECK_FALSE(index.enter({ids.data(), 0, {}}, ids.data(), 1));
  for (int turn = 0; turn < 1000; ++turn) {
    Ids all(ids.size());
    std::iota(all.begin(), all.end(), 0);
    const RowSet none = all_without(ids.size(), all);
    CHECK_FALSE(index.enter(rows_of(ids, &none), ids.data(), 1));
    ids.push_back(3);
    CHECK(found(index, rows_of(ids), {3}) == Ids{static_cast<std::int64_t>(ids.size()) - 1});
  }
  CHECK(index.size() == 1);
}

TEST_CASE("readers find the ids of their rows while others are entered") {
  constexpr std::size_t kRows = 50'000;
  const Ids ids = random_ids(kRows, 3);
  IdIndex index(kRows, 5);
  std::atomic<std::size_t> n_published{0};
  std::vector<std::thread> readers;
  std::atomic<std::size_t> n_wrong{0};
  for (int reader = 0; reader < 3; ++reader) {
    readers.emplace_back([&] {
      for (std::size_t n = 0; n < kRows;) {
        n = n_published.load(std::memory_order_acquire);
        std::int64_t rows[64];
        const std::size_t first = n > 64 ? n - 64 : 0;
        index.find({ids.data(), n, {}}, ids.data() + first, n - first, rows);
        for (std::size_t i = first; i < n; ++i) {
          n_wrong += rows[i - first] != static_cast<std::int64_t>(i);
        }
      }
    });
  }
  for (std::size_t begin = 0; begin < kRows; begin += 10) {
    CHECK_FALSE(index.enter({ids.data(), begin, {}}, ids.data() + begin, 10));
    n_published.store(begin + 10, std::memory_order_release);
  }
  for (std::thread& reader : readers) reader.join();
  CHECK(n_wrong == 0);
}

}  // namespace
}  // namespace bitsift::test
