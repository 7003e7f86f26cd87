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
    typename Simd::Doubles sums[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) sums[v] = lanes[v];
    for (std::size_t width = kVectors / 2; width > 0; width /= 2) {
      for (std::size_t v = 0; v < width; ++v) {
        sums[v] = Simd::add_doubles(sums[v], sums[v + width]);
      }
    }
    return Simd::sum_lanes(sums[0]);  // adds lane i + width to lane i too
  }
};

// How often each line of the vectors that are scored next is prefetched. A Zen 4 drops most
// prefetches while others are pending and needs three; an Emerald Rapids is faster with one.
inline constexpr std::size_t kMostPrefetches = 3;
// Fewer vectors at once leave no choice: on Zen 3 and older three are as fast.
template <std::size_t kVectors>
inline constexpr bool kMayPrefetchOnce = kVectors >= 8;

// Asks for the vectors that are scored next, one line of each at a time, between sums: all lines at
// once would delay the sums. Into L2: L1 has room for fewer pending lines, and prefetching into it
// was half as fast. Each line is asked for kPrefetches times, kVectors vectors apart.
template <std::size_t kVectors, std::size_t kPrefetches, class Value>
class Ahead {
 public:
  // Where fewer vectors follow, asks for the ones that are scored now: no test in the loop. Always
  // inline: no level may lend its copy to another.
  [[gnu::always_inline]] Ahead(const Value* const* vectors, std::size_t n_ahead)
      : rows_(vectors + kVectors) {
    if (n_ahead >= kPrefetched) return;
    for (std::size_t row = 0; row < kPrefetched; ++row) {
      some_[row] = vectors[row < n_ahead ? kVectors + row : row % kVectors];
    }
    rows_ = some_;
  }
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;

  // Values [i, i + 16). Always inline: GCC takes a function that only prefetches for one without
  // effects, and drops calls of it.
  [[gnu::always_inline]] void prefetch_16(std::size_t i) const {
    if (i * sizeof(Value) % 64 != 0) return;
    for (std::size_t row = 0; row < kPrefetched; ++row) __builtin_prefetch(rows_[row] + i, 0, 2);
  }

 private:
  static constexpr std::size_t kPrefetched = kPrefetches * kVectors;

  const Value* const* rows_;
  const Value* some_[kPrefetched];
};

// Whether a level widens 16 such values at once, into memory, from where conversions to float64
// read them: for int8 that takes fewer shuffles than converting 8 in registers.
template <class Simd, class Value>
concept Widens = requires(const Value* x, typename Simd::Wide* out) { Simd::widen_16(x, out); };

// How a stored value becomes a value of the vector: as it is, or by the scale of its dimension.
template <class Simd>
struct AsStored {
  using Doubles = typename Simd::Doubles;
  // Products of float32 are exact in float64: it does not matter whether they are rounded before
  // they are added.
  static Doubles add_product(Doubles sum, Doubles a, Doubles b) {
    return Simd::add_exact_product(sum, a, b);
  }
  AsStored at(std::size_t /*dimension*/) const { return *this; }
  Doubles operator()(Doubles x) const { return x; }
  AsStored copy(std::size_t /*first*/, std::size_t /*n*/, double* /*memory*/) const {
    return *this;
  }
};

// kExact: Scale::exact.
template <class Simd, bool kExact>
struct Scaled {
  using Doubles = typename Simd::Doubles;
  static Doubles add_product(Doubles sum, Doubles a, Doubles b) {
    return Simd::add_doubles(sum, Simd::multiply(a, b));
  }
  struct Vector {
    Doubles base;
    Doubles step;
    Doubles operator()(Doubles x) const {
      if constexpr (kExact) return Simd::add_exact_product(base, step, x);
      return add_product(base, step, x);
    }
  };

  Scale scale;

  Vector at(std::size_t dimension) const {
    return {Simd::load_doubles(scale.base + dimension), Simd::load_doubles(scale.step + dimension)};
  }
  // A copy of the scales of dimensions [first, first + n), which become [0, n). `memory` is 2 x 16
  // doubles, all zero.
  Scaled copy(std::size_t first, std::size_t n, double* memory) const {
    for (std::size_t j = 0; j < n; ++j) {
      memory[j] = scale.base[first + j];
      memory[kSumLanes + j] = scale.step[first + j];
    }
    return {{memory, memory + kSumLanes, kExact}};
  }
};

// Sums for `kVectors` vectors of documents at once: that many streams come from memory side by
// side, and a query's values are loaded once for all. `n_ahead` vectors follow these. add(sums[i],
// v, q, x) adds the terms of the v-th values of 16 to those of vector i.
template <class Simd, std::size_t kVectors, std::size_t kPrefetches, class Sums, class Value,
          class Values, class Add>
