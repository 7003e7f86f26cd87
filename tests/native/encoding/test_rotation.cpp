// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "encoding/rotation.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "oracle/naive.hpp"

namespace bitsift::test {
namespace {

constexpr float kUnwritten = -7;

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
  });
}

std::vector<std::size_t> dims() {
  std::vector<std::size_t> result;
  for (std::size_t n = 1; n <= 100; ++n) result.push_back(n);
  for (const std::size_t n : Sizes{127, 128, 129, 255, 256, 257, 384, 1000, 1024}) {
    result.push_back(n);
  }
  return result;
}

std::vector<float> some_flips(Random& random, std::size_t n, std::size_t n_rounds) {
  std::vector<float> flips(n * n_rounds * flips_per_round(n));
  for (float& sign : flips) sign = random.below(2) == 0 ? 1.0f : -1.0f;
  return flips;
}

std::vector<float> rotate_rows(const CentredRotation& rotation, Matrix<float> values,
                               std::size_t n_threads, bool* finite) {
  std::vector<float> result(values.n_rows * values.n_columns + 1, kUnwritten);
  *finite = centre_and_rotate(rotation, values, n_threads, result.data());
  CHECK(result.back() == kUnwritten);
  result.pop_back();
  return result;
}

// On every number of threads, against the reference.
void check_rotated(const CentredRotation& rotation, Matrix<float> values) {
  std::vector<float> wanted;
  for (std::size_t row = 0; row < values.n_rows; ++row) {
    const auto y = naive_centre_and_rotate(rotation, values.row(row), values.n_columns);
    wanted.insert(wanted.end(), y.begin(), y.end());
  }
  for (const std::size_t n_threads : Sizes{1, 2, 7}) {
    CAPTURE(n_threads);
    bool finite = false;
    CHECK(same_bits(rotate_rows(rotation, values, n_threads, &finite), wanted));
    CHECK(finite);
  }
}

double product(const float* a, const float* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += value_of(a[i]) * value_of(b[i]);
  return sum;
}

TEST_CASE("a round has one flip if the dimensions are a power of two, else two") {
  for (const std::size_t n : Sizes{1, 2, 4, 64, 1024, 65536}) CHECK(flips_per_round(n) == 1);
  for (const std::size_t n : Sizes{3, 5, 6, 63, 65, 384, 65535}) CHECK(flips_per_round(n) == 2);
}

TEST_CASE("any number of dimensions, of any size") {
  Random random(1);
  for (const std::size_t n : dims()) {
    CAPTURE(n);
    const std::size_t stride = n + random.below(3);
    // Ordinary, large, denormal, zeros, negative zeros.
    auto values = random.floats(5 * stride);
    for (std::size_t i = 0; i < stride; ++i) {
      values[stride + i] *= 1e30f;
      values[2 * stride + i] *= 1e-40f;
      values[3 * stride + i] = 0;
      values[4 * stride + i] = -0.0f;
    }
    const Matrix<float> matrix = {values.data(), 5, n, static_cast<std::ptrdiff_t>(4 * stride)};
    const Matrix<float> backwards = {values.data() + 4 * stride, 5, n,
                                     -static_cast<std::ptrdiff_t>(4 * stride)};
    const std::vector<float> zeros(n);
    const auto threshold = random.floats(n);
    for (const std::size_t n_rounds : Sizes{0, 1, 3}) {
      CAPTURE(n_rounds);
      const auto flips = some_flips(random, n, n_rounds);
      for (const bool normalize : {false, true}) {
        CAPTURE(normalize);
        check_rotated({normalize, zeros.data(), matrix_of(flips, n)}, matrix);
        check_rotated({normalize, threshold.data(), matrix_of(flips, n)}, backwards);
      }
    }
  }
}

