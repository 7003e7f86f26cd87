// SPDX-License-Identifier: Apache-2.0
#include "base/live_rows.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace bitsift::test {
namespace {

using Numbers = std::vector<std::int64_t>;

std::size_t remove(LiveRows& live, const Numbers& rows) {
  return live.remove(rows.data(), rows.size());
}

TEST_CASE("without removals there is no set") {
  LiveRows live(70'000);
  CHECK(live.count() == 70'000);
  CHECK(live.current() == nullptr);
  CHECK(remove(live, {-1}) == 0);
  CHECK(live.current() == nullptr);
  CHECK(live.extended_to(70'001)->current() == nullptr);
}

TEST_CASE("what a reader has stays as it is") {
  LiveRows live(2 * kPageRows);
  CHECK(remove(live, {3, 5, 3, -1}) == 2);
  const auto before = live.current();
  CHECK(live.current() == before);
  CHECK(remove(live, {3, 4, kPageRows}) == 2);
  CHECK(before->count() == 2 * kPageRows - 2);
  CHECK(before->contains(4));
  CHECK(before->contains(kPageRows));
  const auto after = live.current();
  CHECK(after != before);
  CHECK(after->count() == 2 * kPageRows - 4);
  CHECK_FALSE(after->contains(4));
  CHECK_FALSE(after->contains(kPageRows));
  CHECK(live.count() == after->count());
}

TEST_CASE("a page is copied only while a reader has it") {
  LiveRows live(2 * kPageRows);
  remove(live, {3, kPageRows});
  const std::uint64_t* first;
  {
    const auto reader = live.current();
    first = reader->mask().pages[0];
  }
  remove(live, {4});
  const auto reader = live.current();
  CHECK(reader->mask().pages[0] == first);
  remove(live, {5});
  CHECK(live.current()->mask().pages[0] != first);
  CHECK(live.current()->mask().pages[1] == reader->mask().pages[1]);
}

TEST_CASE("the rows of a matrix that has grown are those of another object") {
  LiveRows live(kPageRows - 1);
  remove(live, {0});
  const auto more = live.extended_to(kPageRows + 1);
  CHECK(more->n_rows() == kPageRows + 1);
  CHECK(more->count() == kPageRows);
  CHECK(more->current()->contains(kPageRows));
  remove(*more, {1});
  remove(live, {2});
  CHECK(live.current()->contains(1));
  CHECK(more->current()->contains(2));
}

TEST_CASE("readers see each removal whole while rows are removed") {
  constexpr std::size_t kPairs = 20'000;
  LiveRows live(2 * kPairs);
  std::atomic<bool> done{false};
  std::atomic<std::size_t> n_wrong{0};
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 3; ++reader) {
    readers.emplace_back([&] {
      while (!done.load()) {
        const auto rows = live.current();
        if (rows == nullptr) continue;
        n_wrong += rows->count() % 2 != 0 || rows->count() != rows->mask().count(0, 2 * kPairs);
      }
    });
  }
  for (std::size_t i = 0; i < kPairs; ++i) {
    const auto row = static_cast<std::int64_t>(i);
    CHECK(remove(live, {row, row + static_cast<std::int64_t>(kPairs)}) == 2);
  }
  done.store(true);
  for (std::thread& reader : readers) reader.join();
  CHECK(n_wrong == 0);
  CHECK(live.count() == 0);
}

}  // namespace
}  // namespace bitsift::test
