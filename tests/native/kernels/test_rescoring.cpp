// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <vector>

#include "helpers/guarded_pages.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"

namespace bitsift::test {
namespace {

constexpr double kUnwritten = -7;

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

// Seven bits less: products with 8-bit integers are exact.
double short_of_bits(double x) {
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) & ~std::uint64_t{127});
}

// For each type of vectors: its kernels under one name, value i of a vector, and a random value.
void dot(const Kernels& kernels, const double* query, const float* const* vectors, Scale,
         std::size_t n_vectors, std::size_t n_ahead, std::size_t n, double* dots, double* squares) {
  kernels.dot_f32(query, vectors, n_vectors, n_ahead, n, dots, squares);
}
void dot(const Kernels& kernels, const double* query, const Half* const* vectors, Scale,
         std::size_t n_vectors, std::size_t n_ahead, std::size_t n, double* dots, double* squares) {
  kernels.dot_f16(query, vectors, n_vectors, n_ahead, n, dots, squares);
}
void dot(const Kernels& kernels, const double* query, const std::int8_t* const* vectors,
         Scale scale, std::size_t n_vectors, std::size_t n_ahead, std::size_t n, double* dots,
         double* squares) {
  kernels.dot_i8(query, vectors, scale, n_vectors, n_ahead, n, dots, squares);
}
void l2(const Kernels& kernels, const double* query, const float* const* vectors, Scale,
        std::size_t n_vectors, std::size_t n_ahead, std::size_t n, double* squares) {
  kernels.l2_f32(query, vectors, n_vectors, n_ahead, n, squares);
}
void l2(const Kernels& kernels, const double* query, const Half* const* vectors, Scale,
        std::size_t n_vectors, std::size_t n_ahead, std::size_t n, double* squares) {
  kernels.l2_f16(query, vectors, n_vectors, n_ahead, n, squares);
}
void l2(const Kernels& kernels, const double* query, const std::int8_t* const* vectors, Scale scale,
        std::size_t n_vectors, std::size_t n_ahead, std::size_t n, double* squares) {
  kernels.l2_i8(query, vectors, scale, n_vectors, n_ahead, n, squares);
}

template <class Value>
double value_at(Value x, Scale, std::size_t) {
  return value_of(x);
}
double value_at(std::int8_t x, Scale scale, std::size_t i) {
  return scale.base[i] + scale.step[i] * x;
}

template <class Value>
Value some(Random& random);
template <>
float some<float>(Random& random) {
  return static_cast<float>(spread(random));
}
template <>
Half some<Half>(Random& random) {
  return half_of(spread(random));
}
template <>
std::int8_t some<std::int8_t>(Random& random) {
  return static_cast<std::int8_t>(random.byte());
}

