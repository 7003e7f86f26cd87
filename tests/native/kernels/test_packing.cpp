// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "helpers/guarded_pages.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"

namespace bitsift::test {
namespace {

std::vector<std::size_t> dims() {
  std::vector<std::size_t> result;
  for (std::size_t n = 1; n <= 130; ++n) result.push_back(n);
  for (const std::size_t n : Sizes{191, 192, 193, 255, 256, 257, 384, 999, 1000})
    result.push_back(n);
  return result;
}

template <class Value>
Value from(double x) {
  return static_cast<Value>(x);
}
template <>
Half from<Half>(double x) {
  return half_of(x);
}

// Zeros of both signs, the smallest and the largest magnitudes of a type.
template <class Value>
std::vector<Value> special_values() {
  using Limits = std::numeric_limits<Value>;
  std::vector<Value> values = {0, Limits::denorm_min(), Limits::min(), Limits::max(), 1};
  for (std::size_t i = 0; i < 5; ++i) values.push_back(-values[i]);
  return values;
}
template <>
std::vector<Half> special_values<Half>() {
  std::vector<Half> values;
  for (const int magnitude : {0x0000, 0x0001, 0x03FF, 0x0400, 0x7BFF, 0x3C00}) {
    values.push_back(Half{static_cast<std::uint16_t>(magnitude)});
    values.push_back(Half{static_cast<std::uint16_t>(magnitude | 0x8000)});
  }
  return values;
}

template <class Value, class Threshold>
using Pack = bool (*Kernels::*)(const Value*, const Threshold*, std::size_t,
                                std::uint8_t*) noexcept;

template <class Value, class Threshold>
void check_pack(const Kernels& kernels, Pack<Value, Threshold> pack, const Value* values,
                const Threshold* thresholds, std::size_t n, GuardedPages& out_pages, Side side) {
  const Packed wanted = naive_pack(values, thresholds, n);
  std::uint8_t* out = out_pages.place<std::uint8_t>(wanted.codes.size(), side);
  const bool finite = (kernels.*pack)(values, thresholds, n, out);
  CHECK(finite == wanted.finite);
  CHECK(std::equal(wanted.codes.begin(), wanted.codes.end(), out));
  CHECK(out_pages.untouched());
}

template <class Value, class Threshold>
void test_pack(Pack<Value, Threshold> pack) {
  const std::vector<Value> special = special_values<Value>();
  GuardedPages value_pages(1000 * sizeof(Value));
  GuardedPages threshold_pages(1000 * sizeof(Threshold));
  GuardedPages out_pages(125);
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    Random random(1);
    for (const std::size_t n : dims()) {
      CAPTURE(n);
      for (const Side side : kSides) {
        Value* values = value_pages.place<Value>(n, side);
        Threshold* thresholds = threshold_pages.place<Threshold>(n, side);
        for (std::size_t i = 0; i < n; ++i) {
          values[i] =
              i % 3 == 0 ? special[random.below(special.size())] : from<Value>(random.value());
          thresholds[i] = from<Threshold>(i % 2 == 0 ? value_of(values[i]) : random.value());
          if (i % 4 == 0) thresholds[i] = 0;
          if (i % 4 == 1) {
            constexpr Threshold kFar = 100000;
            thresholds[i] = std::nextafter(from<Threshold>(value_of(values[i])),
                                           random.below(2) == 0 ? kFar : -kFar);
          }
        }
        check_pack(*kernels, pack, values, thresholds, n, out_pages, side);
        std::fill(thresholds, thresholds + n, Threshold{0});
        check_pack(*kernels, pack, values, thresholds, n, out_pages, side);
      }
    }
  }
}

// Values that are not finite are found in every place, and change no other bit.
template <class Value, class Threshold>
void test_not_finite(Pack<Value, Threshold> pack, const std::vector<Value>& not_finite) {
  GuardedPages out_pages(17);
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    Random random(2);
    for (const std::size_t n : Sizes{1, 7, 64, 65, 130}) {
      std::vector<Value> values(n);
      std::vector<Threshold> thresholds(n);
      for (Value& x : values) x = from<Value>(random.value());
      for (std::size_t at = 0; at < n; ++at) {
        CAPTURE(n);
        CAPTURE(at);
        const Value before = values[at];
        values[at] = not_finite[at % not_finite.size()];
        REQUIRE(!naive_pack(values.data(), thresholds.data(), n).finite);
        check_pack(*kernels, pack, values.data(), thresholds.data(), n, out_pages, Side::kEnd);
        values[at] = before;
      }
    }
  }
}

