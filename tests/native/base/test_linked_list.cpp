// SPDX-License-Identifier: Apache-2.0
#include "base/linked_list.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "helpers/random.hpp"

namespace bitsift::test {
namespace {

struct Item {
  Item* previous = nullptr;
  Item* next = nullptr;
};

bool equals(const LinkedList<Item>& list, const std::vector<Item*>& wanted) {
  std::vector<Item*> found;
  for (Item* item = list.first(); item != nullptr; item = item->next) {
    if (item->previous != (found.empty() ? nullptr : found.back())) return false;
    found.push_back(item);
  }
  return found == wanted && list.size() == wanted.size() && list.is_empty() == wanted.empty();
}

TEST_CASE("appends, insertions and removals in any order") {
  Random random(1);
  std::vector<Item> items(8);
  LinkedList<Item> list;
  std::vector<Item*> wanted;
  CHECK(equals(list, wanted));
  for (int step = 0; step < 2000; ++step) {
    Item* item = &items[random.below(items.size())];
    const auto place = std::find(wanted.begin(), wanted.end(), item);
    if (place != wanted.end()) {
      list.remove(*item);
      wanted.erase(place);
    } else {
      const std::size_t before = random.below(wanted.size() + 1);
      if (before == wanted.size()) {
        list.append(*item);
      } else {
        list.insert(*item, wanted[before]);
      }
      wanted.insert(wanted.begin() + static_cast<std::ptrdiff_t>(before), item);
    }
    REQUIRE(equals(list, wanted));
  }
}

}  // namespace
}  // namespace bitsift::test