TEST_CASE("rows shared out among the threads, and none") {
  Random random(2);
  const std::size_t n = 96;
  const auto threshold = random.floats(n);
  const auto flips = some_flips(random, n, 3);
  const auto values = random.floats(1000 * n);
  check_rotated({true, threshold.data(), matrix_of(flips, n)}, matrix_of(values, n));
  check_rotated({true, threshold.data(), matrix_of(flips, n)}, {values.data(), 0, n, 4 * n});
}

TEST_CASE("the most dimensions") {
  Random random(3);
  for (const std::size_t n : Sizes{65535, 65536}) {
    const auto threshold = random.floats(n);
    const auto flips = some_flips(random, n, 1);
    const auto values = random.floats(n);
    check_rotated({true, threshold.data(), matrix_of(flips, n)}, matrix_of(values, n));
  }
}

TEST_CASE("a unit vector has length 1, and a zero vector stays one") {
  Random random(4);
  for (const std::size_t n : Sizes{1, 3, 384}) {
    CAPTURE(n);
    auto values = random.floats(2 * n);
    std::fill(values.begin() + static_cast<std::ptrdiff_t>(n), values.end(), 0.0f);
    const std::vector<float> zeros(n);
    bool finite = false;
    const auto y = rotate_rows({true, zeros.data(), {}}, matrix_of(values, n), 1, &finite);
    CHECK(product(y.data(), y.data(), n) == doctest::Approx(1).epsilon(1e-6));
    CHECK(std::count(y.begin(), y.end(), 0.0f) == static_cast<std::ptrdiff_t>(n));
  }
}

// Rows R e of the unit vectors e: the matrix of a rotation, transposed.
std::vector<float> rotated_units(Matrix<float> flips, std::size_t n) {
  std::vector<float> units(n * n);
  for (std::size_t i = 0; i < n; ++i) units[i * n + i] = 1;
  const std::vector<float> zeros(n);
  bool finite = false;
  return rotate_rows({false, zeros.data(), flips}, matrix_of(units, n), 2, &finite);
}

TEST_CASE("one flip and transform is the Hadamard matrix with signs") {
  Random random(5);
  for (const std::size_t n : Sizes{1, 2, 4, 8, 64, 128}) {
    CAPTURE(n);
    const auto flips = some_flips(random, n, 1);
    const auto found = rotated_units(matrix_of(flips, n), n);
    const double scale = 1 / std::sqrt(static_cast<double>(n));
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        const double sign = std::popcount(i & j) % 2 == 0 ? 1 : -1;
        if (std::fabs(value_of(found[i * n + j]) - sign * value_of(flips[i]) * scale) > 1e-7) {
          FAIL_CHECK("unit vector ", i, ", dimension ", j);
        }
      }
    }
  }
}

TEST_CASE("a rotation is orthogonal: its transpose undoes it") {
  Random random(6);
  std::vector<std::size_t> sizes;
  for (std::size_t n = 1; n <= 40; ++n) sizes.push_back(n);
  for (const std::size_t n : Sizes{63, 64, 65, 100, 127, 128, 129, 192}) sizes.push_back(n);
  for (const std::size_t n : sizes) {
    CAPTURE(n);
    const auto flips = some_flips(random, n, 3);
    const auto rotated = rotated_units(matrix_of(flips, n), n);
    double largest = 0;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        const double wanted = i == j ? 1 : 0;
        const double found = product(rotated.data() + i * n, rotated.data() + j * n, n);
        largest = std::max(largest, std::fabs(found - wanted));
      }
    }
    CHECK(largest < 1e-5);
  }
}