// Scores any number of vectors at once: each has the sums that it has alone. No byte is read beyond
// the end of a query, a vector or a scale.
template <class Value>
void test_kernels() {
  constexpr std::size_t kMaxVectors = 34;  // more than two blocks of a kernel, and prefetches
  GuardedPages query_pages(1024 * sizeof(double));
  GuardedPages base_pages(1024 * sizeof(double));
  GuardedPages step_pages(1024 * sizeof(double));
  std::vector<std::unique_ptr<GuardedPages>> vector_pages;
  for (std::size_t i = 0; i < kMaxVectors; ++i) {
    vector_pages.push_back(std::make_unique<GuardedPages>(1024 * sizeof(Value)));
  }
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    Random random(1);
    for (const std::size_t n : dims()) {
      CAPTURE(n);
      for (const Side side : kSides) {
        const std::size_t n_vectors = random.below(kMaxVectors + 1);
        CAPTURE(n_vectors);
        const std::size_t n_ahead = random.below(n_vectors + 1);
        const bool is_exact = random.below(2) == 1;
        double* query = query_pages.place<double>(n, side);
        double* base = base_pages.place<double>(n, side);
        double* step = step_pages.place<double>(n, side);
        for (std::size_t i = 0; i < n; ++i) {
          query[i] = value_of(static_cast<float>(spread(random)));
          base[i] = spread(random);
          step[i] = is_exact ? short_of_bits(spread(random)) : spread(random);
        }
        const Scale scale = {base, step, is_exact};
        const Value* vectors[kMaxVectors];
        std::vector<double> dots;
        std::vector<double> squares;
        std::vector<double> distances;
        for (std::size_t row = 0; row < n_vectors; ++row) {
          Value* vector = vector_pages[row]->place<Value>(n, side);
          vectors[row] = vector;
          std::vector<double> products(n);
          std::vector<double> own_squares(n);
          std::vector<double> difference_squares(n);
          for (std::size_t i = 0; i < n; ++i) {
            vector[i] = some<Value>(random);
            const double x = value_at(vector[i], scale, i);
            products[i] = query[i] * x;
            own_squares[i] = x * x;
            difference_squares[i] = (query[i] - x) * (query[i] - x);
          }
          dots.push_back(naive_lane_sum(products));
          squares.push_back(naive_lane_sum(own_squares));
          distances.push_back(naive_lane_sum(difference_squares));
        }
        const auto equal = [&](const double* found, const std::vector<double>& wanted) {
          const auto end = wanted.end() - static_cast<std::ptrdiff_t>(n_ahead);
          return std::equal(wanted.begin(), end, found, same_bits) &&
                 found[n_vectors - n_ahead] == kUnwritten;
        };
        double found[kMaxVectors + 1];
        double found_squares[kMaxVectors + 1];
        std::fill(std::begin(found), std::end(found), kUnwritten);
        std::fill(std::begin(found_squares), std::end(found_squares), kUnwritten);
        dot(*kernels, query, vectors, scale, n_vectors - n_ahead, n_ahead, n, found, found_squares);
        CHECK(equal(found, dots));
        CHECK(equal(found_squares, squares));
        std::fill(std::begin(found), std::end(found), kUnwritten);
        dot(*kernels, query, vectors, scale, n_vectors - n_ahead, n_ahead, n, found, nullptr);
        CHECK(equal(found, dots));
        std::fill(std::begin(found), std::end(found), kUnwritten);
        l2(*kernels, query, vectors, scale, n_vectors - n_ahead, n_ahead, n, found);
        CHECK(equal(found, distances));
      }
    }
  }
}

TEST_CASE("dot_f32 and l2_f32") { test_kernels<float>(); }
TEST_CASE("dot_f16 and l2_f16") { test_kernels<Half>(); }
TEST_CASE("dot_i8 and l2_i8") { test_kernels<std::int8_t>(); }

TEST_CASE("dot_f16 reads every half in every lane") {
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    for (std::size_t lane = 0; lane < 16; ++lane) {
      double query[16] = {};
      query[lane] = 1;
      Half vector[16] = {};
      // All halves in one lane of each kind, a sample in the others.
      const std::uint32_t step = lane == 5 ? 1 : 61;
      for (std::uint32_t bits = 0; bits < 0x10000; bits += step) {
        vector[lane] = Half{static_cast<std::uint16_t>(bits)};
        const double x = value_of(vector[lane]);
        if (!std::isfinite(x)) continue;
        const Half* vectors[] = {vector};
        double product;
        double square;
        kernels->dot_f16(query, vectors, 1, 0, 16, &product, &square);
        if (product != x || square != x * x) FAIL_CHECK("half ", bits, " in lane ", lane);
      }
    }
  }
}

