// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "encoding/stored_rows.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "oracle/naive.hpp"

namespace bitsift::test {
namespace {

using Row = std::optional<std::size_t>;

// Puts each value into rows of finite ones, at any place, and once more behind it.
template <class T>
void check_not_finite(const std::vector<T>& finite, const std::vector<T>& others) {
  Random random(1);
  for (const std::size_t n_columns : Sizes{1, 3, 64, 300}) {
    CAPTURE(n_columns);
    const std::size_t n_rows = 5'000;
    std::vector<T> values(n_rows * n_columns);
    for (auto& value : values) value = finite[random.below(finite.size())];
    for (const std::size_t n_threads : Sizes{1, 3}) {
      CHECK(first_not_finite(matrix_of(values, n_columns), n_threads) == Row());
      for (const T& other : others) {
        const std::size_t place = random.below(values.size());
        const T before = values[place];
        const T last = values.back();
        values[place] = values.back() = other;
        CHECK(first_not_finite(matrix_of(values, n_columns), n_threads) == Row(place / n_columns));
        values[place] = before;
        values.back() = last;
      }
    }
  }
}

template <class T>
void check_floats() {
  using Limits = std::numeric_limits<T>;
  check_not_finite<T>({0, -T(0), 1, Limits::max(), Limits::lowest(), Limits::denorm_min()},
                      {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(),
                       -Limits::quiet_NaN(), Limits::signaling_NaN()});
}

TEST_CASE("the first row that is not finite") {
  check_floats<float>();
  check_floats<double>();
  check_not_finite<Half>({{0}, {0x8000}, {0x3C00}, {0x7BFF}, {0xFBFF}, {1}},
                         {{0x7C00}, {0xFC00}, {0x7C01}, {0x7E00}, {0xFFFF}});
}

TEST_CASE("no rows") {
  CHECK(first_not_finite(Matrix<float>{nullptr, 0, 5, 20}, 2) == Row());
  CHECK(first_with_pad_bits({nullptr, 0, 5, 5}, 7, 2) == Row());
}

TEST_CASE("the first code with pad bits") {
  Random random(2);
  for (const std::size_t n_bytes : Sizes{1, 2, 96}) {
    auto codes = random.bytes(4'000 * n_bytes);
    for (std::size_t row = 0; row < 4'000; ++row) codes[row * n_bytes + n_bytes - 1] &= 0xE0;
    for (const std::size_t n_threads : Sizes{1, 3}) {
      CHECK(first_with_pad_bits(matrix_of(codes, n_bytes), 0x1F, n_threads) == Row());
      for (const std::size_t row : Sizes{0, 1, 2'345, 3'999}) {
        codes[row * n_bytes + n_bytes - 1] |= 1;
        CHECK(first_with_pad_bits(matrix_of(codes, n_bytes), 0x1F, n_threads) == Row(row));
        codes[row * n_bytes + n_bytes - 1] &= 0xE0;
      }
    }
  }
}

}  // namespace
}  // namespace bitsift::test
