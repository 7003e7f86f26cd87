// SPDX-License-Identifier: Apache-2.0
// Memory runs out at each allocation of contended searches in turn: the call that allocates gets
// std::bad_alloc, each other call its results, and all later calls theirs.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "base/platform.hpp"
#include "helpers/random.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"
#include "rescoring/rescore.hpp"
#include "search/all_pairs.hpp"
#include "search/range_scan.hpp"
#include "search/self_join.hpp"
#include "search/shared_scan.hpp"

namespace {

// The allocation that fails is the one that takes it from 1 to 0.
std::atomic<long> allocations_left{0};
// Allocations of a test itself do not fail.
thread_local bool is_spared = false;

void* allocate(std::size_t n, std::size_t alignment) {
  if (!is_spared && allocations_left.load(std::memory_order_relaxed) > 0 &&
      allocations_left.fetch_sub(1) == 1) {
    throw std::bad_alloc();
  }
  void* p = std::aligned_alloc(alignment, (n + alignment) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

}  // namespace

void* operator new(std::size_t n) { return allocate(n, alignof(std::max_align_t)); }
void* operator new(std::size_t n, std::align_val_t alignment) {
  return allocate(n, static_cast<std::size_t>(alignment));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace bitsift::test {
namespace {

struct Counts {
  std::atomic<int> right{0};
  std::atomic<int> wrong{0};
  std::atomic<int> failed{0};
};

// Calls work() and counts how it ends.
template <class Work>
void count(Counts& counts, Work&& work) {
  try {
    ++(work() ? counts.right : counts.wrong);
  } catch (const std::bad_alloc&) {
    ++counts.failed;
  }
}

// Does work(caller) in rounds on `n` threads at once; in round i the i-th allocation fails. Ends
// with the first round of fewer allocations.
template <class Work>
void fail_each_allocation(std::size_t n, Work&& work) {
  constexpr long kMostRounds = 2000;
  std::mutex mutex;
  std::condition_variable changed;
  long round = 0;
  std::size_t n_working = 0;
  Counts counts;
  std::vector<std::thread> callers;
  for (std::size_t caller = 0; caller < n; ++caller) {
    callers.emplace_back([&, caller] {
      for (long mine = 1;; ++mine) {
        {
          std::unique_lock lock(mutex);
          changed.wait(lock, [&] { return round == mine || round < 0; });
          if (round < 0) return;
        }
        count(counts, [&] { return work(caller); });
        const std::lock_guard lock(mutex);
        if (--n_working == 0) changed.notify_all();
      }
    });
  }
  const int n_calls = static_cast<int>(n);
  for (bool is_over = false; !is_over;) {
    std::unique_lock lock(mutex);
    counts.right = counts.failed = 0;
    n_working = n;
    ++round;
    allocations_left = round;
    changed.notify_all();
    changed.wait(lock, [&] { return n_working == 0; });
    is_over = allocations_left > 0 || round == kMostRounds;
    allocations_left = 0;
    CHECK(counts.wrong == 0);
    CHECK(counts.failed <= 1);  // none: the pool does with fewer threads
    CHECK(counts.right + counts.failed == n_calls);
  }
  CHECK(round > 5);
  CHECK(round < kMostRounds);
  {
    const std::lock_guard lock(mutex);
    round = -1;
    changed.notify_all();
  }
  for (std::thread& caller : callers) caller.join();
}

TEST_CASE("searches that meet") {
  constexpr std::size_t kRows = 50000;
  constexpr std::size_t kBytes = 96;
  constexpr std::size_t kCallers = 5;
  Random random(1);
  const auto bytes = random.bytes(kRows * kBytes);
  const auto codes = matrix_of(bytes, kBytes);
  const auto magnitudes = std::vector<std::uint8_t>(kCallers * 8 * kBytes, 3);
  // Asked before memory runs out: GCC 12's ThreadSanitizer never wakes threads that wait for a
  // static variable whose initializer threw.
  const Kernels& kernels = *available_kernels().back();
  for (const bool weighted : {false, true}) {
    const auto query = [&](std::size_t caller) {
      Queries queries{{bytes.data() + caller * kBytes, 1, kBytes, kBytes}};
      if (weighted) {
        queries.magnitudes = {magnitudes.data() + caller * 8 * kBytes, 1, 8 * kBytes, 8 * kBytes};
      }
      return queries;
    };
    for (const std::size_t k : {std::size_t{3}, std::size_t{40}}) {
      std::vector<Results<std::int32_t>> wanted;
      for (std::size_t i = 0; i < kCallers; ++i) {
        wanted.push_back(naive_search(codes, query(i), nullptr, k));
      }
      fail_each_allocation(kCallers, [&](std::size_t caller) {
        is_spared = true;
        Results<std::int32_t> found{std::vector<std::int32_t>(k), std::vector<std::int64_t>(k)};
        is_spared = false;
        shared_scan(kernels, codes, query(caller), {.k = k, .n_threads = available_threads()},
                    found.values.data(), found.rows.data());
        return found == wanted[caller];
      });
    }
  }
}

TEST_CASE("searches of many queries, joins and pairs") {
  constexpr std::size_t kRows = 1500;
  constexpr std::size_t kBytes = 96;
  constexpr std::size_t kQueries = 150;
  constexpr std::size_t kNearest = 30;
  Random random(2);
  const auto bytes = random.bytes(kRows * kBytes);
  const auto codes = matrix_of(bytes, kBytes);
  const Kernels& kernels = *available_kernels().back();
  Results<std::int32_t> searched{std::vector<std::int32_t>(kQueries * kNearest),
                                 std::vector<std::int64_t>(kQueries * kNearest)};
  std::vector<std::int32_t> paired(kRows * kRows);
  const Queries queries{{codes.data, kQueries, kBytes, kBytes}};
  scan(kernels, codes, queries, {.k = kNearest}, searched.values.data(), searched.rows.data());
  all_pairs(kernels, codes, codes, 1, paired.data());
  fail_each_allocation(2, [&](std::size_t) {
    is_spared = true;
    auto found = searched;
    std::fill(found.rows.begin(), found.rows.end(), -5);
    is_spared = false;
    scan(kernels, codes, queries, {.k = kNearest, .n_threads = 3}, found.values.data(),
         found.rows.data());
    return found == searched;
  });
  fail_each_allocation(1, [&](std::size_t) {
    is_spared = true;
    std::vector<std::int32_t> found(paired.size());
    is_spared = false;
    all_pairs(kernels, codes, codes, 3, found.data());
    return found == paired;
  });
  // A join allocates for each row: a part of the rows.
  const auto few = Matrix<std::uint8_t>{codes.data, 550, kBytes, kBytes};
  Results<std::int32_t> wanted{std::vector<std::int32_t>(550 * kNearest),
                               std::vector<std::int64_t>(550 * kNearest)};
  self_join(kernels, few, kNearest, 1, wanted.values.data(), wanted.rows.data());
  fail_each_allocation(1, [&](std::size_t) {
    is_spared = true;
    auto found = wanted;
    std::fill(found.rows.begin(), found.rows.end(), -5);
    is_spared = false;
    self_join(kernels, few, kNearest, 3, found.values.data(), found.rows.data());
    return found == wanted;
  });
}

TEST_CASE("range searches") {
  constexpr std::size_t kRows = 3000;
  constexpr std::size_t kBytes = 96;
  Random random(3);
  const auto bytes = random.bytes(kRows * kBytes);
  const auto codes = matrix_of(bytes, kBytes);
  const Kernels& kernels = *available_kernels().back();
  const Queries queries{{codes.data, 7, kBytes, kBytes}};
  const std::vector<std::int64_t> limits(7, 375);
  const auto keys = [](const FoundRows& found) {
    const bool was_spared = std::exchange(is_spared, true);
    std::vector<std::vector<std::uint64_t>> all;
    for (const auto& neighbors : found) {
      auto& some = all.emplace_back();
      for (const Neighbor one : neighbors) some.push_back(one.key());
    }
    is_spared = was_spared;
    return all;
  };
  const auto wanted = keys(range_scan(kernels, codes, queries, limits, {}));
  fail_each_allocation(2, [&](std::size_t) {
    return keys(range_scan(kernels, codes, queries, limits, {.n_threads = 3})) == wanted;
  });
  fail_each_allocation(2, [&](std::size_t) {
    const auto part = range_scan_part(kernels, codes, queries, limits, 1 << 20, {.n_threads = 3});
    return keys(part.found) == wanted;
  });
}

}  // namespace
}  // namespace bitsift::test
