// SPDX-License-Identifier: Apache-2.0
#include "oracle/naive.hpp"
#include "helpers/sizes.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>

namespace bitsift::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// NaN is the worst score.
float badness_of_score(double badness) {
  return static_cast<float>(std::isnan(badness) ? kInfinity : badness);
}

// The k best of `rows` by (badness, id).
template <class Badness>
std::vector<std::int64_t> best_rows(std::vector<std::int64_t> rows, const Badness& badness,
                                    RowIds ids, std::size_t k) {
  std::sort(rows.begin(), rows.end(), [&](std::int64_t a, std::int64_t b) {
    if (badness(a) != badness(b)) return badness(a) < badness(b);
    if (ids.are_numbers()) return a < b;
    return ids[static_cast<std::size_t>(a)] < ids[static_cast<std::size_t>(b)];
  });
  rows.resize(std::min(k, rows.size()));
  return rows;
}

template <class Value>
float naive_badness(Metric metric, const float* query, const Value* vector, std::size_t n) {
  std::vector<double> products(n);
  std::vector<double> query_squares(n);
  std::vector<double> vector_squares(n);
  std::vector<double> difference_squares(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double q = value_of(query[i]);
    const double x = value_of(vector[i]);
    products[i] = q * x;
    query_squares[i] = q * q;
    vector_squares[i] = x * x;
    difference_squares[i] = (q - x) * (q - x);
  }
  const double product = naive_lane_sum(products);
  double badness = 0;
  if (metric == Metric::kL2) {
    badness = std::sqrt(naive_lane_sum(difference_squares));
  } else if (metric == Metric::kDot) {
    badness = -product;
  } else {
    const double norms =
        std::sqrt(naive_lane_sum(query_squares)) * std::sqrt(naive_lane_sum(vector_squares));
    badness = norms == 0 ? 0 : -(product / norms);
  }
  return badness_of_score(badness);
}

// The results of each step, without those of earlier ones.
template <class OfRow>
std::vector<std::int64_t> rows_by_steps(const std::vector<std::int64_t>& rows, const OfRow& of_row,
                                        const CandidateRows& candidates) {
  std::vector<std::int64_t> given;
  for (const Step& step : candidates.steps) {
    std::vector<std::int64_t> left;
    for (std::size_t i = 0; i < std::min(step.n_candidates, rows.size()); ++i) {
      if (std::find(given.begin(), given.end(), rows[i]) == given.end()) left.push_back(rows[i]);
    }
    const std::size_t n = std::min(step.n_results, candidates.k) - given.size();
    for (const std::int64_t row : best_rows(left, of_row, candidates.ids, n)) given.push_back(row);
  }
  return given;
}

// The best candidates of each of n_queries by badness(query, row).
template <class Badness>
Results<float> best_candidates(const CandidateRows& candidates, std::size_t n_queries,
                               bool ascending, const Badness& badness) {
  constexpr float kWorst = std::numeric_limits<float>::infinity();
  Results<float> results;
  for (std::size_t query = 0; query < n_queries; ++query) {
    std::vector<std::int64_t> rows;
    std::map<std::int64_t, float> of_rows;
    for (std::size_t i = 0; i < candidates.rows.n_columns; ++i) {
      const std::int64_t row = candidates.rows.row(query)[i];
      if (row < 0) continue;
      rows.push_back(row);
      of_rows[row] = badness(query, static_cast<std::size_t>(row));
    }
    const auto of_row = [&](std::int64_t row) { return of_rows.at(row); };
    rows = candidates.steps.empty() ? best_rows(rows, of_row, candidates.ids, candidates.k)
                                    : rows_by_steps(rows, of_row, candidates);
    for (std::size_t i = 0; i < candidates.k; ++i) {
      const float found = i < rows.size() ? of_row(rows[i]) : kWorst;
      results.values.push_back(ascending ? found : 0.0f - found);
      results.rows.push_back(i < rows.size() ? rows[i] : -1);
    }
  }
  return results;
}

template <class Value>
Results<float> rescore_all(Metric metric, const Segments<Value>& originals, Matrix<float> queries,
                           const CandidateRows& candidates) {
  return best_candidates(
      candidates, queries.n_rows, metric == Metric::kL2, [&](std::size_t query, std::size_t row) {
        return naive_badness(metric, queries.row(query), originals.row(row), originals.n_columns());
      });
}

