// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "encoding/integers.hpp"
#include "helpers/guarded_pages.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "oracle/naive.hpp"

namespace bitsift::test {
namespace {

constexpr IntegerType kTypes[] = {IntegerType::kInt8, IntegerType::kUint8, IntegerType::kInt4,
                                  IntegerType::kTernary};
constexpr std::uint8_t kUnwritten = 0xA5;

std::vector<std::size_t> dims() {
  std::vector<std::size_t> result;
  for (std::size_t n = 1; n <= 100; ++n) result.push_back(n);
  for (const std::size_t n : Sizes{127, 128, 129, 384, 1000, 1024}) result.push_back(n);
  return result;
}

int lowest(IntegerType type) {
  return type == IntegerType::kTernary ? -1 : type == IntegerType::kInt4 ? -8 : -128;
}
int highest(IntegerType type) {
  return type == IntegerType::kTernary ? 1 : type == IntegerType::kInt4 ? 7 : 127;
}

// Rows of values, `padding` more behind each, on every number of threads.
void check_encoded(IntegerType type, const std::vector<float>& values, std::size_t n,
                   std::size_t padding, const std::vector<float>& lower,
                   const std::vector<float>& upper) {
  Matrix<float> matrix = matrix_of(values, n + padding);
  matrix.n_columns = n;
  std::vector<std::uint8_t> wanted;
  for (std::size_t row = 0; row < matrix.n_rows; ++row) {
    std::vector<std::int8_t> integers;
    for (std::size_t i = 0; i < n; ++i) {
      integers.push_back(naive_integer(type, value_of(matrix.row(row)[i]), value_of(lower[i]),
                                       value_of(upper[i])));
    }
    const std::vector<std::uint8_t> bytes = naive_pack_integers(type, integers);
    CHECK(bytes.size() == bytes_for(type, n));
    wanted.insert(wanted.end(), bytes.begin(), bytes.end());
  }
  wanted.push_back(kUnwritten);
  for (const std::size_t n_threads : Sizes{1, 2, 7}) {
    CAPTURE(n_threads);
    std::vector<std::uint8_t> found(wanted.size(), kUnwritten);
    encode_integers(type, matrix, lower.data(), upper.data(), n_threads, found.data());
    CHECK(found == wanted);
  }
}

TEST_CASE("bytes_for() counts whole bytes") {
  CHECK(bytes_for(IntegerType::kInt8, 7) == 7);
  CHECK(bytes_for(IntegerType::kUint8, 7) == 7);
  CHECK(bytes_for(IntegerType::kInt4, 0) == 0);
  CHECK(bytes_for(IntegerType::kInt4, 6) == 3);
  CHECK(bytes_for(IntegerType::kInt4, 7) == 4);
  CHECK(bytes_for(IntegerType::kTernary, 5) == 1);
  CHECK(bytes_for(IntegerType::kTernary, 6) == 2);
  CHECK(bytes_for(IntegerType::kTernary, 1024) == 205);
}

TEST_CASE("every byte unpacks and packs again; invalid ternary bytes unpack to some integers") {
  for (const IntegerType type : kTypes) {
    CAPTURE(static_cast<int>(type));
    const std::size_t n = integers_per_byte(type);
    for (int number = 0; number < 256; ++number) {
      CAPTURE(number);
      const auto byte = static_cast<std::uint8_t>(number);
      std::vector<std::int8_t> integers(n + 8);
      unpack_integers(type, &byte, n, integers.data());
      integers.resize(n);
      CHECK(integers == naive_unpack(type, &byte, n));
      const auto [least, most] = std::minmax_element(integers.begin(), integers.end());
      CHECK(*least >= lowest(type));
      CHECK(*most <= highest(type));
      if (type == IntegerType::kTernary && number > 242) continue;
      CHECK(naive_pack_integers(type, integers) == std::vector<std::uint8_t>{byte});
    }
  }
}

TEST_CASE("any number of integers, in the memory that the contract asks for") {
  GuardedPages byte_pages(1024);
  GuardedPages integer_pages(2048);
  Random random(1);
  for (const IntegerType type : kTypes) {
    CAPTURE(static_cast<int>(type));
    const auto n_values = static_cast<std::size_t>(highest(type) - lowest(type) + 1);
    for (const std::size_t n : dims()) {
      CAPTURE(n);
      for (const Side side : kSides) {
        std::vector<std::int8_t> wanted(n);
        for (std::int8_t& integer : wanted) {
          integer =
              static_cast<std::int8_t>(lowest(type) + static_cast<int>(random.below(n_values)));
        }
        const std::vector<std::uint8_t> packed = naive_pack_integers(type, wanted);
        REQUIRE(packed.size() == bytes_for(type, n));
        std::uint8_t* bytes = byte_pages.place<std::uint8_t>(packed.size(), side);
        std::copy(packed.begin(), packed.end(), bytes);
        const std::size_t room = packed.size() * integers_per_byte(type) + 8;
        auto* found = integer_pages.place<std::int8_t>(room, side);
        unpack_integers(type, bytes, n, found);
        CHECK(std::equal(wanted.begin(), wanted.end(), found));
        CHECK(integer_pages.untouched());
      }
    }
  }
}

TEST_CASE("the value of each integer is encoded as it, and ties go to the even one") {
  for (const IntegerType type : {IntegerType::kInt8, IntegerType::kUint8, IntegerType::kInt4}) {
    CAPTURE(static_cast<int>(type));
    const auto half = static_cast<float>(-lowest(type));
    const float lower = -half;  // a step is 1
    const float upper = half;
    for (int integer = lowest(type); integer <= highest(type); ++integer) {
      CAPTURE(integer);
      const auto x = static_cast<float>(integer);
      const float values[] = {x, x + 0.5f, x - 0.5f, std::nextafter(x + 0.5f, upper + 1)};
      const int even = integer % 2 == 0 ? integer : integer + 1;
      const int wanted[] = {integer, std::min(even, highest(type)),
                            std::max(integer % 2 == 0 ? integer : integer - 1, lowest(type)),
                            std::min(integer + 1, highest(type))};
      for (std::size_t i = 0; i < 4; ++i) {
        std::uint8_t bytes[1];
        encode_integers(type, {values + i, 1, 1, 4}, &lower, &upper, 1, bytes);
        std::int8_t found[10];
        unpack_integers(type, bytes, 1, found);
        CHECK(int{found[0]} == wanted[i]);
      }
    }
  }
}

TEST_CASE("ternary integers: below, within, above") {
  const std::vector<float> lower(9, -0.25f);
  const std::vector<float> upper(9, 0.5f);
  const std::vector<float> values = {std::nextafter(-0.25f, -1.0f), -0.25f, -0.0f,  0, 0.5f,
                                     std::nextafter(0.5f, 1.0f),    3e38f,  -3e38f, 0};
  std::uint8_t bytes[2];
  encode_integers(IntegerType::kTernary, matrix_of(values, 9), lower.data(), upper.data(), 1,
                  bytes);
  // 0 1 1 1 1 and 2 2 0 1, filled with the integer 0.
  CHECK(int{bytes[0]} == 27 + 9 + 3 + 1);
  CHECK(int{bytes[1]} == 2 * 81 + 2 * 27 + 0 + 3 + 1);
}

TEST_CASE("doubles are not rounded to float first") {
  const float lower = -8;  // a step is 1
  const float upper = 8;
  const auto encoded = [&](IntegerType type, double value) {
    std::uint8_t bytes[1];
    encode_integers(type, {&value, 1, 1, 8}, &lower, &upper, 1, bytes);
    std::int8_t found[10];
    unpack_integers(type, bytes, 1, found);
    return int{found[0]};
  };
  // Rounded to float, each of these would be the halfway point, or the bound.
  CHECK(encoded(IntegerType::kInt4, 2.5) == 2);
  CHECK(encoded(IntegerType::kInt4, 2.5 + 1e-12) == 3);
  CHECK(encoded(IntegerType::kTernary, 8) == 0);
  CHECK(encoded(IntegerType::kTernary, 8 + 1e-12) == 1);
  CHECK(encoded(IntegerType::kTernary, -8 - 1e-12) == -1);
}

TEST_CASE("values at, within and beyond bounds of any width") {
  constexpr float kLargest = std::numeric_limits<float>::max();
  constexpr float kSmallest = std::numeric_limits<float>::denorm_min();
  struct Bounds {
    float lower;
    float upper;
  };
  const Bounds bounds[] = {{-1, 1},
                           {-0.75f, 0.1f},
                           {0, kSmallest},
                           {-kSmallest, kSmallest},
                           {1, std::nextafter(1.0f, 2.0f)},
                           {-kLargest, kLargest},
                           {-kLargest, std::nextafter(-kLargest, 0.0f)},
                           {-0.0f, 1e30f}};
  Random random(2);
  for (const IntegerType type : kTypes) {
    CAPTURE(static_cast<int>(type));
    const int n_steps = type == IntegerType::kInt4 ? 16 : 256;
    for (const std::size_t n : dims()) {
      CAPTURE(n);
      const std::size_t padding = random.below(3);
      std::vector<float> lower;
      std::vector<float> upper;
      for (std::size_t i = 0; i < n; ++i) {
        const Bounds of_dim = bounds[random.below(std::size(bounds))];
        lower.push_back(of_dim.lower);
        upper.push_back(of_dim.upper);
      }
      std::vector<float> values(4 * (n + padding));
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t dim = std::min(i % (n + padding), n - 1);
        const double low = value_of(lower[dim]);
        const double range = value_of(upper[dim]) - low;
        // Half steps from one below the bounds to one above.
        const double half_steps = static_cast<double>(random.below(2 * 256 + 5)) - 2;
        const float some[] = {static_cast<float>(random.value()),
                              static_cast<float>(low + range * half_steps / (2 * n_steps)),
                              lower[dim],
                              upper[dim],
                              std::nextafter(lower[dim], -kLargest),
                              std::nextafter(upper[dim], kLargest),
                              -0.0f,
                              kLargest,
                              -kLargest,
                              kSmallest};
        values[i] = some[random.below(std::size(some))];
        if (!std::isfinite(values[i])) values[i] = 0;
      }
      check_encoded(type, values, n, padding, lower, upper);
    }
  }
}

TEST_CASE("rows shared out among the threads, and none") {
  Random random(3);
  for (const IntegerType type : kTypes) {
    CAPTURE(static_cast<int>(type));
    for (const std::size_t n : Sizes{3, 1001}) {
      CAPTURE(n);
      const std::vector<float> lower(n, -0.5f);
      const std::vector<float> upper(n, 0.75f);
      check_encoded(type, random.floats(n * (200'000 / n)), n, 0, lower, upper);
      check_encoded(type, {}, n, 0, lower, upper);
    }
  }
}

TEST_CASE("NaN becomes the lowest integer, a ternary one 0, and infinity is clipped") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values{kNan, -kNan, kInfinity, -kInfinity, 0};
  const std::vector<float> lower(5, -1.0f);
  const std::vector<float> upper(5, 1.0f);
  for (const IntegerType type : kTypes) {
    const int nan = type == IntegerType::kTernary ? 0 : lowest(type);
    const std::vector<std::int8_t> integers{
        static_cast<std::int8_t>(nan), static_cast<std::int8_t>(nan),
        static_cast<std::int8_t>(highest(type)), static_cast<std::int8_t>(lowest(type)), 0};
    std::vector<std::uint8_t> bytes(bytes_for(type, 5));
    encode_integers(type, matrix_of(values, 5), lower.data(), upper.data(), 1, bytes.data());
    CHECK(bytes == naive_pack_integers(type, integers));
    const std::vector<double> wide(values.begin(), values.end());
    encode_integers(type, matrix_of(wide, 5), lower.data(), upper.data(), 1, bytes.data());
    CHECK(bytes == naive_pack_integers(type, integers));
  }
}

}  // namespace
}  // namespace bitsift::test
