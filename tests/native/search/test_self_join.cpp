// SPDX-License-Identifier: Apache-2.0
// The nearest other rows, on every level, including emulated ones.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <vector>

#include "base/interruption.hpp"
#include "helpers/levels.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"
#include "search/self_join.hpp"

namespace bitsift::test {
namespace {

Results<std::int32_t> naive_self_join(Matrix<std::uint8_t> codes, std::size_t k) {
  const auto all = naive_search(codes, {codes}, nullptr, codes.n_rows);
  Results<std::int32_t> wanted;
  for (std::size_t row = 0; row < codes.n_rows; ++row) {
    std::size_t n = 0;
    for (std::size_t i = row * codes.n_rows; n < k && i < (row + 1) * codes.n_rows; ++i) {
      if (all.rows[i] == static_cast<std::int64_t>(row)) continue;
      wanted.values.push_back(all.values[i]);
      wanted.rows.push_back(all.rows[i]);
      ++n;
    }
    for (; n < k; ++n) {
      wanted.values.push_back(std::numeric_limits<std::int32_t>::max());
      wanted.rows.push_back(-1);
    }
  }
  return wanted;
}

TEST_CASE("every level, blocks and their edges, ties") {
  Random random(1);
  for (const std::size_t n : Sizes{1, 2, 257, 511, 512, 513, 700}) {
    CAPTURE(n);
    for (const std::size_t n_bytes : Sizes{1, 13}) {
      CAPTURE(n_bytes);
      const auto bytes = random.bytes(n * n_bytes);
      const auto codes = matrix_of(bytes, n_bytes);
      for (const std::size_t k : Sizes{1, 10, n + 1}) {
        CAPTURE(k);
        const auto wanted = naive_self_join(codes, k);
        for (const Kernels* kernels : tested_kernels()) {
          CAPTURE(kernels->name);
          // Twice: the measured costs may choose another kernel.
          for (const std::size_t n_threads : Sizes{1, 3}) {
            Results<std::int32_t> found{std::vector<std::int32_t>(n * k, -5),
                                        std::vector<std::int64_t>(n * k, -5)};
            JoinProgress progress;
            self_join(*kernels, codes, k, n_threads, found.values.data(), found.rows.data(),
                      &progress);
            CHECK(found == wanted);
            CHECK(progress.n_done == n * (n - 1) / 2);
            CHECK(progress.n_all == n * (n - 1) / 2);
          }
        }
      }
    }
  }
}

TEST_CASE("a poll sees progress; its exception reaches the caller, with any number of threads") {
  struct Call : Interruption {
    explicit Call(const JoinProgress& p) : progress(p) {}
    void poll() override {
      seen.push_back(progress.part());
      if (seen.size() == 3) throw std::runtime_error("enough");
    }
    const JoinProgress& progress;
    std::vector<double> seen;
  };
  constexpr std::size_t kRows = 60000;
  Random random(2);
  const auto bytes = random.bytes(kRows * 96);
  const auto codes = matrix_of(bytes, 96);
  std::vector<std::int32_t> distances(kRows);
  std::vector<std::int64_t> rows(kRows);
  for (const std::size_t n_threads : Sizes{1, 4}) {
    JoinProgress progress;
    Call call(progress);
    CHECK_THROWS_AS(
        self_join(kScalarKernels, codes, 1, n_threads, distances.data(), rows.data(), &progress),
        std::runtime_error);
    CHECK(call.seen.size() == 3);
    CHECK(std::is_sorted(call.seen.begin(), call.seen.end()));
    CHECK(0 < call.seen.front());
    CHECK(call.seen.back() < 1);
  }
}

}  // namespace
}  // namespace bitsift::test
