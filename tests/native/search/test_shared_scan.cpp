// SPDX-License-Identifier: Apache-2.0
// Concurrent callers share scans, and each gets its own results.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/platform.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"
#include "search/shared_scan.hpp"

namespace bitsift::test {
namespace {

constexpr std::size_t kRows = 50000;
constexpr std::size_t kBytes = 96;  // 4.8 MB in all: worth a shared scan

struct Work {
  Matrix<std::uint8_t> codes;
  Queries queries;
  ScanOptions options;
  Results<std::int32_t> wanted;
};

bool is_right(const Work& work) {
  const std::size_t n = work.queries.codes.n_rows * work.options.k;
  Results<std::int32_t> found{std::vector<std::int32_t>(n, -5), std::vector<std::int64_t>(n, -5)};
  shared_scan(*available_kernels().back(), work.codes, work.queries, work.options,
              found.values.data(), found.rows.data());
  return found == work.wanted;
}

// Every thread does all works, each starting with a different one.
void check_at_once(const std::vector<Work>& works, std::size_t n_threads, std::size_t n_rounds) {
  std::atomic<int> n_wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < n_threads; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < n_rounds * works.size(); ++i) {
        if (!is_right(works[(i + t) % works.size()])) ++n_wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(n_wrong == 0);
}

TEST_CASE("works of one kind, of many kinds, from many threads") {
  Random random(1);
  const auto code_bytes = random.bytes(kRows * kBytes);
  const auto query_bytes = random.bytes(20 * kBytes);
  std::vector<std::uint8_t> magnitudes(20 * 8 * kBytes);
  for (auto& m : magnitudes) m = static_cast<std::uint8_t>(random.below(32));
  const auto ids = random.ids(kRows);
  const auto codes = matrix_of(code_bytes, kBytes);
  const auto part = [&](std::size_t begin, std::size_t n, bool weighted) {
    Queries queries = {{query_bytes.data() + begin * kBytes, n, kBytes, kBytes}};
    if (weighted) {
      queries.magnitudes = {magnitudes.data() + begin * 8 * kBytes, n, 8 * kBytes, 8 * kBytes};
    }
    return queries;
  };
  const std::size_t all_threads = available_threads();
  std::vector<Work> alike;
  for (std::size_t i = 0; i < 6; ++i) {
    alike.push_back({codes, part(i, 1 + i % 3, false), {.k = 7, .n_threads = all_threads}, {}});
  }
  std::vector<Work> various = alike;
  Matrix<std::uint8_t> fewer = codes;
  fewer.n_rows -= 5;
  various.push_back({fewer, part(1, 1, false), {.k = 7, .n_threads = all_threads}, {}});
  various.push_back({codes, part(2, 2, true), {.k = 7, .n_threads = all_threads}, {}});
  various.push_back({codes, part(3, 1, true), {.k = 7, .n_threads = all_threads}, {}});
  various.push_back({codes, part(4, 1, false), {.k = 3, .n_threads = all_threads}, {}});
  various.push_back({codes, part(5, 1, false), {7, ids.data(), all_threads}, {}});
  various.push_back({codes, part(6, 1, false), {.k = 7, .n_threads = 1}, {}});
  various.push_back({codes, part(0, 20, false), {.k = 7, .n_threads = all_threads}, {}});
  for (auto* works : {&alike, &various}) {
    for (Work& work : *works) {
      work.wanted = naive_search(work.codes, work.queries, work.options.ids, work.options.k);
      CHECK(is_right(work));
    }
  }
  check_at_once(alike, 8, 4);
  check_at_once(various, 8, 3);
}

TEST_CASE("no queries, or k = 0") {
  Random random(2);
  const auto code_bytes = random.bytes(kRows * kBytes);
  const auto codes = matrix_of(code_bytes, kBytes);
  const ScanOptions options = {.k = 0, .n_threads = available_threads()};
  shared_scan(kScalarKernels, codes, {{code_bytes.data(), 2, kBytes, kBytes}}, options, nullptr,
              nullptr);
  shared_scan(kScalarKernels, codes, {{code_bytes.data(), 0, kBytes, kBytes}},
              {.k = 3, .n_threads = available_threads()}, nullptr, nullptr);
}

}  // namespace
}  // namespace bitsift::test
