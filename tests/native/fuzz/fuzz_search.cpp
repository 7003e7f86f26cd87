// SPDX-License-Identifier: Apache-2.0
// Searches and rescorings, which choose kernels and divide work, give the results of level `scalar`
// on one thread; of these, the oracle checks searches.
#include "fuzz/codes.hpp"
#include "oracle/naive.hpp"
#include "rescoring/rescore.hpp"
#include "rescoring/rescore_codes.hpp"
#include "search/scan.hpp"

namespace bitsift::test {
namespace {

// Queries with magnitudes or without, ids or none.
struct Problem {
  explicit Problem(Input& input, bool must_have_magnitudes = false)
      : n_bytes(input.between(1, 40)),
        n_rows(input.flag() ? input.below(700) : input.below(40)),
        n_queries(input.between(1, 40)),
        k(input.between(1, 30)),
        n_threads(input.between(1, 3)),
        rows(input, n_rows, n_bytes),
        codes(n_queries * n_bytes, input.below(8)),
        magnitudes(n_queries * 8 * n_bytes),
        ids(input.random().ids(n_rows)) {
    fill_bytes(input, codes.get(), codes.size());
    fill_bytes(input, magnitudes.get(), magnitudes.size());
    for (std::uint8_t& m : magnitudes) m &= (1 << kMagnitudeBits) - 1;
    queries.codes = {codes.get(), n_queries, n_bytes, static_cast<std::ptrdiff_t>(n_bytes)};
    if (must_have_magnitudes || input.flag()) {
      queries.magnitudes = {magnitudes.get(), n_queries, 8 * n_bytes,
                            static_cast<std::ptrdiff_t>(8 * n_bytes)};
    }
    ids_or_none = input.flag() ? ids.data() : nullptr;
  }