inline void sum_terms(const double* query, const Value* const* vectors, Values values,
                      std::size_t n_ahead, std::size_t n, Sums* sums, Add add) {
  constexpr std::size_t kStep = Simd::kDoubles;
  const auto add_16 = [&](const double* q, const Value* const* x, std::size_t i,
                          const Values& scales, std::size_t dimension) {
    const auto add_all = [&](const auto& values_16) {
      for (std::size_t v = 0; v < kSumLanes / kStep; ++v) {
        const auto wanted = Simd::load_doubles(q + v * kStep);
        const auto value = scales.at(dimension + v * kStep);
        for (std::size_t row = 0; row < kVectors; ++row) {
          add(sums[row], v, wanted, value(Simd::load_doubles(values_16(row) + v * kStep)));
        }
      }
    };
    if constexpr (Widens<Simd, Value>) {
      alignas(64) typename Simd::Wide wide[kVectors][kSumLanes];
      for (std::size_t row = 0; row < kVectors; ++row) Simd::widen_16(x[row] + i, wide[row]);
      __asm__ volatile("" : "+m"(wide));  // through memory, or GCC would extract halves
      add_all([&](std::size_t row) { return wide[row]; });
    } else {
      add_all([&](std::size_t row) { return x[row] + i; });
    }
  };
  const Ahead<kVectors, kPrefetches, Value> ahead(vectors, n_ahead);
  const Value* x[kVectors];
  for (std::size_t row = 0; row < kVectors; ++row) x[row] = vectors[row];
  std::size_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    ahead.prefetch_16(i);
    add_16(query + i, x, i, values, i);
  }
  if (i < n) {  // the last ones, padded with zeros
    double last_query[kSumLanes] = {};
    double last_scales[2 * kSumLanes] = {};
    Value last[kVectors][kSumLanes] = {};
    for (std::size_t j = 0; i + j < n; ++j) last_query[j] = query[i + j];
    for (std::size_t row = 0; row < kVectors; ++row) {
      for (std::size_t j = 0; i + j < n; ++j) last[row][j] = vectors[row][i + j];
      x[row] = last[row];
    }
    add_16(last_query, x, 0, values.copy(i, n - i, last_scales), 0);
  }
}

// Calls next<kVectors, kPrefetches>() for vectors [i, i + kVectors), from i = 0 on.
template <std::size_t kAtOnce, class Next>
[[gnu::always_inline]] inline void for_each_group(std::size_t& i, std::size_t n_vectors,
                                                  std::size_t n_ahead, const Next& next) {
  for (; n_vectors - i >= kAtOnce; i += kAtOnce) {
    if (kMayPrefetchOnce<kAtOnce> && n_vectors - i + n_ahead <= kMostPrefetches * kAtOnce) {
      next.template operator()<kAtOnce, kMayPrefetchOnce<kAtOnce> ? 1 : kMostPrefetches>();
    } else {
      next.template operator()<kAtOnce, kMostPrefetches>();
    }
  }
  for (; i < n_vectors; ++i) next.template operator()<1, kMostPrefetches>();
}

template <class Simd>
struct DotSums {
  Sum<Simd> products;
  Sum<Simd> squares;
};

template <class Simd, std::size_t kVectors, std::size_t kPrefetches, bool kSquares, class Value,
          class Values>
inline void dot_at_once(const double* query, const Value* const* vectors, Values values,
                        std::size_t n_ahead, std::size_t n, double* dots, double* squares) {
  using Doubles = typename Simd::Doubles;
  DotSums<Simd> sums[kVectors];
  sum_terms<Simd, kVectors, kPrefetches>(
      query, vectors, values, n_ahead, n, sums,
      [](DotSums<Simd>& sum, std::size_t v, Doubles q, Doubles x) {
        sum.products.lanes[v] = Values::add_product(sum.products.lanes[v], q, x);
        if constexpr (kSquares) {
          sum.squares.lanes[v] = Values::add_product(sum.squares.lanes[v], x, x);
        }
      });
  for (std::size_t row = 0; row < kVectors; ++row) {
    dots[row] = sums[row].products.total();
    if constexpr (kSquares) squares[row] = sums[row].squares.total();
  }
}

template <class Simd, class Value, class Values>
inline void dot_all(const double* query, const Value* const* vectors, Values values,
                    std::size_t n_vectors, std::size_t n_ahead, std::size_t n, double* dots,
                    double* squares) {
  constexpr std::size_t kAtOnce = Simd::kDotVectors;
  std::size_t i = 0;
  const auto next = [&]<std::size_t kVectors, std::size_t kPrefetches>() {
    const std::size_t n_later = n_vectors - i - kVectors + n_ahead;
    if (squares == nullptr) {
      dot_at_once<Simd, kVectors, kPrefetches, false>(query, vectors + i, values, n_later, n,
                                                      dots + i, nullptr);
    } else {
      dot_at_once<Simd, kVectors, kPrefetches, true>(query, vectors + i, values, n_later, n,
                                                     dots + i, squares + i);
    }
  };
  for_each_group<kAtOnce>(i, n_vectors, n_ahead, next);
}

