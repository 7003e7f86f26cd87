// SPDX-License-Identifier: Apache-2.0
#include "retrieval/one_query.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"

namespace bitsift::test {
namespace {

constexpr std::int64_t kUnwritten = -5;

void replace_by_ids(std::vector<std::int64_t>& rows, const std::int64_t* ids) {
  for (auto& row : rows) {
    if (row >= 0 && ids != nullptr) row = ids[row];
  }
}

template <class Value>
Results<Value> room_for(std::size_t k) {
  return {std::vector<Value>(k, -5), std::vector<std::int64_t>(k, kUnwritten)};
}

// The search of a code and of its values, against the reference.
void check_search(IndexedRows rows, const std::vector<std::uint8_t>& code,
                  const std::vector<float>& query, const Wanted& wanted) {
  const std::size_t k = wanted.k;
  const std::size_t n_candidates = wanted.n_candidates;
  const std::size_t n_bytes = rows.codes.n_columns;
  const Queries queries = {.codes = {.data = code.data(), .n_rows = 1, .n_columns = n_bytes}};
  auto nearest = naive_search(rows.codes, queries, rows.tie_ids, k);
  replace_by_ids(nearest.rows, rows.ids);
  const auto candidates = naive_search(rows.codes, queries, rows.tie_ids, n_candidates).rows;
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    rows.kernels = kernels;
    for (const std::size_t n_threads : Sizes{1, 3}) {
      auto found = room_for<std::int32_t>(k);
      search_code(rows, code.data(), k, n_threads, found.values.data(), found.rows.data());
      CHECK(found == nearest);
      std::visit(
          [&](const auto& originals) {
            if constexpr (!std::is_same_v<std::decay_t<decltype(originals)>, std::monostate>) {
              auto best = naive_rescore(rows.metric, originals, matrix_of(query, rows.dim),
                                        {.rows = matrix_of(candidates, n_candidates),
                                         .ids = rows.tie_ids,
                                         .k = k,
                                         .steps = wanted.steps});
              replace_by_ids(best.rows, rows.ids);
              auto rescored = room_for<float>(k);
              search_and_rescore(rows, code.data(), query.data(), wanted, n_threads,
                                 rescored.values.data(), rescored.rows.data());
              CHECK(rescored == best);
            }
          },
          rows.originals);
    }
  }
}

TEST_CASE("the nearest rows, rescored or not, by their ids") {
  Random random(1);
  for (const std::size_t n : Sizes{0, 1, 7, 300, 3000}) {
    CAPTURE(n);
    const std::size_t dim = 37;
    const std::size_t n_bytes = 5;
    const auto codes = random.bytes(n * n_bytes);
    const auto values = random.floats(n * dim);
    std::vector<Half> halves;
    for (const float x : values) halves.push_back(half_of(static_cast<double>(x)));
    const auto bytes = random.bytes(n * dim);
    const std::vector<double> base(dim, 0.25);
    const std::vector<double> step(dim, 0.01);
    const auto ids = random.ids(n);
    const auto code = random.bytes(n_bytes);
    const auto query = random.floats(dim);
    IndexedRows rows{};
    rows.dim = dim;
    rows.codes = {codes.data(), n, n_bytes, static_cast<std::ptrdiff_t>(n_bytes)};
    const Originals stores[] = {
        std::monostate{}, matrix_of(values, dim), matrix_of(halves, dim),
        IntegerVectors{.rows = matrix_of(bytes, dim),
                       .type = IntegerType::kInt8,
                       .dim = dim,
                       .scale = {.base = base.data(), .step = step.data()}}};
    for (const Originals& originals : stores) {
      CAPTURE(originals.index());
      rows.originals = originals;
      CHECK(rows.has_originals() == (originals.index() != 0));
      for (const Metric metric : {Metric::kCosine, Metric::kDot, Metric::kL2}) {
        rows.metric = metric;
        rows.ids = rows.tie_ids = nullptr;
        for (const std::size_t k : Sizes{0, 1, 10, 400}) {
          check_search(rows, code, query, {std::min(k, n), std::min(4 * k, n), {}});
        }
        const Wanted ten = {std::min<std::size_t>(10, n), std::min<std::size_t>(40, n), {}};
        rows.ids = ids.data();
        check_search(rows, code, query, ten);
        rows.tie_ids = ids.data();
        check_search(rows, code, query, ten);
        if (n < 300) continue;
        const std::vector<Step> steps = {{3, 20}, {30, 200}};
        check_search(rows, code, query, {25, 200, steps});
      }
    }
  }
}

TEST_CASE("a query becomes the code of its values, centred and rotated if the index does so") {
  Random random(2);
  for (const std::size_t dim : Sizes{1, 8, 37, 64, 384}) {
    CAPTURE(dim);
    const auto query = random.floats(dim);
    const auto thresholds = random.floats(dim);
    std::vector<float> flips(2 * flips_per_round(dim) * dim);
    for (float& sign : flips) sign = random.below(2) == 0 ? 1.0f : -1.0f;
    const CentredRotation rotation = {
        .normalize = true, .threshold = thresholds.data(), .flips = matrix_of(flips, dim)};
    const std::vector<float> zeros(dim);
    const auto centred = naive_centre_and_rotate(rotation, query.data(), dim);
    const auto plain_code = naive_pack(query.data(), thresholds.data(), dim).codes;
    const auto rotated_code = naive_pack(centred.data(), zeros.data(), dim).codes;
    for (const Kernels* kernels : available_kernels()) {
      CAPTURE(kernels->name);
      IndexedRows rows{};
      rows.kernels = kernels;
      rows.dim = dim;
      rows.rule.thresholds = thresholds.data();
      std::vector<std::uint8_t> code((dim + 7) / 8);
      CHECK(encode_query(rows, query.data(), code.data()));
      CHECK(code == plain_code);
      rows.rule = {.centring = rotation, .thresholds = zeros.data()};
      CHECK(encode_query(rows, query.data(), code.data()));
      CHECK(code == rotated_code);
      for (const float wrong :
           {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        auto changed = query;
        changed[dim - 1] = wrong;
        CHECK_FALSE(encode_query(rows, changed.data(), code.data()));
        rows.rule.centring.reset();
        CHECK_FALSE(encode_query(rows, changed.data(), code.data()));
      }
    }
  }
}

TEST_CASE("a query that is finite, but is not once it is rotated") {
  const std::size_t dim = 4;
  const std::vector<float> zeros(dim);
  const std::vector<float> flips(dim, 1);
  const std::vector<float> query(dim, std::numeric_limits<float>::max());
  IndexedRows rows{};
  rows.kernels = available_kernels().front();
  rows.dim = dim;
  rows.rule = {.centring = CentredRotation{.normalize = false,
                                           .threshold = zeros.data(),
                                           .flips = matrix_of(flips, dim)},
               .thresholds = zeros.data()};
  std::uint8_t code = 0;
  CHECK_FALSE(encode_query(rows, query.data(), &code));
}

TEST_CASE("few bytes of codes and of candidates are for one thread") {
  const std::vector<float> values(1024);
  IndexedRows rows{};
  rows.codes = {.data = nullptr, .n_rows = 1000, .n_columns = 96};
  rows.originals = Matrix<float>{values.data(), 1000, 1024, 4096};
  CHECK(is_for_one_thread(rows, 0));
  CHECK(is_for_one_thread(rows, 100));
  CHECK_FALSE(is_for_one_thread(rows, 1000));
  rows.codes.n_rows = 100'000;
  CHECK_FALSE(is_for_one_thread(rows, 0));
}

}  // namespace
}  // namespace bitsift::test