  std::size_t n_bytes;
  std::size_t n_rows;
  std::size_t n_queries;
  std::size_t k;
  std::size_t n_threads;
  Rows rows;
  Exact<std::uint8_t> codes;
  Exact<std::uint8_t> magnitudes;
  std::vector<std::int64_t> ids;
  Queries queries;
  const std::int64_t* ids_or_none;
};

// search(kernels, n_threads, values, rows) writes n results.
template <class Value, class Search>
Results<Value> compare(std::size_t n, std::size_t n_threads, const char* name, Search search) {
  const auto results_of = [&](const Kernels& kernels, std::size_t threads) {
    const Exact<Value> values(n);
    const Exact<std::int64_t> rows(n);
    search(kernels, threads, values.get(), rows.get());
    return Results<Value>{{values.begin(), values.end()}, {rows.begin(), rows.end()}};
  };
  const Results<Value> wanted = results_of(scalar_kernels(), 1);
  for (const Kernels* kernels : available_kernels()) {
    const Results<Value> found = results_of(*kernels, n_threads);
    expect(all_same(found.values, wanted.values) && found.rows == wanted.rows,
           std::string(name) + " of " + kernels->name + " differs from that of scalar");
  }
  return wanted;
}

void searches(Input& input) {
  const Problem problem(input);
  const Results<std::int32_t> found = compare<std::int32_t>(
      problem.n_queries * problem.k, problem.n_threads, "scan",
      [&](const Kernels& kernels, std::size_t n_threads, std::int32_t* distances,
          std::int64_t* rows) {
        ScanOptions options;
        options.k = problem.k;
        options.ids = problem.ids_or_none;
        options.n_threads = n_threads;
        scan(kernels, problem.rows.view(), problem.queries, options, distances, rows);
      });
  expect(
      found == naive_search(problem.rows.view(), problem.queries, problem.ids_or_none, problem.k),
      "a search differs from the oracle's");
}

// Rows to rescore, -1 for none.
Exact<std::int64_t> some_candidates(Input& input, std::size_t n, std::size_t n_rows) {
  Exact<std::int64_t> candidates(n);
  Random random = input.random();
  for (std::int64_t& row : candidates) {
    row = static_cast<std::int64_t>(random.below(n_rows + 1)) - 1;
  }
  return candidates;
}

void rescore_by_codes(Input& input) {
  const Problem problem(input, true);
  const std::size_t n_candidates = input.between(1, 50);
  const Exact<std::int64_t> rows =
      some_candidates(input, problem.n_queries * n_candidates, problem.n_rows);
  const CandidateRows candidates = {
      {rows.get(), problem.n_queries, n_candidates, static_cast<std::ptrdiff_t>(8 * n_candidates)},
      problem.ids_or_none,
      problem.k};
  const Metric metric = input.one_of<Metric>({Metric::kCosine, Metric::kDot, Metric::kL2});
  const std::size_t n_factors = metric == Metric::kL2 || input.flag() ? 2 : 1;
  const Exact<std::uint16_t> factors(problem.n_rows * n_factors);
  Random random = input.random();
  for (std::uint16_t& factor : factors) factor = static_cast<std::uint16_t>(random.bits());
  const Exact<double> numbers(3 * problem.n_queries);
  fill_values(random, some_floats(input), numbers.get(), numbers.size());
  const Estimate estimate = {
      .metric = metric,
      .factors = Matrix<std::uint16_t>{factors.get(), problem.n_rows, n_factors,
                                       static_cast<std::ptrdiff_t>(2 * n_factors)},
      .scales = numbers.get(),
      .sums = numbers.get() + problem.n_queries,
      .constants = numbers.get() + 2 * problem.n_queries};
  const bool estimated = input.flag();
  compare<float>(
      problem.n_queries * problem.k, problem.n_threads, "rescore_codes",
      [&](const Kernels& kernels, std::size_t n_threads, float* scores, std::int64_t* found) {
        rescore_codes(kernels, problem.rows.view(), problem.queries, candidates,
                      estimated ? &estimate : nullptr, n_threads, scores, found);
      });
}

// Original vectors as floats, halves or integers.
template <class Call>
void rescore_by(Input& input, std::size_t n, std::size_t n_rows, const char* name, Call call) {
  const std::size_t n_queries = input.between(1, 6);
  const std::size_t n_candidates = input.between(1, 50);
  const std::size_t k = input.between(1, 20);
  const Exact<std::int64_t> rows = some_candidates(input, n_queries * n_candidates, n_rows);
  const std::vector<std::int64_t> ids = input.random().ids(n_rows);
  const CandidateRows candidates = {
      {rows.get(), n_queries, n_candidates, static_cast<std::ptrdiff_t>(8 * n_candidates)},
      input.flag() ? ids.data() : nullptr,
      k};
  const Exact<float> values(n_queries * n);
  Random random = input.random();
  fill_values(random, some_floats(input), values.get(), values.size());
  const Matrix<float> queries = {values.get(), n_queries, n, static_cast<std::ptrdiff_t>(4 * n)};
  const Metric metric = input.one_of<Metric>({Metric::kCosine, Metric::kDot, Metric::kL2});
  const std::size_t threads = input.between(1, 3);
  compare<float>(
      n_queries * k, threads, name,
      [&](const Kernels& kernels, std::size_t n_threads, float* scores, std::int64_t* found) {
        call(kernels, metric, queries, candidates, n_threads, scores, found);
      });
}

template <class Value>
void rescore_by_floats(Input& input) {
  const std::size_t n = input.between(1, 200);
  const std::size_t n_rows = input.between(1, 30);
  const Exact<Value> values(n_rows * n);
  Random random = input.random();
  fill_values(random, some_floats(input), values.get(), values.size());
  const Matrix<Value> originals = {values.get(), n_rows, n,
                                   static_cast<std::ptrdiff_t>(n * sizeof(Value))};
  rescore_by(input, n, n_rows, "rescore",
             [&](const Kernels& kernels, Metric metric, Matrix<float> queries,
                 const CandidateRows& candidates, std::size_t n_threads, float* scores,
                 std::int64_t* rows) {
               rescore(kernels, metric, originals, queries, candidates, n_threads, scores, rows);
             });
}

void rescore_by_integers(Input& input) {
  const auto type = input.one_of<IntegerType>(
      {IntegerType::kInt8, IntegerType::kUint8, IntegerType::kInt4, IntegerType::kTernary});
  const std::size_t n = input.between(1, 200);
  const std::size_t n_rows = input.between(1, 30);
  const Rows rows(input, n_rows, bytes_for(type, n));
  const Exact<double> scales(2 * n);
  Random random = input.random();
  fill_values(random, some_floats(input), scales.get(), scales.size());
  const IntegerVectors originals = {
      .rows = rows.view(), .type = type, .dim = n, .scale = {scales.get(), scales.get() + n}};
  rescore_by(input, n, n_rows, "rescore of integers",
             [&](const Kernels& kernels, Metric metric, Matrix<float> queries,
                 const CandidateRows& candidates, std::size_t n_threads, float* scores,
                 std::int64_t* found) {
               rescore(kernels, metric, originals, queries, candidates, n_threads, scores, found);
             });
}

}  // namespace
}  // namespace bitsift::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bitsift;
  test::Input input(data, size);
  switch (input.below(8)) {
    case 0:
      test::rescore_by_codes(input);
      break;
    case 1:
      test::rescore_by_integers(input);
      break;
    case 2:
      test::rescore_by_floats<float>(input);
      break;
    case 3:
      test::rescore_by_floats<Half>(input);
      break;
    default:
      test::searches(input);
  }
  return 0;
}
