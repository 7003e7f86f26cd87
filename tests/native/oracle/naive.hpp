// SPDX-License-Identifier: Apache-2.0
// The oracle: the results that the core promises, computed as plainly as C++ allows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "base/matrix.hpp"
#include "encoding/correction.hpp"
#include "encoding/integers.hpp"
#include "encoding/rotation.hpp"
#include "kernels/kernels.hpp"
#include "rescoring/rescore.hpp"
#include "rescoring/rescore_codes.hpp"
#include "search/query_batch.hpp"

namespace bitsift::test {

inline double value_of(float x) { return static_cast<double>(x); }
inline double value_of(double x) { return x; }
double value_of(Half x);

// x rounded towards zero; zero if |x| < 2^-24.
Half half_of(double x);

struct Packed {
  std::vector<std::uint8_t> codes;
  bool finite;
};

template <class Value, class Threshold>
Packed naive_pack(const Value* values, const Threshold* thresholds, std::size_t n) {
  Packed result{std::vector<std::uint8_t>((n + 7) / 8), true};
  for (std::size_t i = 0; i < n; ++i) {
    const double x = value_of(values[i]);
    if (x > value_of(thresholds[i])) {
      result.codes[i / 8] = static_cast<std::uint8_t>(result.codes[i / 8] | 0x80 >> i % 8);
    }
    result.finite &= x - x == 0;
  }
  return result;
}

std::int32_t naive_distance(const std::uint8_t* a, const std::uint8_t* b, std::size_t n_bytes);

// The sum of the magnitudes of the bits that differ; magnitudes[i] is that of bit i, MSB first.
std::int32_t naive_weighted_distance(const std::uint8_t* query, const std::uint8_t* magnitudes,
                                     const std::uint8_t* document, std::size_t n_bytes);

// The results of a search: n_queries x k.
template <class Value>
struct Results {
  std::vector<Value> values;  // distances or scores
  std::vector<std::int64_t> rows;

  bool operator==(const Results&) const = default;
  // Those of queries [begin, end).
  Results part(std::size_t begin, std::size_t end, std::size_t k) const {
    const auto cut = [&](const auto& all) {
      return std::remove_cvref_t<decltype(all)>(
          all.begin() + static_cast<std::ptrdiff_t>(begin * k),
          all.begin() + static_cast<std::ptrdiff_t>(end * k));
    };
    return {cut(values), cut(rows)};
  }
};

Results<std::int32_t> naive_search(const Segments<std::uint8_t>& codes, const Queries& queries,
                                   RowIds ids, std::size_t k);

std::vector<std::int32_t> naive_all_pairs(Matrix<std::uint8_t> a, Matrix<std::uint8_t> b);

// The documented order of summation: 16 lanes, then a tree.
double naive_lane_sum(const std::vector<double>& terms);

Results<float> naive_rescore(Metric metric, const Segments<float>& originals, Matrix<float> queries,
                             const CandidateRows& candidates);
Results<float> naive_rescore(Metric metric, const Segments<Half>& originals, Matrix<float> queries,
                             const CandidateRows& candidates);
Results<float> naive_rescore(Metric metric, const IntegerVectors& originals, Matrix<float> queries,
                             const CandidateRows& candidates);

// The n integers of a row of bytes, and the bytes of integers.
std::vector<std::int8_t> naive_unpack(IntegerType type, const std::uint8_t* bytes, std::size_t n);
std::vector<std::uint8_t> naive_pack_integers(IntegerType type,
                                              const std::vector<std::int8_t>& integers);
// clip(rint(256 (x - lower) / (upper - lower) - 128), -128, 127), or the same with 16 steps, or for
// ternary the side of the bounds on which x lies.
std::int8_t naive_integer(IntegerType type, double x, double lower, double upper);

// Without an estimate (nullptr), scores are the distances.
Results<float> naive_rescore_codes(const Segments<std::uint8_t>& codes, const Queries& queries,
                                   const CandidateRows& candidates, const Estimate* estimate);

// bfloat16: the upper half of a float32.
double value_of_bfloat16(std::uint16_t bits);
// The nearest bfloat16, ties to even; infinity if 2^128 is the nearest, and for NaN.
std::uint16_t naive_bfloat16(float x);

// The row of one vector in the results of centre_and_rotate() and correction_factors().
std::vector<float> naive_centre_and_rotate(const CentredRotation& rotation, const float* x,
                                           std::size_t n);
std::vector<std::uint16_t> naive_factors(const Correction& correction, const float* y,
                                         std::size_t n);

// Contiguous rows.
template <class T>
Matrix<T> matrix_of(const std::vector<T>& values, std::size_t n_columns) {
  return {.data = values.data(),
          .n_rows = n_columns == 0 ? 0 : values.size() / n_columns,
          .n_columns = n_columns,
          .stride = static_cast<std::ptrdiff_t>(n_columns * sizeof(T))};
}

}  // namespace bitsift::test
