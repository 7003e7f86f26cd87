// SPDX-License-Identifier: Apache-2.0
// Only eligible methods are chosen: the cheapest most of the time, the others now and then.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "helpers/levels.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "search/scan_method.hpp"

namespace bitsift::test {
namespace {

bool has(const EligibleMethods& eligible, ScanMethod method) {
  const auto all = eligible.all();
  return std::find(all.begin(), all.end(), method) != all.end();
}

TEST_CASE("eligible methods can scan") {
  for (const Kernels* kernels : tested_kernels()) {
    CAPTURE(kernels->name);
    for (const std::size_t n_queries : Sizes{1, 2, 3, 4, 5, 16, 17, 256}) {
      CAPTURE(n_queries);
      const EligibleMethods eligible(*kernels, {n_queries, 1000, 96, 1, false});
      REQUIRE(!eligible.all().empty());
      CHECK(eligible.first() == eligible.all().front());
      CHECK(has(eligible, eligible.first()));
      if (has(eligible, ScanMethod::kProduct)) CHECK(kernels->product != nullptr);
      if (n_queries == 1) CHECK(eligible.first() == ScanMethod::kRows);
      if (n_queries > 16) CHECK(!has(eligible, ScanMethod::kRows));
    }
  }
}

TEST_CASE("rows that are read once, from memory, may be prefetched") {
  for (const bool weighted : {false, true}) {
    CAPTURE(weighted);
    const auto ahead = [&](std::size_t n_queries, std::size_t n_rows) {
      const EligibleMethods eligible(kScalarKernels, {n_queries, n_rows, 96, 1, weighted});
      CHECK(has(eligible, ScanMethod::kRowsAhead) == has(eligible, ScanMethod::kRowsFarAhead));
      return has(eligible, ScanMethod::kRowsAhead);
    };
    CHECK(ahead(1, 1'000'000));
    CHECK(!ahead(1, 10'000));
    CHECK(ahead(2, 1'000'000) == !weighted);
    CHECK(!ahead(3, 1'000'000));
  }
}

TEST_CASE("amx: the tile unit rivals the population count and look-ups, for many queries") {
#if defined(__x86_64__)
  const EligibleMethods eligible(amx_kernels(), {256, 1000, 96, 1, false});
  CHECK(has(eligible, ScanMethod::kBatch));
  CHECK(has(eligible, ScanMethod::kProduct));
#endif
}

// How often each method is chosen in 10,000 turns of these costs.
std::map<ScanMethod, int> turns(MethodCosts& costs, const EligibleMethods& eligible,
                                const std::map<ScanMethod, double>& seconds) {
  std::map<ScanMethod, int> result;
  for (int i = 0; i < 10000; ++i) {
    const ScanMethod method = costs.next(eligible.all());
    ++result[method];
    costs.learn(method, seconds.at(method));
  }
  return result;
}

TEST_CASE("the cheapest is chosen, and another one when it has become the cheapest") {
  const EligibleMethods eligible(kScalarKernels, {4, 1000, 96, 1, false});
  REQUIRE(eligible.all().size() == 2);
  MethodCosts costs;
  for (const bool rows_are_cheap : {true, false, true}) {
    const double rows = rows_are_cheap ? 1e-9 : 5e-9;
    auto found = turns(costs, eligible, {{ScanMethod::kRows, rows}, {ScanMethod::kBatch, 2e-9}});
    const ScanMethod cheap = rows_are_cheap ? ScanMethod::kRows : ScanMethod::kBatch;
    const ScanMethod dear = rows_are_cheap ? ScanMethod::kBatch : ScanMethod::kRows;
    CHECK(costs.best(eligible.all()) == cheap);
    CHECK(found[cheap] > 9600);
    CHECK(found[dear] > 10);  // else a change would not be noticed
  }
}

TEST_CASE("one slow measurement does not change the choice for long") {
  const EligibleMethods eligible(kScalarKernels, {4, 1000, 96, 1, false});
  MethodCosts costs;
  turns(costs, eligible, {{ScanMethod::kRows, 1e-9}, {ScanMethod::kBatch, 2e-9}});
  costs.learn(ScanMethod::kRows, 1);  // a second for a pair: the thread was interrupted
  for (int i = 0; i < 300; ++i) {
    const ScanMethod method = costs.next(eligible.all());
    costs.learn(method, method == ScanMethod::kRows ? 1e-9 : 2e-9);
  }
  CHECK(costs.best(eligible.all()) == ScanMethod::kRows);
}

TEST_CASE("scans of different shapes have costs of their own") {
  MethodCostTable table;
  const auto of = [&](std::size_t n_queries, std::size_t n_bytes, bool weighted,
                      std::size_t n_rows = 1000, std::size_t n_threads = 1) {
    return &table.costs_of(kScalarKernels, {n_queries, n_rows, n_bytes, n_threads, weighted});
  };
  CHECK(of(4, 96, false) == of(4, 97, false));
  CHECK(of(4, 96, false) != of(3, 96, false));
  CHECK(of(4, 96, false) != of(4, 96, true));
  CHECK(of(4, 96, false) != of(4, 200, false));
  CHECK(of(256, 96, false) == of(200, 96, false));
  CHECK(of(1, 1, false) != of(256, kMaxCodeBytes, true));
  CHECK(of(100000, kMaxCodeBytes, true) != nullptr);  // inside the table
  CHECK(of(1, 96, false, 1000) == of(1, 96, false, 2000));
  CHECK(of(1, 96, false, 1000) != of(1, 96, false, 1'000'000));
  CHECK(of(1, 96, false, 1000, 2) == of(1, 96, false, 1000, 7));
  CHECK(of(1, 96, false, 1000, 2) != of(1, 96, false, 1000, 1));
}

}  // namespace
}  // namespace bitsift::test