// By halves: the transform of (a, b) is (A + B, A - B), of the transforms of a and b.
std::vector<float> hadamard_sums(std::vector<float> x) {
  if (x.size() == 1) return x;
  const auto middle = x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2);
  const std::vector<float> a = hadamard_sums({x.begin(), middle});
  const std::vector<float> b = hadamard_sums({middle, x.end()});
  std::vector<float> result;
  for (std::size_t i = 0; i < a.size(); ++i) result.push_back(a[i] + b[i]);
  for (std::size_t i = 0; i < a.size(); ++i) result.push_back(a[i] - b[i]);
  return result;
}

// Flips all, then transforms the n_block values from `first` on, as an orthogonal matrix does.
void flip_and_transform(std::vector<float>& x, const float* signs, std::size_t first,
                        std::size_t n_block) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] *= signs[i];
  const auto begin = x.begin() + static_cast<std::ptrdiff_t>(first);
  const auto sums = hadamard_sums({begin, begin + static_cast<std::ptrdiff_t>(n_block)});
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(n_block)));
  for (std::size_t i = 0; i < n_block; ++i) x[first + i] = sums[i] * scale;
}

int power_of_3(std::size_t exponent) { return exponent == 0 ? 1 : 3 * power_of_3(exponent - 1); }

}  // namespace

double value_of(Half x) {
  const int exponent = x.bits >> 10 & 0x1F;
  const int fraction = x.bits & 0x3FF;
  double magnitude = 0;
  if (exponent == 0x1F) {
    magnitude = fraction == 0 ? kInfinity : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(fraction, -24);
  } else {
    magnitude = std::ldexp(1024 + fraction, exponent - 25);
  }
  return (x.bits & 0x8000) != 0 ? -magnitude : magnitude;
}

Half half_of(double x) {
  // Halves of one sign are ordered as their bits are.
  const double magnitude = std::fabs(x);
  std::uint16_t low = 0;
  std::uint16_t high = 0x7C00;
  while (high - low > 1) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    (value_of(Half{middle}) <= magnitude ? low : high) = middle;
  }
  return Half{static_cast<std::uint16_t>(low | (std::signbit(x) ? 0x8000 : 0))};
}

std::int32_t naive_weighted_distance(const std::uint8_t* query, const std::uint8_t* magnitudes,
                                     const std::uint8_t* document, std::size_t n_bytes) {
  std::int32_t distance = 0;
  for (std::size_t i = 0; i < 8 * n_bytes; ++i) {
    const int differing = (query[i / 8] ^ document[i / 8]) >> (7 - i % 8) & 1;
    distance += differing * magnitudes[i];
  }
  return distance;
}

std::int32_t naive_distance(const std::uint8_t* a, const std::uint8_t* b, std::size_t n_bytes) {
  int distance = 0;
  std::size_t i = 0;
  for (; i + 8 <= n_bytes; i += 8) {
    std::uint64_t x = 0;
    std::uint64_t y = 0;
    std::memcpy(&x, a + i, 8);
    std::memcpy(&y, b + i, 8);
    distance += std::popcount(x ^ y);
  }
  for (; i < n_bytes; ++i) distance += std::popcount(static_cast<std::uint8_t>(a[i] ^ b[i]));
  return distance;
}

Results<std::int32_t> naive_search(const Segments<std::uint8_t>& codes, const Queries& queries,
                                   RowIds ids, std::size_t k) {
  Results<std::int32_t> results;
  std::vector<std::int64_t> all_rows(codes.n_rows());
  std::iota(all_rows.begin(), all_rows.end(), 0);
  std::vector<std::int32_t> distances(codes.n_rows());
  for (std::size_t query = 0; query < queries.codes.n_rows; ++query) {
    for (std::size_t row = 0; row < codes.n_rows(); ++row) {
      const std::uint8_t* code = queries.codes.row(query);
      distances[row] = queries.weighted()
                           ? naive_weighted_distance(code, queries.magnitudes.row(query),
                                                     codes.row(row), codes.n_columns())
                           : naive_distance(code, codes.row(row), codes.n_columns());
    }
    const auto of_row = [&](std::int64_t row) { return distances[static_cast<std::size_t>(row)]; };
    const std::vector<std::int64_t> rows = best_rows(all_rows, of_row, ids, k);
    for (std::size_t i = 0; i < k; ++i) {
      results.values.push_back(i < rows.size() ? of_row(rows[i])
                                               : std::numeric_limits<std::int32_t>::max());
      results.rows.push_back(i < rows.size() ? rows[i] : -1);
    }
  }
  return results;
}

