// SPDX-License-Identifier: Apache-2.0
#include "retrieval/one_query.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"

namespace bitsift::test {
namespace {

constexpr std::int64_t kUnwritten = -5;

void replace_by_ids(std::vector<std::int64_t>& rows, RowIds ids) {
  for (auto& row : rows) {
    if (row >= 0 && !ids.are_numbers()) row = ids[static_cast<std::size_t>(row)];
  }
}

template <class Value>
Results<Value> room_for(std::size_t k) {
  return {std::vector<Value>(k, -5), std::vector<std::int64_t>(k, kUnwritten)};
}

// The metric between a rounded query and the signs of a row's bits.
float naive_score(Metric metric, const ScannedQuery& scanned, std::size_t dim,
                  std::int32_t distance) {
  const double product = scanned.scale * (scanned.sum - 2.0 * distance);
  const auto n = static_cast<double>(dim);
  if (metric == Metric::kDot) return static_cast<float>(product);
  if (metric == Metric::kCosine) {
    return static_cast<float>(scanned.norm > 0 ? product / (scanned.norm * std::sqrt(n)) : 0);
  }
  const double square = scanned.norm * scanned.norm + n - 2 * product;
  return static_cast<float>(std::sqrt(std::max(square, 0.0)));
}

// The search of a code and of its values, against the reference.
void check_search(IndexedRows rows, const ScannedQuery& scanned, const std::vector<float>& query,
                  const Wanted& wanted) {
  const std::size_t k = wanted.k;
  const std::size_t n_candidates = wanted.n_candidates;
  const Queries queries = scanned.queries();
  CHECK(queries.weighted() == !scanned.magnitudes.empty());
  auto nearest = naive_search(rows.codes, {.codes = queries.codes}, rows.tie_ids, k);
  replace_by_ids(nearest.rows, rows.ids);
  auto weighted = naive_search(rows.codes, queries, rows.tie_ids, k);
  replace_by_ids(weighted.rows, rows.ids);
  const auto candidates = naive_search(rows.codes, queries, rows.tie_ids, n_candidates).rows;
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    rows.kernels = kernels;
    for (const std::size_t n_threads : Sizes{1, 3}) {
      auto found = room_for<std::int32_t>(k);
      search_code(rows, scanned.code.data(), k, n_threads, found.values.data(), found.rows.data());
      CHECK(found == nearest);
      if (queries.weighted()) {
        auto scored = room_for<float>(k);
        search_by_scores(rows, scanned, k, n_threads, scored.values.data(), scored.rows.data());
        CHECK(scored.rows == weighted.rows);
        for (std::size_t i = 0; i < k; ++i) {
          CHECK(scored.values[i] ==
                naive_score(rows.metric, scanned, rows.dim, weighted.values[i]));
        }
      }
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
              search_and_rescore(rows, scanned, query.data(), wanted, n_threads,
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
    ScannedQuery by_code;
    by_code.code = random.bytes(n_bytes);
    ScannedQuery by_values = by_code;
    for (std::size_t i = 0; i < 8 * n_bytes; ++i) {
      by_values.magnitudes.push_back(static_cast<std::uint8_t>(i < dim ? random.below(32) : 0));
      by_values.sum += by_values.magnitudes.back();
    }
    by_values.scale = 0.125;
    by_values.norm = 3.5;
    const auto query = random.floats(dim);
    IndexedRows rows{};
    rows.dim = dim;
    rows.codes = matrix_of(codes, n_bytes);
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
        for (const ScannedQuery& scanned : {by_code, by_values}) {
          for (const std::size_t k : Sizes{0, 1, 10, 400}) {
            check_search(rows, scanned, query, {std::min(k, n), std::min(4 * k, n), {}});
          }
        }
        const Wanted ten = {std::min<std::size_t>(10, n), std::min<std::size_t>(40, n), {}};
        rows.ids = ids.data();
        check_search(rows, by_code, query, ten);
        rows.tie_ids = ids.data();
        check_search(rows, by_code, query, ten);
        check_search(rows, by_values, query, ten);
        if (n < 300) continue;
        const std::vector<Step> steps = {{3, 20}, {30, 200}};
        check_search(rows, by_code, query, {25, 200, steps});
        check_search(rows, by_values, query, {25, 200, steps});
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
      ScannedQuery scanned;
      CHECK(encode_query(rows, query.data(), scanned));
      CHECK(scanned.code == plain_code);
      CHECK(scanned.magnitudes.empty());
      rows.rule = {.centring = rotation, .thresholds = zeros.data()};
      CHECK(encode_query(rows, query.data(), scanned));
      CHECK(scanned.code == rotated_code);
      CHECK(scanned.magnitudes.empty());
      for (const float wrong :
           {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        auto changed = query;
        changed[dim - 1] = wrong;
        CHECK_FALSE(encode_query(rows, changed.data(), scanned));
        rows.rule.centring.reset();
        CHECK_FALSE(encode_query(rows, changed.data(), scanned));
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
  ScannedQuery scanned;
  CHECK_FALSE(encode_query(rows, query.data(), scanned));
}

// What a query is rounded to, from the values that are compared, in doubles.
void check_rounded(const ScannedQuery& scanned, const std::vector<double>& values) {
  const std::size_t n_bytes = (values.size() + 7) / 8;
  double largest = 0;
  for (const double x : values) largest = std::max(largest, std::abs(x));
  REQUIRE(scanned.magnitudes.size() == 8 * n_bytes);
  std::vector<std::uint8_t> code(n_bytes);
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double share = largest == 0 ? 0 : std::abs(values[i] / largest);
    const auto magnitude = static_cast<std::uint8_t>(std::nearbyint(31 * share));
    CHECK(scanned.magnitudes[i] == magnitude);
    sum += magnitude;
    if (values[i] > 0) code[i / 8] = static_cast<std::uint8_t>(code[i / 8] | 0x80 >> i % 8);
  }
  CHECK(scanned.code == code);
  CHECK(scanned.sum == sum);
  CHECK(scanned.scale == largest / 31);
}

TEST_CASE("a query of an asymmetric scan is rounded: centred, but for the dot product") {
  Random random(3);
  for (const std::size_t dim : Sizes{1, 8, 37, 64}) {
    CAPTURE(dim);
    const auto query = random.floats(dim);
    const auto thresholds = random.floats(dim);
    std::vector<float> flips(flips_per_round(dim) * dim);
    for (float& sign : flips) sign = random.below(2) == 0 ? 1.0f : -1.0f;
    const std::vector<float> zeros(dim);
    const CentredRotation rotation = {
        .normalize = false, .threshold = thresholds.data(), .flips = matrix_of(flips, dim)};
    CentredRotation rotation_alone = rotation;
    rotation_alone.threshold = zeros.data();
    const auto centred = naive_centre_and_rotate(rotation, query.data(), dim);
    const auto rotated = naive_centre_and_rotate(rotation_alone, query.data(), dim);
    IndexedRows rows{};
    rows.kernels = available_kernels().back();
    rows.dim = dim;
    rows.is_asymmetric = true;
    for (const Metric metric : {Metric::kCosine, Metric::kDot, Metric::kL2}) {
      rows.metric = metric;
      const bool is_dot = metric == Metric::kDot;
      rows.rule = {.centring = std::nullopt, .thresholds = thresholds.data()};
      ScannedQuery scanned;
      CHECK(encode_query(rows, query.data(), scanned));
      std::vector<double> values(query.begin(), query.end());
      for (std::size_t i = 0; i < dim && !is_dot; ++i) {
        values[i] -= static_cast<double>(thresholds[i]);
      }
      check_rounded(scanned, values);
      rows.rule = {.centring = rotation, .thresholds = zeros.data()};
      CHECK(encode_query(rows, query.data(), scanned));
      const auto& compared = is_dot ? rotated : centred;
      check_rounded(scanned, {compared.begin(), compared.end()});
    }
  }
}

TEST_CASE("few bytes of codes and of candidates are for one thread") {
  const std::vector<float> values(1024);
  IndexedRows rows{};
  rows.codes = Matrix<std::uint8_t>{.data = nullptr, .n_rows = 1000, .n_columns = 96};
  rows.originals = Matrix<float>{values.data(), 1000, 1024, 4096};
  CHECK(is_for_one_thread(rows, 0));
  CHECK(is_for_one_thread(rows, 100));
  CHECK_FALSE(is_for_one_thread(rows, 1000));
  rows.codes = Matrix<std::uint8_t>{.data = nullptr, .n_rows = 100'000, .n_columns = 96};
  CHECK_FALSE(is_for_one_thread(rows, 0));
}

}  // namespace
}  // namespace bitsift::test
