// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "guarded_pages.hpp"
#include "kernels/dispatch.hpp"
#include "naive.hpp"
#include "random.hpp"
#include "sizes.hpp"

namespace bitsift::test {
namespace {

bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

std::vector<std::size_t> dims() {
  std::vector<std::size_t> result;
  for (std::size_t n = 1; n <= 100; ++n) result.push_back(n);
  for (const std::size_t n : Sizes{127, 128, 129, 255, 256, 257, 384, 1000, 1024})
    result.push_back(n);
  return result;
}

// Magnitudes far apart, so that another order of summation gives other bits.
double spread(Random& random) {
  return std::ldexp(random.value(), static_cast<int>(random.below(24)) - 16);
}

template <class Value>
Value from(double x);
template <>
float from<float>(double x) {
  return static_cast<float>(x);
}
template <>
Half from<Half>(double x) {
  return half_of(x);
}

template <class Value>
void test_kernels(void (*Kernels::*dot)(const double*, const Value*, std::size_t, double*) noexcept,
                  double (*Kernels::*l2)(const double*, const Value*, std::size_t) noexcept) {
  GuardedPages query_pages(1024 * sizeof(double));
  GuardedPages vector_pages(1024 * sizeof(Value));
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    Random random(1);
    for (const std::size_t n : dims()) {
      CAPTURE(n);
      for (const Side side : kSides) {
        double* query = query_pages.place<double>(n, side);
        Value* vector = vector_pages.place<Value>(n, side);
        std::vector<double> products(n);
        std::vector<double> squares(n);
        std::vector<double> difference_squares(n);
        for (std::size_t i = 0; i < n; ++i) {
          query[i] = value_of(static_cast<float>(spread(random)));
          vector[i] = from<Value>(spread(random));
          const double x = value_of(vector[i]);
          products[i] = query[i] * x;
          squares[i] = x * x;
          difference_squares[i] = (query[i] - x) * (query[i] - x);
        }
        double sums[2];
        (kernels->*dot)(query, vector, n, sums);
        CHECK(same_bits(sums[0], naive_lane_sum(products)));
        CHECK(same_bits(sums[1], naive_lane_sum(squares)));
        CHECK(same_bits((kernels->*l2)(query, vector, n), naive_lane_sum(difference_squares)));
      }
    }
  }
}

TEST_CASE("dot_f32 and l2_f32") { test_kernels<float>(&Kernels::dot_f32, &Kernels::l2_f32); }
TEST_CASE("dot_f16 and l2_f16") { test_kernels<Half>(&Kernels::dot_f16, &Kernels::l2_f16); }

TEST_CASE("dot_f16 reads every half in every lane") {
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    for (std::size_t lane = 0; lane < 16; ++lane) {
      double query[16] = {};
      query[lane] = 1;
      Half vector[16] = {};
      // All of them in one lane of each kind, a sample in the others.
      const std::uint32_t step = lane == 5 ? 1 : 61;
      for (std::uint32_t bits = 0; bits < 0x10000; bits += step) {
        vector[lane] = Half{static_cast<std::uint16_t>(bits)};
        const double x = value_of(vector[lane]);
        if (!std::isfinite(x)) continue;
        double sums[2];
        kernels->dot_f16(query, vector, 16, sums);
        if (sums[0] != x || sums[1] != x * x) FAIL_CHECK("half ", bits, " in lane ", lane);
      }
    }
  }
}

TEST_CASE("an order of summation of its own would show") {
  // 1 is lost beside 2^60 in one lane, and kept in another.
  std::vector<double> query(48, 1);
  std::vector<float> vector(48);
  vector[0] = 0x1p60f;
  vector[16] = 1;
  vector[32] = -0x1p60f;
  vector[33] = 1;
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    double sums[2];
    kernels->dot_f32(query.data(), vector.data(), 48, sums);
    CHECK(sums[0] == 1);
  }
}

TEST_CASE("no dimensions, no sums") {
  const double query = 1;
  const float vector = 1;
  for (const Kernels* kernels : available_kernels()) {
    double sums[2] = {1, 1};
    kernels->dot_f32(&query, &vector, 0, sums);
    CHECK(same_bits(sums[0], 0));
    CHECK(same_bits(sums[1], 0));
    CHECK(same_bits(kernels->l2_f32(&query, &vector, 0), 0));
  }
}

TEST_CASE("products do not overflow") {
  const float largest = 0x1.fffffep127f;
  const std::vector<double> query(20, static_cast<double>(largest));
  const std::vector<float> vector(20, -largest);
  const double square = static_cast<double>(largest) * static_cast<double>(largest);
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    double sums[2];
    kernels->dot_f32(query.data(), vector.data(), 20, sums);
    CHECK(same_bits(sums[0], -naive_lane_sum(std::vector<double>(20, square))));
    CHECK(same_bits(kernels->l2_f32(query.data(), vector.data(), 20),
                    naive_lane_sum(std::vector<double>(20, 4 * square))));
  }
}

}  // namespace
}  // namespace bitsift::test
