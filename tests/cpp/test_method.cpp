// SPDX-License-Identifier: Apache-2.0
// How a method is chosen: only those that can, the cheapest most of the time, the others at times.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "kernels/dispatch.hpp"
#include "levels.hpp"
#include "method.hpp"
#include "sizes.hpp"

namespace bitsift::test {
namespace {

bool has(const Candidates& candidates, Method method) {
  const auto all = candidates.all();
  return std::find(all.begin(), all.end(), method) != all.end();
}

TEST_CASE("candidates can do the work") {
  for (const Kernels* kernels : tested_kernels()) {
    CAPTURE(kernels->name);
    for (const std::size_t n_queries : Sizes{1, 2, 3, 4, 5, 16, 17, 256}) {
      CAPTURE(n_queries);
      for (const std::size_t n_bytes : Sizes{1, 96, kMaxCodeBytes - 1, kMaxCodeBytes}) {
        CAPTURE(n_bytes);
        for (const bool weighted : {false, true}) {
          CAPTURE(weighted);
          const Candidates candidates(*kernels, n_queries, n_bytes, weighted);
          REQUIRE(!candidates.all().empty());
          CHECK(candidates.first() == candidates.all().front());
          CHECK(has(candidates, candidates.first()));
          if (has(candidates, Method::kBatch)) {
            CHECK(!weighted);
            CHECK(n_bytes <= kernels->batch.max_code_bytes);
          }
          if (n_queries == 1) CHECK(candidates.first() == Method::kRows);
          if (n_queries > 16) CHECK(candidates.first() != Method::kRows);
        }
      }
    }
  }
}

TEST_CASE("amx: the tile unit rivals the population count, for many queries") {
#if defined(__x86_64__)
  const Candidates candidates(amx_kernels(), 256, 96, false);
  CHECK(has(candidates, Method::kBatch));
  CHECK(has(candidates, Method::kProduct));
#endif
}

// How often each method is chosen in 10,000 turns of these costs.
std::map<Method, int> turns(MethodCosts& costs, const Candidates& candidates,
                            const std::map<Method, double>& seconds) {
  std::map<Method, int> result;
  for (int i = 0; i < 10000; ++i) {
    const Method method = costs.next(candidates);
    ++result[method];
    costs.learn(method, seconds.at(method));
  }
  return result;
}

TEST_CASE("the cheapest is chosen, and another one when it has become the cheapest") {
  const Candidates candidates(kScalarKernels, 4, 96, false);
  REQUIRE(candidates.all().size() == 2);
  MethodCosts costs;
  for (const bool rows_are_cheap : {true, false, true}) {
    const double rows = rows_are_cheap ? 1e-9 : 5e-9;
    auto found = turns(costs, candidates, {{Method::kRows, rows}, {Method::kBatch, 2e-9}});
    const Method cheap = rows_are_cheap ? Method::kRows : Method::kBatch;
    const Method dear = rows_are_cheap ? Method::kBatch : Method::kRows;
    CHECK(costs.best(candidates) == cheap);
    CHECK(found[cheap] > 9600);
    CHECK(found[dear] > 10);  // or a change would go unnoticed
  }
}

TEST_CASE("one slow turn does not turn the choice for long") {
  const Candidates candidates(kScalarKernels, 4, 96, false);
  MethodCosts costs;
  turns(costs, candidates, {{Method::kRows, 1e-9}, {Method::kBatch, 2e-9}});
  costs.learn(Method::kRows, 1);  // a second for a pair: the thread was interrupted
  for (int i = 0; i < 300; ++i) {
    const Method method = costs.next(candidates);
    costs.learn(method, method == Method::kRows ? 1e-9 : 2e-9);
  }
  CHECK(costs.best(candidates) == Method::kRows);
}

TEST_CASE("works of other shapes are learned apart") {
  const auto& of = [](std::size_t n_queries, std::size_t n_bytes, bool weighted) {
    return &MethodCosts::of(kScalarKernels, n_queries, n_bytes, weighted);
  };
  CHECK(of(4, 96, false) == of(4, 97, false));
  CHECK(of(4, 96, false) != of(3, 96, false));
  CHECK(of(4, 96, false) != of(4, 96, true));
  CHECK(of(4, 96, false) != of(4, 200, false));
  CHECK(of(256, 96, false) == of(200, 96, false));
  CHECK(of(1, 1, false) != of(256, kMaxCodeBytes, true));
  CHECK(of(100000, kMaxCodeBytes, true) != nullptr);  // inside the table
}

}  // namespace
}  // namespace bitsift::test
