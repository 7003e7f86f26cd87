// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace bitsift {

// A list of objects that lie elsewhere, such as on the stacks of their threads. No operation
// allocates, so none fails. `Item` has members `Item* previous` and `Item* next`, which belong to
// the list that the item is in.
template <class Item>
class LinkedList {
 public:
  bool is_empty() const { return first_ == nullptr; }
  std::size_t size() const { return size_; }
  Item* first() const { return first_; }

  // Puts an item, which is in no list, before `next`; nullptr: at the end.
  void insert(Item& item, Item* next) {
    Item* previous = next == nullptr ? last_ : next->previous;
    item.previous = previous;
    item.next = next;
    (previous == nullptr ? first_ : previous->next) = &item;
    (next == nullptr ? last_ : next->previous) = &item;
    ++size_;
  }
  void append(Item& item) { insert(item, nullptr); }

  void remove(Item& item) {
    (item.previous == nullptr ? first_ : item.previous->next) = item.next;
    (item.next == nullptr ? last_ : item.next->previous) = item.previous;
    item.previous = item.next = nullptr;
    --size_;
  }

 private:
  Item* first_ = nullptr;
  Item* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace bitsift