std::vector<std::int32_t> naive_all_pairs(Matrix<std::uint8_t> a, Matrix<std::uint8_t> b) {
  std::vector<std::int32_t> distances;
  for (std::size_t i = 0; i < a.n_rows; ++i) {
    for (std::size_t j = 0; j < b.n_rows; ++j) {
      distances.push_back(naive_distance(a.row(i), b.row(j), a.n_columns));
    }
  }
  return distances;
}

double naive_lane_sum(const std::vector<double>& terms) {
  double lanes[16] = {};
  for (std::size_t i = 0; i < terms.size(); ++i) lanes[i % 16] += terms[i];
  for (const std::size_t width : Sizes{8, 4, 2, 1}) {
    for (std::size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

Results<float> naive_rescore(Metric metric, const Segments<float>& originals, Matrix<float> queries,
                             const CandidateRows& candidates) {
  return rescore_all(metric, originals, queries, candidates);
}

Results<float> naive_rescore(Metric metric, const Segments<Half>& originals, Matrix<float> queries,
                             const CandidateRows& candidates) {
  return rescore_all(metric, originals, queries, candidates);
}

Results<float> naive_rescore(Metric metric, const IntegerVectors& originals, Matrix<float> queries,
                             const CandidateRows& candidates) {
  std::vector<double> values;
  for (std::size_t row = 0; row < originals.rows.n_rows(); ++row) {
    const auto integers = naive_unpack(originals.type, originals.rows.row(row), originals.dim);
    for (std::size_t i = 0; i < originals.dim; ++i) {
      values.push_back(originals.scale.base[i] + originals.scale.step[i] * integers[i]);
    }
  }
  return rescore_all<double>(metric, matrix_of(values, originals.dim), queries, candidates);
}

std::vector<std::int8_t> naive_unpack(IntegerType type, const std::uint8_t* bytes, std::size_t n) {
  std::vector<std::int8_t> integers;
  for (std::size_t i = 0; i < n; ++i) {
    int integer = 0;
    if (type == IntegerType::kInt8) {
      integer = bytes[i] < 128 ? bytes[i] : bytes[i] - 256;
    } else if (type == IntegerType::kUint8) {
      integer = bytes[i] - 128;
    } else if (type == IntegerType::kInt4) {
      const int nibble = i % 2 == 0 ? bytes[i / 2] / 16 : bytes[i / 2] % 16;
      integer = nibble < 8 ? nibble : nibble - 16;
    } else {
      integer = bytes[i / 5] / power_of_3(4 - i % 5) % 3 - 1;
    }
    integers.push_back(static_cast<std::int8_t>(integer));
  }
  return integers;
}

std::vector<std::uint8_t> naive_pack_integers(IntegerType type,
                                              const std::vector<std::int8_t>& integers) {
  const std::size_t per_byte = integers_per_byte(type);
  std::vector<int> bytes((integers.size() + per_byte - 1) / per_byte);
  for (std::size_t i = 0; i < per_byte * bytes.size(); ++i) {
    const int integer = i < integers.size() ? integers[i] : 0;
    int& byte = bytes[i / per_byte];
    if (type == IntegerType::kInt8) {
      byte = (integer + 256) % 256;
    } else if (type == IntegerType::kUint8) {
      byte = integer + 128;
    } else if (type == IntegerType::kInt4) {
      byte = 16 * byte + (integer + 16) % 16;
    } else {
      byte = 3 * byte + integer + 1;
    }
  }
  return {bytes.begin(), bytes.end()};
}

std::int8_t naive_integer(IntegerType type, double x, double lower, double upper) {
  if (type == IntegerType::kTernary) {
    return static_cast<std::int8_t>(x < lower ? -1 : x > upper ? 1 : 0);
  }
  const double n_steps = type == IntegerType::kInt4 ? 16 : 256;
  const double half = n_steps / 2;
  const double nearest = std::nearbyint(n_steps * (x - lower) / (upper - lower) - half);
  return static_cast<std::int8_t>(std::clamp(nearest, -half, half - 1));
}

Results<float> naive_rescore_codes(const Segments<std::uint8_t>& codes, const Queries& queries,
                                   const CandidateRows& candidates, const Estimate* estimate) {
  const auto badness = [&](std::size_t query, std::size_t row) {
    const std::int32_t distance = naive_weighted_distance(
        queries.codes.row(query), queries.magnitudes.row(query), codes.row(row), codes.n_columns());
    if (estimate == nullptr) return static_cast<float>(distance);
    const std::uint16_t* factors = estimate->factors.row(row);
    const double factor = value_of_bfloat16(factors[0]);
    const double second = estimate->factors.n_columns() == 2 ? value_of_bfloat16(factors[1]) : 0;
    const double e = estimate->scales[query] * (estimate->sums[query] - 2.0 * distance) * factor;
    const double constant = estimate->constants[query];
    if (estimate->metric != Metric::kL2) return badness_of_score(-(constant + e + second));
    const double square = constant + second * second - 2 * e;
    return badness_of_score(square < 0 ? 0 : std::sqrt(square));
  };
  const bool ascending = estimate == nullptr || estimate->metric == Metric::kL2;
  return best_candidates(candidates, queries.codes.n_rows, ascending, badness);
}

double value_of_bfloat16(std::uint16_t bits) {
  const int exponent = bits >> 7 & 0xFF;
  const int fraction = bits & 0x7F;
  double magnitude = 0;
  if (exponent == 0xFF) {
    magnitude = fraction == 0 ? kInfinity : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(fraction, -133);
  } else {
    magnitude = std::ldexp(128 + fraction, exponent - 134);
  }
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

std::uint16_t naive_bfloat16(float x) {
  if (!std::isfinite(x)) return 0x7F80;
  // Numbers of one sign are ordered as their bits are; behind the last one comes 2^128.
  const double magnitude = std::fabs(static_cast<double>(x));
  const auto value = [](int bits) {
    return bits == 0x7F80 ? 0x1p128 : value_of_bfloat16(static_cast<std::uint16_t>(bits));
  };
  int low = 0;
  int high = 0x7F80;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (value(middle) <= magnitude ? low : high) = middle;
  }
  const double below = magnitude - value(low);
  const double above = value(high) - magnitude;
  const bool up = below > above || (below == above && low % 2 == 1);
  return static_cast<std::uint16_t>((up ? high : low) | (std::signbit(x) ? 0x8000 : 0));
}

std::vector<float> naive_centre_and_rotate(const CentredRotation& rotation, const float* x,
                                           std::size_t n) {
  double square = 0;
  for (std::size_t i = 0; i < n; ++i) square += value_of(x[i]) * value_of(x[i]);
  std::vector<float> y;
  for (std::size_t i = 0; i < n; ++i) {
    float unit = x[i];
    if (rotation.normalize && square > 0) {
      unit = static_cast<float>(value_of(x[i]) / std::sqrt(square));
    }
    y.push_back(unit - rotation.threshold[i]);
  }
  std::size_t n_block = 1;
  while (2 * n_block <= n) n_block *= 2;
  const bool twice = n_block < n;
  for (std::size_t i = 0; i < rotation.flips.n_rows; ++i) {
    const bool second = twice && i % 2 == 1;
    flip_and_transform(y, rotation.flips.row(i), second ? n - n_block : 0, n_block);
  }
  return y;
}

std::vector<std::uint16_t> naive_factors(const Correction& correction, const float* y,
                                         std::size_t n) {
  double absolute = 0;
  double square = 0;
  double product = 0;
  double threshold_square = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double value = value_of(y[i]);
    absolute += std::fabs(value);
    square += value * value;
    if (correction.threshold == nullptr) continue;
    const double threshold = value_of(correction.threshold[i]);
    product += value * threshold;
    threshold_square += threshold * threshold;
  }
  const bool divide = correction.metric == Metric::kCosine && correction.threshold == nullptr;
  const double factor = (divide ? std::sqrt(square) : square) / absolute;
  std::vector<std::uint16_t> result = {
      naive_bfloat16(absolute == 0 ? 0 : static_cast<float>(factor))};
  if (correction.metric == Metric::kL2) {
    result.push_back(naive_bfloat16(static_cast<float>(std::sqrt(square))));
  } else if (correction.threshold != nullptr) {
    result.push_back(naive_bfloat16(static_cast<float>(product + threshold_square)));
  }
  return result;
}

}  // namespace bitsift::test