TEST_CASE("a rotation reversed is its inverse") {
  Random random(7);
  for (const std::size_t n : Sizes{1, 2, 16, 128, 1024}) {
    CAPTURE(n);
    // (H D3 H D2 H D1)^-1 = D1 H D2 H D3 H, and centre_and_rotate() flips before each H.
    const auto flips = some_flips(random, n, 3);
    const auto signs = [&](std::size_t round) {
      return flips.begin() + static_cast<std::ptrdiff_t>(round * n);
    };
    std::vector<float> reversed(n, 1);
    reversed.insert(reversed.end(), signs(2), signs(3));
    reversed.insert(reversed.end(), signs(1), signs(2));
    const auto values = random.floats(n);
    const std::vector<float> zeros(n);
    bool finite = false;
    const auto there =
        rotate_rows({false, zeros.data(), matrix_of(flips, n)}, matrix_of(values, n), 1, &finite);
    auto back =
        rotate_rows({false, zeros.data(), matrix_of(reversed, n)}, matrix_of(there, n), 1, &finite);
    for (std::size_t i = 0; i < n; ++i) {
      back[i] *= flips[i];
      if (std::fabs(back[i] - values[i]) > 1e-5f) FAIL_CHECK("dimension ", i);
    }
  }
}

TEST_CASE("a rotation keeps lengths and products") {
  Random random(8);
  for (const std::size_t n : Sizes{2, 3, 5, 100, 384, 768, 1000, 1024, 1536, 3072}) {
    CAPTURE(n);
    const auto flips = some_flips(random, n, 3);
    const auto values = random.floats(6 * n);
    const std::vector<float> zeros(n);
    bool finite = false;
    const auto rotated =
        rotate_rows({false, zeros.data(), matrix_of(flips, n)}, matrix_of(values, n), 1, &finite);
    for (std::size_t i = 0; i < 6; ++i) {
      for (std::size_t j = 0; j < 6; ++j) {
        const float* a = values.data() + i * n;
        const float* b = values.data() + j * n;
        const double scale = std::sqrt(product(a, a, n) * product(b, b, n));
        const double found = product(rotated.data() + i * n, rotated.data() + j * n, n);
        CHECK(std::fabs(found - product(a, b, n)) < 1e-5 * scale);
      }
    }
  }
}

TEST_CASE("values that are not finite are reported, and other rows do not change") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  Random random(9);
  const std::size_t n_rows = 300;
  for (const std::size_t n : Sizes{1, 4, 7, 96}) {
    CAPTURE(n);
    const auto threshold = random.floats(n);
    for (const std::size_t n_rounds : Sizes{0, 2}) {
      const auto flips = some_flips(random, n, n_rounds);
      for (const bool normalize : {false, true}) {
        const CentredRotation rotation = {normalize, threshold.data(), matrix_of(flips, n)};
        auto values = random.floats(n_rows * n);
        bool finite = false;
        const auto wanted = rotate_rows(rotation, matrix_of(values, n), 1, &finite);
        CHECK(finite);
        for (const float bad : {kInfinity, -kInfinity, kNan}) {
          const std::size_t row = random.below(n_rows);
          const std::size_t at = row * n + random.below(n);
          const float kept = values[at];
          values[at] = bad;
          for (const std::size_t n_threads : Sizes{1, 2, 7}) {
            auto found = rotate_rows(rotation, matrix_of(values, n), n_threads, &finite);
            CHECK(!finite);
            std::copy_n(wanted.begin() + static_cast<std::ptrdiff_t>(row * n), n,
                        found.begin() + static_cast<std::ptrdiff_t>(row * n));
            CHECK(same_bits(found, wanted));
          }
          values[at] = kept;
        }
      }
    }
  }
}

TEST_CASE("sums beyond float32 are reported; lengths beyond float32 are not an error") {
  const std::vector<float> values(8, std::numeric_limits<float>::max());
  const std::vector<float> zeros(8);
  const std::vector<float> flips(8, 1);
  bool finite = true;
  rotate_rows({false, zeros.data(), {}}, matrix_of(values, 8), 1, &finite);
  CHECK(finite);
  rotate_rows({false, zeros.data(), matrix_of(flips, 8)}, matrix_of(values, 8), 1, &finite);
  CHECK(!finite);
  const auto y =
      rotate_rows({true, zeros.data(), matrix_of(flips, 8)}, matrix_of(values, 8), 1, &finite);
  CHECK(finite);
  CHECK(value_of(y[0]) == doctest::Approx(1));
}

}  // namespace
}  // namespace bitsift::test