template <class Simd, std::size_t kVectors, std::size_t kPrefetches, class Value, class Values>
inline void l2_at_once(const double* query, const Value* const* vectors, Values values,
                       std::size_t n_ahead, std::size_t n, double* squares) {
  using Doubles = typename Simd::Doubles;
  Sum<Simd> sums[kVectors];
  sum_terms<Simd, kVectors, kPrefetches>(
      query, vectors, values, n_ahead, n, sums,
      [](Sum<Simd>& sum, std::size_t v, Doubles q, Doubles x) {
        const Doubles difference = Simd::subtract(q, x);
        sum.lanes[v] = Simd::add_doubles(sum.lanes[v], Simd::multiply(difference, difference));
      });
  for (std::size_t row = 0; row < kVectors; ++row) squares[row] = sums[row].total();
}

template <class Simd, class Value, class Values>
inline void l2_all(const double* query, const Value* const* vectors, Values values,
                   std::size_t n_vectors, std::size_t n_ahead, std::size_t n, double* squares) {
  constexpr std::size_t kAtOnce = Simd::kDotVectors;
  std::size_t i = 0;
  const auto next = [&]<std::size_t kVectors, std::size_t kPrefetches>() {
    const std::size_t n_later = n_vectors - i - kVectors + n_ahead;
    l2_at_once<Simd, kVectors, kPrefetches>(query, vectors + i, values, n_later, n, squares + i);
  };
  for_each_group<kAtOnce>(i, n_vectors, n_ahead, next);
}

template <class Simd, class Value>
void dot(const double* query, const Value* const* vectors, std::size_t n_vectors,
         std::size_t n_ahead, std::size_t n, double* dots, double* squares) noexcept {
  dot_all<Simd>(query, vectors, AsStored<Simd>{}, n_vectors, n_ahead, n, dots, squares);
}

template <class Simd>
void dot_scaled(const double* query, const std::int8_t* const* vectors, Scale scale,
                std::size_t n_vectors, std::size_t n_ahead, std::size_t n, double* dots,
                double* squares) noexcept {
  if (Simd::kFusesProducts && scale.exact) {
    dot_all<Simd>(query, vectors, Scaled<Simd, Simd::kFusesProducts>{scale}, n_vectors, n_ahead, n,
                  dots, squares);
  } else {
    dot_all<Simd>(query, vectors, Scaled<Simd, false>{scale}, n_vectors, n_ahead, n, dots, squares);
  }
}

template <class Simd, class Value>
void l2(const double* query, const Value* const* vectors, std::size_t n_vectors,
        std::size_t n_ahead, std::size_t n, double* squares) noexcept {
  l2_all<Simd>(query, vectors, AsStored<Simd>{}, n_vectors, n_ahead, n, squares);
}

template <class Simd>
void l2_scaled(const double* query, const std::int8_t* const* vectors, Scale scale,
               std::size_t n_vectors, std::size_t n_ahead, std::size_t n,
               double* squares) noexcept {
  if (Simd::kFusesProducts && scale.exact) {
    l2_all<Simd>(query, vectors, Scaled<Simd, Simd::kFusesProducts>{scale}, n_vectors, n_ahead, n,
                 squares);
  } else {
    l2_all<Simd>(query, vectors, Scaled<Simd, false>{scale}, n_vectors, n_ahead, n, squares);
  }
}

// Eight rows side by side, a cache line of each at a time, the next eight prefetched: of the ways
// tried, the fastest to read rows from memory.
template <class Simd>
std::uint64_t read_rows(const std::uint8_t* const* rows, std::size_t n_rows, std::size_t n_ahead,
                        std::size_t n_bytes) noexcept {
  constexpr std::size_t kRows = 8;
  constexpr std::size_t kLine = 64;
  std::uint64_t result = 0;
  std::size_t first = 0;
  for (; first + kRows <= n_rows; first += kRows) {
    const bool is_followed = first + 2 * kRows <= n_rows + n_ahead;
    const std::uint8_t* const* next = rows + first + (is_followed ? kRows : 0);
    typename Simd::Vector seen[kRows];
    for (auto& x : seen) x = Simd::broadcast(0);
    std::size_t i = 0;
    for (; i + kLine <= n_bytes; i += kLine) {
      for (std::size_t row = 0; row < kRows; ++row) __builtin_prefetch(next[row] + i, 0, 2);
      for (std::size_t row = 0; row < kRows; ++row) {
        for (std::size_t at = i; at < i + kLine; at += 8 * Simd::kLanes) {
          seen[row] = Simd::exclusive_or(seen[row], Simd::load(rows[first + row] + at));
        }
      }
    }
    for (std::size_t row = 0; row < kRows; ++row) {
      for (std::size_t at = i; at < n_bytes; ++at) result ^= rows[first + row][at];
      std::uint64_t lanes[Simd::kLanes];
      Simd::store_lanes(lanes, seen[row]);
      for (const std::uint64_t lane : lanes) result ^= lane;
    }
  }
  for (; first < n_rows; ++first) {
    for (std::size_t at = 0; at < n_bytes; ++at) result ^= rows[first][at];
  }
  return result;
}

}  // namespace bitsift
