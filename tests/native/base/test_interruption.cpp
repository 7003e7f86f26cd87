// SPDX-License-Identifier: Apache-2.0
// A poll ends a call: on every thread, from every loop of the core, however the caller waits.
#include "base/interruption.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/checked_order.hpp"
#include "base/thread_pool.hpp"
#include "encoding/correction.hpp"
#include "encoding/integers.hpp"
#include "encoding/packing.hpp"
#include "encoding/rotation.hpp"
#include "encoding/round_queries.hpp"
#include "helpers/polled_call.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "rescoring/rescore.hpp"
#include "rescoring/rescore_codes.hpp"
#include "search/all_pairs.hpp"
#include "search/query_batch.hpp"
#include "search/self_join.hpp"
#include "search/shared_scan.hpp"
#include "search/topk.hpp"

namespace bitsift::test {
namespace {

using std::chrono::milliseconds;

struct Enough {};

void throw_enough() { throw Enough(); }

// Work that lasts until it is interrupted.
void work_for_ever() {
  for (;;) {
    check_interruption();
    std::this_thread::sleep_for(milliseconds(1));
  }
}

TEST_CASE("without a call nothing is interrupted") {
  CHECK(Interruption::current() == nullptr);
  check_interruption();
  check_after_wait();
}

TEST_CASE("polls are on the calling thread and rare") {
  std::atomic<int> n_elsewhere{0};
  const auto caller = std::this_thread::get_id();
  PolledCall call([&] { n_elsewhere += std::this_thread::get_id() != caller; });
  const auto start = Interruption::Clock::now();
  for_each_piece(400, 1, 3,
                 [](std::size_t, std::size_t) { std::this_thread::sleep_for(milliseconds(2)); });
  const auto time = Interruption::Clock::now() - start;
  CHECK(call.n_polls() > 0);
  CHECK(call.n_polls() <= time / Interruption::kBetweenPolls);
  CHECK(n_elsewhere == 0);
}

TEST_CASE("what a poll throws ends the work of all threads") {
  for (const std::size_t n_threads : Sizes{1, 2, 7}) {
    CAPTURE(n_threads);
    PolledCall call(throw_enough);
    CHECK_THROWS_AS(run_on_threads(n_threads, work_for_ever), Enough);
    CHECK(call.n_polls() == 1);
    CHECK_THROWS_AS(check_interruption(), Interrupted);  // the call stays cancelled
  }
  check_interruption();
}

TEST_CASE("a caller that only waits for others polls") {
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> helper_works{false};
  PolledCall call(throw_enough);
  CHECK_THROWS_AS(run_on_threads(2,
                                 [&] {
                                   if (std::this_thread::get_id() == caller) {
                                     while (!helper_works) std::this_thread::yield();
                                   } else {
                                     helper_works = true;
                                     work_for_ever();
                                   }
                                 }),
                  Enough);
}

TEST_CASE("an error of one thread ends the work of the others, and is what the caller gets") {
  for (const std::size_t n_threads : Sizes{2, 7}) {
    PolledCall call;
    std::atomic<int> n_started{0};
    CHECK_THROWS_AS(run_on_threads(n_threads,
                                   [&] {
                                     if (++n_started == 2) throw std::out_of_range("one");
                                     work_for_ever();
                                   }),
                    std::out_of_range);
  }
  // Jobs within jobs: the innermost error, not the interruption of those around it.
  PolledCall call;
  CHECK_THROWS_AS(for_each_piece(4, 1, 3,
                                 [](std::size_t i, std::size_t) {
                                   for_each_piece(4, 1, 3, [i](std::size_t j, std::size_t) {
                                     if (i == 2 && j == 2) throw std::out_of_range("inner");
                                     if (i < 2) work_for_ever();
                                   });
                                 }),
                  std::out_of_range);
}

TEST_CASE("without a call an error ends the pieces") {
  std::atomic<int> n_begun{0};
  CHECK_THROWS_AS(for_each_piece(100000, 1, 2,
                                 [&](std::size_t, std::size_t) {
                                   ++n_begun;
                                   std::this_thread::sleep_for(milliseconds(1));
                                   throw Enough();
                                 }),
                  Enough);
  CHECK(n_begun <= 2);
}

TEST_CASE("a poll may call the core; the calls do not touch each other") {
  std::atomic<int> sum{0};
  PolledCall outer([&] {
    PolledCall inner(throw_enough);
    CHECK(inner.is_nested());
    CHECK(outer.has_polled_for(milliseconds(0)));
    CHECK_THROWS_AS(run_on_threads(3, work_for_ever), Enough);
  });
  CHECK(!outer.is_nested());
  for_each_piece(200, 1, 3, [&](std::size_t, std::size_t) {
    std::this_thread::sleep_for(milliseconds(2));
    ++sum;
  });
  CHECK(sum == 200);
  CHECK(outer.n_polls() > 0);
  CHECK(!outer.has_polled_for(milliseconds(0)));
  CHECK(Interruption::current() == &outer);
}

TEST_CASE("callers at once: the end of one call is that of no other") {
  std::atomic<int> n_wrong{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      for (int round = 0; round < 5; ++round) {
        if (i % 2 == 0) {
          PolledCall call(throw_enough);
          try {
            run_on_threads(3, work_for_ever);
            ++n_wrong;
          } catch (const Enough&) {
          }
        } else {
          PolledCall call;
          std::atomic<int> n_done{0};
          for_each_piece(40, 1, 3, [&](std::size_t, std::size_t) {
            std::this_thread::sleep_for(milliseconds(1));
            ++n_done;
          });
          n_wrong += n_done != 40;
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(n_wrong == 0);
}

// A cancelled call ends at its first check: every function of the core has one, and none of its
// loops is left out.
TEST_CASE("every function of the core ends") {
  const Kernels& kernels = kScalarKernels;
  const std::vector<float> floats(40 * 64, 0.5f);
  const std::vector<double> doubles(40 * 64, 0.5);
  const std::vector<std::uint8_t> bytes(std::size_t{5} << 20, 3);
  const Matrix<float> vectors{floats.data(), 40, 64, 64 * 4};
  const Matrix<double> wide{doubles.data(), 40, 64, 64 * 8};
  const Matrix<std::uint8_t> codes{bytes.data(), 600000, 8, 8};
  const Matrix<std::uint8_t> few{bytes.data(), 40, 8, 8};
  const Matrix<std::uint8_t> magnitudes{bytes.data(), 40, 64, 64};
  const std::vector<std::int64_t> candidate_rows(40 * 100, 7);
  const CandidateRows candidates{{candidate_rows.data(), 40, 100, 800}, nullptr, 3};
  std::vector<std::uint8_t> out(std::size_t{1} << 20);
  std::vector<float> scores(std::size_t{1} << 20);
  std::vector<double> numbers(4 * 40);
  std::vector<std::int32_t> distances(std::size_t{2} << 20);
  std::vector<std::int64_t> rows(std::size_t{2} << 20);
  std::vector<std::uint16_t> factors(80);
  const RoundedQueries rounded{out.data(),   out.data() + 1000, numbers.data(),
                               &numbers[40], &numbers[80],      &numbers[120]};
  for (const std::size_t n_threads : {std::size_t{1}, std::size_t{64}}) {
    CAPTURE(n_threads);
    PolledCall call;
    call.cancel();
    const auto ends = [](auto&& function) { CHECK_THROWS_AS(function(), Interrupted); };
    ends([&] { pack(kernels, vectors, floats.data(), n_threads, out.data()); });
    ends([&] { pack(kernels, wide, doubles.data(), n_threads, out.data()); });
    ends([&] { pack(kernels, few, n_threads, out.data()); });
    ends([&] {
      encode_integers(IntegerType::kInt4, vectors, floats.data(), floats.data(), n_threads,
                      out.data());
    });
    ends([&] {
      centre_and_rotate({true, floats.data(), {floats.data(), 1, 64, 256}}, vectors, n_threads,
                        scores.data());
    });
    ends([&] { round_queries(wide, floats.data(), n_threads, rounded); });
    ends([&] { correction_factors({Metric::kL2, nullptr}, vectors, n_threads, factors.data()); });
    for (const bool weighted : {false, true}) {
      const Queries queries{few, weighted ? magnitudes : Matrix<std::uint8_t>{}};
      ends([&] {
        scan(kernels, codes, queries, {.k = 3, .n_threads = n_threads}, distances.data(),
             rows.data());
      });
    }
    ends([&] {
      shared_scan(kernels, codes, {{bytes.data(), 1, 8, 8}}, {.k = 3, .n_threads = 64},
                  distances.data(), rows.data());
    });
    ends([&] { self_join(kernels, few, 3, n_threads, distances.data(), rows.data()); });
    ends([&] { all_pairs(kernels, few, few, n_threads, distances.data()); });
    ends([&] {
      rescore(kernels, Metric::kDot, vectors, vectors, candidates, n_threads, scores.data(),
              rows.data());
    });
    ends([&] {
      rescore_codes(kernels, codes, {few, magnitudes}, candidates, nullptr, n_threads,
                    scores.data(), rows.data());
    });
  }
}

TEST_CASE("long work of one piece ends: large k, long codes") {
  PolledCall call;
  constexpr std::size_t kMany = 3 * kValuesBetweenChecks;
  std::vector<std::int32_t> distances(kMany);
  std::vector<std::int64_t> rows(kMany);
  const auto best_of = [](std::size_t k, std::size_t n) {
    TopK best(k, n, ByDistanceThenId{nullptr}, Arrival::kAnyOrder);
    for (std::size_t i = 0; i < n; ++i) {
      best.offer(static_cast<std::int32_t>(i * 7919 % 1000), static_cast<std::int64_t>(i));
    }
    return best;
  };
  TopK large = best_of(kMany, kMany);
  TopK small = best_of(5, 5);
  const TopK other = large;
  // Two rows of which each has 65,536 bits: a block takes long, and is compared in slices.
  const std::vector<std::uint8_t> bytes(std::size_t{300} * kMaxCodeBytes, 3);
  const Matrix<std::uint8_t> codes{bytes.data(), 300, kMaxCodeBytes, kMaxCodeBytes};
  call.cancel();
  CHECK_THROWS_AS(large.sorted(), Interrupted);
  CHECK_THROWS_AS(large.take(other), Interrupted);
  Checkpoint checkpoint(kValuesBetweenChecks);
  CHECK_THROWS_AS(write_best(small, kMany, checkpoint, distances.data(), rows.data()), Interrupted);
  const QueryBatch batch({codes}, 0, 256);
  Checkpoint bytes_checked(kBytesBetweenChecks);
  for (const BatchKernel* kernel : {&kScalarKernels.batch, &kScalarKernels.weighted_batch}) {
    std::size_t n_slices = 0;
    const auto slices = [&] {
      for_each_slice(*kernel, batch, kMaxCodeBytes, bytes_checked,
                     [&](const GroupSlice&) { ++n_slices; });
    };
    CHECK_THROWS_AS(slices(), Interrupted);
    CHECK(n_slices <= 1);
  }
}

TEST_CASE("slices are all groups, once") {
  const std::vector<std::uint8_t> bytes(std::size_t{260} * kMaxCodeBytes, 3);
  for (const std::size_t n_bytes : Sizes{1, 96, 1024, kMaxCodeBytes}) {
    for (const std::size_t n : Sizes{1, 15, 17, 100, 256}) {
      const QueryBatch batch({{bytes.data(), n, n_bytes, static_cast<std::ptrdiff_t>(n_bytes)}}, 0,
                             n);
      for (const Kernels* kernels : available_kernels()) {
        for (const BatchKernel* kernel : {&kernels->batch, &kernels->weighted_batch}) {
          if (n_bytes > kernel->max_code_bytes) continue;
          Checkpoint checkpoint(kBytesBetweenChecks);
          std::size_t next = 0;
          for_each_slice(*kernel, batch, n_bytes, checkpoint, [&](const GroupSlice& slice) {
            CHECK(slice.n_groups > 0);
            CHECK(slice.first_query == next * kernel->group_queries);
            CHECK(slice.groups == batch.groups(*kernel) + next * batch.group_bytes(*kernel));
            next += slice.n_groups;
          });
          CHECK(next == batch.n_groups(*kernel));
        }
      }
    }
  }
}

}  // namespace
}  // namespace bitsift::test
