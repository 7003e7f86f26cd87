// SPDX-License-Identifier: Apache-2.0
// What turns vectors into rows gives what the oracle gives, on any number of threads.
#include <algorithm>
#include <cmath>

#include "encoding/correction.hpp"
#include "encoding/integers.hpp"
#include "encoding/rotation.hpp"
#include "encoding/round_queries.hpp"
#include "fuzz/input.hpp"
#include "oracle/naive.hpp"

namespace bitsift::test {
namespace {

template <class T>
struct Vectors {
  Vectors(Input& input, Floats kind, std::size_t n_rows, std::size_t n)
      : values(n_rows * n),
        view{values.get(), n_rows, n, static_cast<std::ptrdiff_t>(n * sizeof(T))} {
    Random random = input.random();
    fill_values(random, kind, values.get(), n_rows * n);
  }
  Exact<T> values;
  Matrix<T> view;
};

// The largest number of rows is more than a piece, so that threads share the work.
std::size_t some_rows(Input& input, std::size_t n) {
  return input.below(8) == 7 ? 1 + (1 << 17) / n : input.between(1, 5);
}

std::size_t some_dims(Input& input) {
  return input.flag() ? input.between(1, 700) : input.between(1, 40);
}

// NaN is the lowest integer, of ternary 0.
std::int8_t wanted_integer(IntegerType type, double x, double lower, double upper) {
  if (!std::isnan(x)) return naive_integer(type, x, lower, upper);
  if (type == IntegerType::kTernary) return 0;
  return type == IntegerType::kInt4 ? -8 : -128;
}

template <class T>
void integers(Input& input) {
  const auto type = input.one_of<IntegerType>(
      {IntegerType::kInt8, IntegerType::kUint8, IntegerType::kInt4, IntegerType::kTernary});
  const std::size_t n = some_dims(input);
  const Vectors<T> vectors(input, some_floats(input), some_rows(input, n), n);
  Random random = input.random();
  const Exact<float> lower(n);
  const Exact<float> upper(n);
  const Floats kind = input.flag() ? Floats::kSmall : Floats::kFinite;
  for (std::size_t i = 0; i < n; ++i) {
    const auto [low, high] =
        std::minmax({some_float<float>(random, kind), some_float<float>(random, kind)});
    lower[i] = low;
    upper[i] = low < high ? high : std::nextafter(low, 0x1p127f);
    if (!(lower[i] < upper[i])) lower[i] = 0;
  }
  const std::size_t n_bytes = bytes_for(type, n);
  const std::size_t n_rows = vectors.view.n_rows;
  const Exact<std::uint8_t> one(n_rows * n_bytes, input.below(8));
  const Exact<std::uint8_t> two(n_rows * n_bytes);
  encode_integers(type, vectors.view, lower.get(), upper.get(), 1, one.get());
  encode_integers(type, vectors.view, lower.get(), upper.get(), 2, two.get());
  expect(one.same_bytes(two), "two threads encode other integers than one");
  for (std::size_t row = 0; row < std::min<std::size_t>(n_rows, 3); ++row) {
    std::vector<std::int8_t> wanted(n);
    for (std::size_t i = 0; i < n; ++i) {
      wanted[i] = wanted_integer(type, value_of(vectors.view.row(row)[i]), value_of(lower[i]),
                                 value_of(upper[i]));
    }
    const std::uint8_t* found = one.get() + row * n_bytes;
    expect(std::equal(found, found + n_bytes, naive_pack_integers(type, wanted).data()),
           "integers differ from the oracle's");
    const Exact<std::int8_t> unpacked(n_bytes * integers_per_byte(type) + 8);
    unpack_integers(type, found, n, unpacked.get());
    expect(std::equal(wanted.begin(), wanted.end(), unpacked.get()),
           "integers come back as others");
  }
}

// Any bytes, those of damaged files too.
void unpacking(Input& input) {
  const auto type = input.one_of<IntegerType>(
      {IntegerType::kInt8, IntegerType::kUint8, IntegerType::kInt4, IntegerType::kTernary});
  const std::size_t n = some_dims(input);
  const Exact<std::uint8_t> bytes(bytes_for(type, n), input.below(8));
  fill_bytes(input, bytes.get(), bytes.size());
  const Exact<std::int8_t> found(bytes.size() * integers_per_byte(type) + 8);
  unpack_integers(type, bytes.get(), n, found.get());
  expect(std::equal(found.get(), found.get() + n, naive_unpack(type, bytes.get(), n).data()),
         "unpacked integers differ from the oracle's");
}

struct Rounded {
  Rounded(std::size_t n_rows, std::size_t n_bytes)
      : codes(n_rows * n_bytes), magnitudes(n_rows * 8 * n_bytes), numbers(4 * n_rows) {}
  RoundedQueries out() const {
    const std::size_t n = numbers.size() / 4;
    double* first = numbers.get();
    return {codes.get(), magnitudes.get(), first, first + n, first + 2 * n, first + 3 * n};
  }
  Exact<std::uint8_t> codes;
  Exact<std::uint8_t> magnitudes;
  Exact<double> numbers;
};

void rounding(Input& input) {
  const std::size_t n = some_dims(input);
  const std::size_t n_bytes = (n + 7) / 8;
  const Floats kind = some_floats(input);
  const Vectors<double> queries(input, kind, some_rows(input, n), n);
  const std::size_t n_rows = queries.view.n_rows;
  const Exact<float> threshold(n);
  Random random = input.random();
  fill_values(random, Floats::kFinite, threshold.get(), n);
  const Rounded one(n_rows, n_bytes);
  const Rounded two(n_rows, n_bytes);
  round_queries(queries.view, threshold.get(), 1, one.out());
  round_queries(queries.view, threshold.get(), 2, two.out());
  expect(one.codes.same_bytes(two.codes) && one.magnitudes.same_bytes(two.magnitudes) &&
             all_same(one.numbers, two.numbers),
         "two threads round queries otherwise than one");
  for (const std::uint8_t m : one.magnitudes) expect(m <= 31, "a magnitude exceeds 31");
  for (std::size_t row = 0; row < std::min<std::size_t>(n_rows, 3); ++row) {
    const double* q = queries.view.row(row);
    const Exact<double> zeros(n);
    std::fill(zeros.begin(), zeros.end(), 0.0);
    const Packed wanted = naive_pack(q, zeros.get(), n);
    const std::uint8_t* code = one.codes.get() + row * n_bytes;
    expect(std::equal(wanted.codes.begin(), wanted.codes.end(), code),
           "a code has not the signs of its query");
    if (!wanted.finite) continue;
    double largest = 0;
    for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(q[i]));
    const std::uint8_t* magnitudes = one.magnitudes.get() + row * 8 * n_bytes;
    for (std::size_t i = 0; i < 8 * n_bytes; ++i) {
      const double share = i < n && largest > 0 ? std::fabs(q[i]) / largest : 0;
      expect(magnitudes[i] == std::nearbyint(share * 31), "a magnitude is not the nearest");
    }
  }
}

void rotation(Input& input) {
  const std::size_t n = some_dims(input);
  const Floats kind = some_floats(input);
  const Vectors<float> vectors(input, kind, some_rows(input, n), n);
  const std::size_t n_rows = vectors.view.n_rows;
  const std::size_t n_flips = input.below(4) * flips_per_round(n);
  const Vectors<float> flips(input, Floats::kSmall, n_flips, n);
  for (float& x : flips.values) x = x < 0 ? -1.0f : 1.0f;
  const Exact<float> threshold(n);
  Random random = input.random();
  fill_values(random, Floats::kSmall, threshold.get(), n);
  const CentredRotation wanted = {
      .normalize = input.flag(), .threshold = threshold.get(), .flips = flips.view};
  const Exact<float> one(n_rows * n);
  const Exact<float> two(n_rows * n);
  const bool finite = centre_and_rotate(wanted, vectors.view, 1, one.get());
  expect(centre_and_rotate(wanted, vectors.view, 2, two.get()) == finite && all_same(one, two),
         "two threads rotate otherwise than one");
  expect(finite == std::all_of(one.begin(), one.end(), [](float x) { return std::isfinite(x); }),
         "a rotation does not say what is finite");
  for (std::size_t row = 0; row < std::min<std::size_t>(n_rows, 3); ++row) {
    const std::vector<float> naive = naive_centre_and_rotate(wanted, vectors.view.row(row), n);
    const float* found = one.get() + row * n;
    for (std::size_t i = 0; i < n && finite; ++i) {
      expect(same(found[i], naive[i]), "a rotated value differs from the oracle's");
    }
  }
}

void correction(Input& input) {
  const std::size_t n = some_dims(input);
  const Vectors<float> vectors(input, some_floats(input), some_rows(input, n), n);
  const std::size_t n_rows = vectors.view.n_rows;
  const Exact<float> threshold(n);
  Random random = input.random();
  fill_values(random, Floats::kFinite, threshold.get(), n);
  const Correction wanted = {
      .metric = input.one_of<Metric>({Metric::kCosine, Metric::kDot, Metric::kL2}),
      .threshold = input.flag() ? threshold.get() : nullptr};
  const Exact<std::uint16_t> one(n_rows * wanted.n_columns());
  const Exact<std::uint16_t> two(n_rows * wanted.n_columns());
  const bool finite = correction_factors(wanted, vectors.view, 1, one.get());
  expect(correction_factors(wanted, vectors.view, 2, two.get()) == finite && one.same_bytes(two),
         "two threads give other factors than one");
  for (std::size_t row = 0; row < std::min<std::size_t>(n_rows, 3); ++row) {
    const std::vector<std::uint16_t> naive = naive_factors(wanted, vectors.view.row(row), n);
    expect(std::equal(naive.begin(), naive.end(), one.get() + row * wanted.n_columns()),
           "factors differ from the oracle's");
  }
}

}  // namespace
}  // namespace bitsift::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bitsift::test;
  Input input(data, size);
  switch (input.below(6)) {
    case 0:
      integers<float>(input);
      break;
    case 1:
      integers<double>(input);
      break;
    case 2:
      unpacking(input);
      break;
    case 3:
      rounding(input);
      break;
    case 4:
      rotation(input);
      break;
    default:
      correction(input);
  }
  return 0;
}