TEST_CASE("dot_i8 reads every integer in every lane") {
  const std::vector<double> base(16, 0.5);
  const std::vector<double> step(16, 0.25);
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    for (std::size_t lane = 0; lane < 16; ++lane) {
      double query[16] = {};
      query[lane] = 1;
      std::int8_t vector[16] = {};
      for (int integer = -128; integer < 128; ++integer) {
        vector[lane] = static_cast<std::int8_t>(integer);
        const std::int8_t* vectors[] = {vector};
        double product;
        double square;
        kernels->dot_i8(query, vectors, {base.data(), step.data()}, 1, 0, 16, &product, &square);
        const double x = 0.5 + 0.25 * integer;
        if (product != x || square != x * x + 15 * 0.25) {
          FAIL_CHECK("integer ", integer, " in lane ", lane);
        }
      }
    }
  }
}

TEST_CASE("sums are added in the documented order") {
  // 1 is lost beside 2^60 in one lane, and kept in another.
  std::vector<double> query(48, 1);
  std::vector<float> vector(48);
  vector[0] = 0x1p60f;
  vector[16] = 1;
  vector[32] = -0x1p60f;
  vector[33] = 1;
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    const float* vectors[] = {vector.data()};
    double product;
    kernels->dot_f32(query.data(), vectors, 1, 0, 48, &product, nullptr);
    CHECK(product == 1);
  }
}

TEST_CASE("read_rows reads every byte") {
  Random random(3);
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    for (std::size_t n_bytes = 1; n_bytes < 200; ++n_bytes) {
      CAPTURE(n_bytes);
      const std::size_t n_rows = 1 + random.below(20);
      const std::size_t n_ahead = random.below(20);
      std::vector<std::unique_ptr<GuardedPages>> pages;
      std::vector<const std::uint8_t*> rows;
      std::vector<std::uint8_t*> bytes;
      for (std::size_t i = 0; i < n_rows + n_ahead; ++i) {
        pages.push_back(std::make_unique<GuardedPages>(200));
        bytes.push_back(pages.back()->place<std::uint8_t>(n_bytes, Side::kEnd));
        std::fill(bytes.back(), bytes.back() + n_bytes, std::uint8_t{0});
        rows.push_back(bytes.back());
      }
      CHECK(kernels->read_rows(rows.data(), n_rows, n_ahead, n_bytes) == 0);
      bytes[random.below(n_rows)][random.below(n_bytes)] = 1;
      CHECK(kernels->read_rows(rows.data(), n_rows, n_ahead, n_bytes) != 0);
    }
  }
}

TEST_CASE("no dimensions, no sums") {
  const double query = 1;
  const float vector = 1;
  const float* vectors[] = {&vector};
  const std::int8_t integer = 1;
  const std::int8_t* integers[] = {&integer};
  const Scale scale = {&query, &query};
  for (const Kernels* kernels : available_kernels()) {
    double sums[] = {1, 1, 1, 1, 1, 1};
    kernels->dot_f32(&query, vectors, 1, 0, 0, &sums[0], &sums[1]);
    kernels->l2_f32(&query, vectors, 1, 0, 0, &sums[2]);
    kernels->dot_i8(&query, integers, scale, 1, 0, 0, &sums[3], &sums[4]);
    kernels->l2_i8(&query, integers, scale, 1, 0, 0, &sums[5]);
    for (const double sum : sums) CHECK(same_bits(sum, 0));
  }
}

TEST_CASE("products do not overflow") {
  const float largest = 0x1.fffffep127f;
  const std::vector<double> query(20, static_cast<double>(largest));
  const std::vector<float> vector(20, -largest);
  const double square = static_cast<double>(largest) * static_cast<double>(largest);
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    const float* vectors[] = {vector.data()};
    double product;
    double distance;
    kernels->dot_f32(query.data(), vectors, 1, 0, 20, &product, nullptr);
    kernels->l2_f32(query.data(), vectors, 1, 0, 20, &distance);
    CHECK(same_bits(product, -naive_lane_sum(std::vector<double>(20, square))));
    CHECK(same_bits(distance, naive_lane_sum(std::vector<double>(20, 4 * square))));
  }
}

}  // namespace
}  // namespace bitsift::test
