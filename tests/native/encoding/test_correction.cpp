// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "encoding/correction.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "oracle/naive.hpp"

namespace bitsift::test {
namespace {

constexpr Metric kMetrics[] = {Metric::kCosine, Metric::kDot, Metric::kL2};
constexpr std::uint16_t kUnwritten = 0xA5A5;
constexpr std::uint16_t kInfinite = 0x7F80;

std::vector<std::uint16_t> factors_of(const Correction& correction, Matrix<float> vectors,
                                      std::size_t n_threads, bool* finite) {
  std::vector<std::uint16_t> result(vectors.n_rows * correction.n_columns() + 1, kUnwritten);
  *finite = correction_factors(correction, vectors, n_threads, result.data());
  CHECK(result.back() == kUnwritten);
  result.pop_back();
  return result;
}

// Every metric, with a threshold and without, on every number of threads, against the reference.
void check_everywhere(Matrix<float> vectors, const std::vector<float>& threshold,
                      bool wanted_finite) {
  for (const Metric metric : kMetrics) {
    CAPTURE(static_cast<int>(metric));
    for (const float* of_case : {static_cast<const float*>(nullptr), threshold.data()}) {
      const Correction correction = {metric, of_case};
      CHECK(correction.n_columns() == (metric == Metric::kL2 || of_case != nullptr ? 2 : 1));
      std::vector<std::uint16_t> wanted;
      for (std::size_t row = 0; row < vectors.n_rows; ++row) {
        const auto factors = naive_factors(correction, vectors.row(row), vectors.n_columns);
        wanted.insert(wanted.end(), factors.begin(), factors.end());
      }
      for (const std::size_t n_threads : Sizes{1, 2, 7}) {
        CAPTURE(n_threads);
        bool finite = !wanted_finite;
        CHECK(factors_of(correction, vectors, n_threads, &finite) == wanted);
        CHECK(finite == wanted_finite);
      }
    }
  }
}

TEST_CASE("any number of dimensions") {
  Random random(1);
  std::vector<std::size_t> sizes;
  for (std::size_t n = 1; n <= 100; ++n) sizes.push_back(n);
  for (const std::size_t n : Sizes{127, 128, 129, 384, 1000, 1024, 65536}) sizes.push_back(n);
  for (const std::size_t n : sizes) {
    CAPTURE(n);
    const std::size_t stride = n + random.below(3);
    // Ordinary, large, denormal, zeros, negative zeros, one value only.
    auto values = random.floats(6 * stride);
    for (std::size_t i = 0; i < stride; ++i) {
      values[stride + i] *= 1e30f;
      values[2 * stride + i] *= 1e-40f;
      values[3 * stride + i] = 0;
      values[4 * stride + i] = -0.0f;
      values[5 * stride + i] = i == 0 ? -3.0f : 0.0f;
    }
    const auto threshold = random.floats(n);
    const auto row_bytes = static_cast<std::ptrdiff_t>(4 * stride);
    check_everywhere({values.data(), 6, n, row_bytes}, threshold, true);
    check_everywhere({values.data() + 5 * stride, 6, n, -row_bytes}, threshold, true);
  }
}

TEST_CASE("rows shared out among the threads, and none") {
  Random random(2);
  for (const std::size_t n : Sizes{1, 96}) {
    const auto values = random.floats(n * (300'000 / n));
    const auto threshold = random.floats(n);
    check_everywhere(matrix_of(values, n), threshold, true);
    check_everywhere({values.data(), 0, n, 4}, threshold, true);
  }
}

TEST_CASE("the factor turns the product with the signs into the product with the vector") {
  Random random(3);
  const std::size_t n = 300;
  const auto values = random.floats(20 * n);
  const auto vectors = matrix_of(values, n);
  bool finite = false;
  const auto factors = factors_of({Metric::kDot, nullptr}, vectors, 1, &finite);
  const auto cosines = factors_of({Metric::kCosine, nullptr}, vectors, 1, &finite);
  const auto distances = factors_of({Metric::kL2, nullptr}, vectors, 1, &finite);
  for (std::size_t row = 0; row < vectors.n_rows; ++row) {
    double absolute = 0;
    double square = 0;
    for (std::size_t i = 0; i < n; ++i) {
      absolute += std::fabs(value_of(vectors.row(row)[i]));
      square += value_of(vectors.row(row)[i]) * value_of(vectors.row(row)[i]);
    }
    const auto near = [](double x) { return doctest::Approx(x).epsilon(0x1p-8); };
    CHECK(value_of_bfloat16(factors[row]) * absolute == near(square));
    CHECK(value_of_bfloat16(cosines[row]) * absolute == near(std::sqrt(square)));
    CHECK(distances[2 * row] == factors[row]);
    CHECK(value_of_bfloat16(distances[2 * row + 1]) == near(std::sqrt(square)));
  }
}

TEST_CASE("the second factor is the product of vector and threshold") {
  const std::vector<float> threshold = {2, -1};
  const std::vector<float> centred = {-10, 1, 1, 1};  // vectors (-8, 0) and (3, 0)
  bool finite = false;
  for (const Metric metric : {Metric::kCosine, Metric::kDot}) {
    const auto factors = factors_of({metric, threshold.data()}, matrix_of(centred, 2), 1, &finite);
    CHECK(value_of_bfloat16(factors[1]) == -16);
    CHECK(value_of_bfloat16(factors[3]) == 6);
  }
}

// In one dimension, the factor for the dot product is the value itself.
TEST_CASE("values near every bfloat16 round to the nearest, ties to even") {
  std::vector<float> values;
  std::vector<std::uint16_t> wanted;
  for (std::uint32_t high = 0; high < 0x10000; ++high) {
    for (const std::uint32_t low : {0u, 1u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      const auto x = std::bit_cast<float>(high << 16 | low);
      if (!std::isfinite(x)) continue;
      values.push_back(x);
      wanted.push_back(naive_bfloat16(std::fabs(x)));
    }
  }
  bool finite = true;
  CHECK(factors_of({Metric::kDot, nullptr}, matrix_of(values, 1), 1, &finite) == wanted);
  CHECK(!finite);  // the last ones round to infinity
  const auto lengths = factors_of({Metric::kL2, nullptr}, matrix_of(values, 1), 1, &finite);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (lengths[2 * i] != wanted[i] || lengths[2 * i + 1] != wanted[i]) FAIL_CHECK(values[i]);
  }
}

TEST_CASE("halves by hand") {
  const auto factor = [](float x) {
    bool finite = false;
    return factors_of({Metric::kDot, nullptr}, {&x, 1, 1, 4}, 1, &finite)[0];
  };
  CHECK(factor(1) == 0x3F80);
  CHECK(factor(1 + 0x1p-8f) == 0x3F80);
  CHECK(factor(1 + 0x1p-8f + 0x1p-23f) == 0x3F81);
  CHECK(factor(1 + 3 * 0x1p-8f) == 0x3F82);
  CHECK(factor(1 + 3 * 0x1p-8f - 0x1p-23f) == 0x3F81);
  CHECK(factor(-2) == 0x4000);
}

TEST_CASE("factors beyond float32 are reported") {
  constexpr float kLargest = std::numeric_limits<float>::max();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const float largest = std::bit_cast<float>(0x7F7F0000u);  // as bfloat16
  const float halfway = std::bit_cast<float>(0x7F7F8000u);  // to 2^128
  const auto check = [](Metric metric, const float* threshold, std::vector<float> row,
                        bool wanted_finite) {
    const std::size_t n = row.size();
    // One row of many, and alone.
    std::vector<float> values(500 * n, 0.5f);
    std::copy(row.begin(), row.end(), values.begin() + static_cast<std::ptrdiff_t>(321 * n));
    const Correction correction = {metric, threshold};
    for (const std::size_t n_threads : Sizes{1, 2, 7}) {
      bool finite = !wanted_finite;
      const auto found = factors_of(correction, matrix_of(values, n), n_threads, &finite);
      CHECK(finite == wanted_finite);
      const auto alone = factors_of(correction, matrix_of(row, n), n_threads, &finite);
      CHECK(finite == wanted_finite);
      CHECK(std::equal(alone.begin(), alone.end(),
                       found.begin() + static_cast<std::ptrdiff_t>(321 * correction.n_columns())));
      const auto is_infinite = [](std::uint16_t x) { return (x & kInfinite) == kInfinite; };
      CHECK(std::none_of(alone.begin(), alone.end(), is_infinite) == wanted_finite);
      // No factor is a NaN.
      CHECK(std::none_of(alone.begin(), alone.end(),
                         [&](std::uint16_t x) { return is_infinite(x) && (x & 0x7F) != 0; }));
    }
  };
  check(Metric::kDot, nullptr, {largest}, true);
  check(Metric::kDot, nullptr, {std::nextafter(halfway, 0.0f)}, true);
  check(Metric::kDot, nullptr, {halfway}, false);
  check(Metric::kDot, nullptr, {-kLargest}, false);
  check(Metric::kCosine, nullptr, {kLargest, -kLargest}, true);
  // Only the length is too large.
  check(Metric::kL2, nullptr, {largest, largest}, false);
  check(Metric::kDot, nullptr, {largest, largest}, true);
  // Only the product is, of either sign.
  const float threshold[] = {1e38f, 1e38f};
  check(Metric::kDot, threshold, {1, 1}, false);
  const float small[] = {1, 1};
  check(Metric::kDot, small, {-1e38f, 1e38f}, true);
  check(Metric::kDot, small, {-largest, -largest}, false);
  check(Metric::kDot, small, {-halfway / 2, -halfway / 2}, false);  // only as bfloat16
  for (const Metric metric : kMetrics) {
    for (const float bad : {kInfinity, -kInfinity, kNan}) {
      check(metric, nullptr, {1, bad, 2}, false);
    }
  }
}

}  // namespace
}  // namespace bitsift::test
