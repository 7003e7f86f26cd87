// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "base/interruption.hpp"

namespace bitsift {

// Values that are sorted, merged or written before a thread looks for an interruption: a few
// milliseconds.
inline constexpr std::size_t kValuesBetweenChecks = std::size_t{1} << 16;

// An order whose comparisons check for an interruption.
template <class Order>
struct CheckedOrder {
  Order order;
  Checkpoint* checkpoint;

  template <class Value>
  bool operator()(const Value& a, const Value& b) const {
    checkpoint->did(1);
    return order(a, b);
  }
};

// Calls sort(order), which brings n values into order: with a checked one if that takes long.
template <class Order, class Sort>
void with_checks(std::size_t n, const Order& order, Sort&& sort) {
  if (n <= kValuesBetweenChecks) {
    sort(order);
  } else {
    Checkpoint checkpoint(kValuesBetweenChecks);
    sort(CheckedOrder<Order>{order, &checkpoint});
  }
}

}  // namespace bitsift
