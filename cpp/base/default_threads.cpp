// SPDX-License-Identifier: Apache-2.0
#include "base/default_threads.hpp"

#include <algorithm>
#include <atomic>

#include "base/platform.hpp"

namespace bitsift {
namespace {

// 0: not set. Forked children keep both.
std::atomic<std::size_t> number{0};
std::atomic<std::size_t> limit{0};

}  // namespace

std::size_t default_threads() {
  if (const std::size_t set = number.load(std::memory_order_relaxed); set > 0) return set;
  const std::size_t most = limit.load(std::memory_order_relaxed);
  return most == 0 ? available_threads() : std::min(most, available_threads());
}

void set_default_threads(std::size_t n) { number.store(n, std::memory_order_relaxed); }

void limit_default_threads(std::size_t n) { limit.store(n, std::memory_order_relaxed); }

}  // namespace bitsift
