// SPDX-License-Identifier: Apache-2.0
// Rescoring: products and distances in float64, summed in one order everywhere.
#pragma once

#include "kernels/kernels.hpp"

namespace bitsift {

// Lane i sums the terms i, i + 16, i + 32, ...; then the lanes are added as a tree. Every
// instruction set keeps this order, so that scores are the same bits. A product of two float32 is
// exact in float64.
inline constexpr std::size_t kSumLanes = 16;

template <class Simd>
struct Sum {
  static constexpr std::size_t kVectors = kSumLanes / Simd::kDoubles;
  typename Simd::Doubles lanes[kVectors];

  Sum() {
    constexpr double kZeros[kSumLanes] = {};
    for (std::size_t v = 0; v < kVectors; ++v) {
      lanes[v] = Simd::load_doubles(kZeros + v * Simd::kDoubles);
    }
  }

  double total() const {
    double sums[kSumLanes];
    for (std::size_t v = 0; v < kVectors; ++v) {
      Simd::store(sums + v * Simd::kDoubles, lanes[v]);
    }
    for (std::size_t width = kSumLanes / 2; width > 0; width /= 2) {
      for (std::size_t i = 0; i < width; ++i) sums[i] += sums[i + width];
    }
    return sums[0];
  }
};

// Calls add(v, query, vector) for each vector of float64, the last ones padded with zeros.
template <class Simd, class Value, class Add>
inline void for_each_doubles(const double* query, const Value* vector, std::size_t n, Add add) {
  constexpr std::size_t kStep = Simd::kDoubles;
  std::size_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    for (std::size_t v = 0; v < kSumLanes / kStep; ++v) {
      add(v, Simd::load_doubles(query + i + v * kStep), Simd::load_doubles(vector + i + v * kStep));
    }
  }
  if (i < n) {
    double last_query[kSumLanes] = {};
    Value last_vector[kSumLanes] = {};
    for (std::size_t j = 0; i + j < n; ++j) {
      last_query[j] = query[i + j];
      last_vector[j] = vector[i + j];
    }
    for (std::size_t v = 0; v < kSumLanes / kStep; ++v) {
      add(v, Simd::load_doubles(last_query + v * kStep),
          Simd::load_doubles(last_vector + v * kStep));
    }
  }
}

template <class Simd, class Value>
void dot(const double* query, const Value* vector, std::size_t n, double* sums) noexcept {
  using Doubles = typename Simd::Doubles;
  Sum<Simd> products;
  Sum<Simd> squares;
  for_each_doubles<Simd>(query, vector, n, [&](std::size_t v, Doubles q, Doubles x) {
    products.lanes[v] = Simd::add_doubles(products.lanes[v], Simd::multiply(q, x));
    squares.lanes[v] = Simd::add_doubles(squares.lanes[v], Simd::multiply(x, x));
  });
  sums[0] = products.total();
  sums[1] = squares.total();
}

template <class Simd, class Value>
double l2(const double* query, const Value* vector, std::size_t n) noexcept {
  using Doubles = typename Simd::Doubles;
  Sum<Simd> squares;
  for_each_doubles<Simd>(query, vector, n, [&](std::size_t v, Doubles q, Doubles x) {
    const Doubles difference = Simd::subtract(q, x);
    squares.lanes[v] = Simd::add_doubles(squares.lanes[v], Simd::multiply(difference, difference));
  });
  return squares.total();
}

}  // namespace bitsift