template <class Value>
std::vector<Value> infinities_and_nans() {
  using Limits = std::numeric_limits<Value>;
  return {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(), -Limits::quiet_NaN(),
          Limits::signaling_NaN()};
}

TEST_CASE("pack_f32") { test_pack<float, float>(&Kernels::pack_f32); }
TEST_CASE("pack_f16") { test_pack<Half, float>(&Kernels::pack_f16); }
TEST_CASE("pack_f64") { test_pack<double, double>(&Kernels::pack_f64); }

TEST_CASE("values that are not finite") {
  test_not_finite<float, float>(&Kernels::pack_f32, infinities_and_nans<float>());
  test_not_finite<double, double>(&Kernels::pack_f64, infinities_and_nans<double>());
  test_not_finite<Half, float>(&Kernels::pack_f16, {Half{0x7C00}, Half{0xFC00}, Half{0x7E00},
                                                    Half{0x7C01}, Half{0xFE00}, Half{0x7FFF}});
}

TEST_CASE("pack_f16 reads every half") {
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    // Compared with the neighbours of its value, so that any other value is found.
    for (std::uint32_t first = 0; first < 0x10000; first += 64) {
      Half values[64];
      float below[64];
      float above[64];
      for (std::uint32_t i = 0; i < 64; ++i) {
        values[i] = Half{static_cast<std::uint16_t>(first + i)};
        const auto value = static_cast<float>(value_of(values[i]));
        below[i] = std::nextafter(value, -std::numeric_limits<float>::infinity());
        above[i] = value;
      }
      for (const float* thresholds : {below, above}) {
        const Packed wanted = naive_pack(values, thresholds, 64);
        std::uint8_t codes[8];
        const bool finite = kernels->pack_f16(values, thresholds, 64, codes);
        const bool equal = std::equal(wanted.codes.begin(), wanted.codes.end(), codes);
        if (!equal || finite != wanted.finite) FAIL_CHECK("halves from ", first);
      }
    }
  }
}

TEST_CASE("pack_bool") {
  GuardedPages value_pages(1000);
  GuardedPages out_pages(125);
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    Random random(3);
    for (const std::size_t n : dims()) {
      CAPTURE(n);
      for (const Side side : kSides) {
        auto* values = value_pages.place<std::uint8_t>(n, side);
        std::vector<std::uint8_t> wanted((n + 7) / 8);
        for (std::size_t i = 0; i < n; ++i) {
          // Any byte but zero is true.
          values[i] = random.below(2) == 0 ? std::uint8_t{0} : random.byte();
          if (values[i] != 0) {
            wanted[i / 8] = static_cast<std::uint8_t>(wanted[i / 8] | 0x80 >> i % 8);
          }
        }
        auto* out = out_pages.place<std::uint8_t>(wanted.size(), side);
        kernels->pack_bool(values, n, out);
        CHECK(std::equal(wanted.begin(), wanted.end(), out));
        CHECK(out_pages.untouched());
      }
    }
  }
}

TEST_CASE("pack_bool takes every byte in every place") {
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    for (int byte = 0; byte < 256; ++byte) {
      for (std::size_t at = 0; at < 16; ++at) {
        for (const int others : {0, 1, 255}) {
          std::uint8_t values[16];
          std::fill(values, values + 16, static_cast<std::uint8_t>(others));
          values[at] = static_cast<std::uint8_t>(byte);
          std::uint8_t codes[2];
          kernels->pack_bool(values, 16, codes);
          int wanted = others != 0 ? 0xFFFF : 0;
          const int bit = 0x8000 >> at;
          wanted = byte != 0 ? wanted | bit : wanted & ~bit;
          if ((codes[0] << 8 | codes[1]) != wanted) FAIL_CHECK("byte ", byte, " at ", at);
        }
      }
    }
  }
}

TEST_CASE("no values: nothing is written") {
  const float none = 0;
  for (const Kernels* kernels : available_kernels()) {
    std::uint8_t out = 0xA5;
    CHECK(kernels->pack_f32(&none, &none, 0, &out));
    kernels->pack_bool(&out, 0, &out);
    CHECK(out == 0xA5);
  }
}

}  // namespace
}  // namespace bitsift::test
