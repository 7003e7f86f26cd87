// SPDX-License-Identifier: Apache-2.0
#include "base/thread_pool.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/platform.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"
#include "search/scan.hpp"

namespace bitsift::test {
namespace {

// Blocks until `n` threads have arrived.
class Meeting {
 public:
  explicit Meeting(std::size_t n) : n_missing_(n) {}

  void wait() {
    std::unique_lock lock(mutex_);
    if (n_missing_ > 0 && --n_missing_ == 0) all_here_.notify_all();
    all_here_.wait(lock, [this] { return n_missing_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_here_;
  std::size_t n_missing_;
};

// True if the pool does a job of 1000 items in full.
bool pool_works(std::size_t n_threads) {
  std::vector<int> done(1000);
  for_each_piece(done.size(), 7, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) ++done[i];
  });
  return std::all_of(done.begin(), done.end(), [](int n) { return n == 1; });
}

// The processors of the caller and of a thread of the pool, while both do one job.
std::vector<Processors> processors_at_work() {
  Meeting meeting(2);
  std::mutex mutex;
  std::vector<Processors> seen;
  run_on_threads(2, [&] {
    meeting.wait();
    const std::lock_guard lock(mutex);
    seen.push_back(Processors::of_this_thread());
  });
  return seen;
}

TEST_CASE("threads run where their caller may, not where the one that made them may") {
  const Processors all = Processors::of_this_thread();
  if (all.count() < 2) return;  // there is no smaller set
  const auto bind_to_one = [] {
#if defined(__linux__)
    cpu_set_t set;
    REQUIRE(sched_getaffinity(0, sizeof(set), &set) == 0);
    int first = 0;
    while (!CPU_ISSET(first, &set)) ++first;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    REQUIRE(sched_setaffinity(0, sizeof(set), &set) == 0);
#endif
  };
  const auto each_is = [](const std::vector<Processors>& seen, const Processors& wanted) {
    return std::all_of(seen.begin(), seen.end(), [&](const Processors& p) { return p == wanted; });
  };
  std::vector<Processors> seen;
  std::thread([&] {
    bind_to_one();
    seen = processors_at_work();
  }).join();
  // Its caller asked for more threads than it may run: the other runs where the process may.
  CHECK(seen.size() == 2);
  CHECK(std::count(seen.begin(), seen.end(), all) == 1);
  CHECK(each_is(processors_at_work(), all));
}

TEST_CASE("one thread: the caller does the work") {
  for (const std::size_t n_threads : Sizes{0, 1}) {
    std::vector<std::thread::id> threads;
    run_on_threads(n_threads, [&] { threads.push_back(std::this_thread::get_id()); });
    CHECK(threads == std::vector{std::this_thread::get_id()});
  }
}

TEST_CASE("threads run at once, with the caller, and no more than asked for") {
  for (const std::size_t n_threads : Sizes{2, 3, 7}) {
    CAPTURE(n_threads);
    Meeting meeting(n_threads);
    std::mutex mutex;
    std::vector<std::thread::id> threads;
    run_on_threads(n_threads, [&] {
      {
        const std::lock_guard lock(mutex);
        threads.push_back(std::this_thread::get_id());
      }
      meeting.wait();
    });
    CHECK(threads.size() == n_threads);
    CHECK(std::set(threads.begin(), threads.end()).size() == n_threads);
    CHECK(std::count(threads.begin(), threads.end(), std::this_thread::get_id()) == 1);
  }
}

TEST_CASE("pieces that a thread stops: the first ones, each once") {
  for (const std::size_t n_threads : Sizes{1, 2, 7}) {
    CAPTURE(n_threads);
    std::vector<int> done(1000);
    Pieces pieces(done.size());
    std::atomic<std::size_t> n_begun{done.size()};
    run_on_threads(n_threads, [&] {
      pieces.work([&](std::size_t i) {
        ++done[i];
        if (i < 100) return;
        const std::size_t n = pieces.stop();
        if (n < done.size()) n_begun = n;
      });
    });
    CHECK(n_begun > 100);
    CHECK(n_begun < done.size());
    for (std::size_t i = 0; i < done.size(); ++i) CHECK(done[i] == (i < n_begun ? 1 : 0));
  }
}

TEST_CASE("each item once, pieces of a thread ascending") {
  std::size_t job = 0;
  for (const std::size_t n_items : Sizes{0, 1, 2, 15, 16, 17, 1000}) {
    for (const std::size_t piece : Sizes{1, 3, 16, 999, 1000, 5000}) {
      for (const std::size_t n_threads : Sizes{0, 1, 2, 7, 40}) {
        CAPTURE(n_items);
        CAPTURE(piece);
        CAPTURE(n_threads);
        ++job;
        std::vector<int> done(n_items);
        std::atomic<bool> in_order{true};
        for_each_piece(n_items, piece, n_threads, [&](std::size_t begin, std::size_t end) {
          thread_local std::size_t job_of_thread = 0;
          thread_local std::size_t reached = 0;
          if (job_of_thread != job) reached = 0;
          job_of_thread = job;
          if (begin < reached || begin >= end || end - begin > piece || begin % piece != 0) {
            in_order = false;
          }
          reached = end;
          for (std::size_t i = begin; i < end; ++i) ++done[i];
        });
        CHECK(in_order);
        CHECK(std::all_of(done.begin(), done.end(), [](int n) { return n == 1; }));
      }
    }
  }
}

TEST_CASE("many callers at once") {
  constexpr std::size_t kCallers = 12;
  std::atomic<int> n_wrong{0};
  std::vector<std::thread> callers;
  for (std::size_t caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      for (std::size_t round = 0; round < 100; ++round) {
        const std::size_t n = 1 + (caller * 31 + round * 7) % 200;
        std::atomic<std::size_t> sum{0};
        for_each_piece(n, 3, 1 + (caller + round) % 5, [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i) sum += i;
        });
        if (sum != n * (n - 1) / 2) ++n_wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(n_wrong == 0);
}

TEST_CASE("the caller's exception arrives") {
  for (const std::size_t n_threads : Sizes{1, 2, 5}) {
    CAPTURE(n_threads);
    const auto caller = std::this_thread::get_id();
    CHECK_THROWS_WITH_AS(run_on_threads(n_threads,
                                        [&] {
                                          if (std::this_thread::get_id() == caller) {
                                            throw std::out_of_range("the caller's");
                                          }
                                        }),
                         "the caller's", std::out_of_range);
    CHECK(pool_works(n_threads));
  }
}

TEST_CASE("an exception of a thread of the pool arrives, after all have returned") {
  for (std::size_t round = 0; round < 20; ++round) {
    const auto caller = std::this_thread::get_id();
    Meeting meeting(3);
    std::atomic<int> n_inside{0};
    CHECK_THROWS_WITH_AS(run_on_threads(3,
                                        [&] {
                                          ++n_inside;
                                          meeting.wait();
                                          const bool is_caller =
                                              std::this_thread::get_id() == caller;
                                          --n_inside;
                                          if (!is_caller) throw std::runtime_error("a helper's");
                                        }),
                         "a helper's", std::runtime_error);
    CHECK(n_inside == 0);
  }
  CHECK(pool_works(3));
}

TEST_CASE("every thread throws") {
  for (std::size_t round = 0; round < 50; ++round) {
    CHECK_THROWS_AS(run_on_threads(7, [] { throw std::string("anything"); }), std::string);
  }
  CHECK(pool_works(7));
}

TEST_CASE("jobs within jobs") {
  std::atomic<std::size_t> n_done{0};
  for_each_piece(20, 1, 4, [&](std::size_t, std::size_t) {
    for_each_piece(10, 1, 3, [&](std::size_t, std::size_t) {
      for_each_piece(5, 1, 7, [&](std::size_t begin, std::size_t end) { n_done += end - begin; });
    });
  });
  CHECK(n_done == 20 * 10 * 5);
}

TEST_CASE("an exception from a job within a job") {
  CHECK_THROWS_AS(run_on_threads(3,
                                 [] {
                                   for_each_piece(10, 1, 3, [](std::size_t begin, std::size_t) {
                                     if (begin == 5) throw std::runtime_error("inner");
                                   });
                                 }),
                  std::runtime_error);
  CHECK(pool_works(3));
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#if !defined(__SANITIZE_THREAD__)  // it does not support threads started by a forked child

// A child of fork() has none of the pool's threads, and the parent may have held its lock.
TEST_CASE("a forked child searches") {
  Random random(1);
  const auto code_bytes = random.bytes(std::size_t{400} * 8192);
  const auto codes = matrix_of(code_bytes, 8192);
  const auto queries = Matrix<std::uint8_t>{codes.data, 6, codes.n_columns, codes.stride};
  const auto wanted = naive_search(codes, {queries}, nullptr, 5);
  const Kernels& kernels = *available_kernels().back();
  const auto search_is_right = [&] {
    Results<std::int32_t> found{std::vector<std::int32_t>(30), std::vector<std::int64_t>(30)};
    scan(kernels, codes, {queries}, {.k = 5, .n_threads = 3}, found.values.data(),
         found.rows.data());
    return found == wanted;
  };
  REQUIRE(search_is_right());

  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) run_on_threads(3, [] {});
  });
  for (int round = 0; round < 10; ++round) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      // No assertions here: the report is the parent's.
      const bool right = search_is_right() && pool_works(4);
      _exit(right ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  stop = true;
  busy.join();
  CHECK(search_is_right());
}

#endif

}  // namespace
}  // namespace bitsift::test
