// SPDX-License-Identifier: Apache-2.0
#include "naive.hpp"
#include "sizes.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace bitsift::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The k best of `rows` by (badness, id).
template <class Badness>
std::vector<std::int64_t> best_rows(std::vector<std::int64_t> rows, const Badness& badness,
                                    const std::int64_t* ids, std::size_t k) {
  std::sort(rows.begin(), rows.end(), [&](std::int64_t a, std::int64_t b) {
    if (badness(a) != badness(b)) return badness(a) < badness(b);
    return ids == nullptr ? a < b : ids[a] < ids[b];
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
  // A score that is no number is the worst one.
  return static_cast<float>(std::isnan(badness) ? kInfinity : badness);
}

template <class Value>
Results<float> rescore_all(Metric metric, Matrix<Value> originals, Matrix<float> queries,
                           const CandidateRows& candidates) {
  constexpr float kWorst = std::numeric_limits<float>::infinity();
  Results<float> results;
  for (std::size_t query = 0; query < queries.n_rows; ++query) {
    std::vector<std::int64_t> rows;
    std::vector<float> badness(originals.n_rows);
    for (std::size_t i = 0; i < candidates.rows.n_columns; ++i) {
      const std::int64_t row = candidates.rows.row(query)[i];
      if (row < 0) continue;
      rows.push_back(row);
      const auto at = static_cast<std::size_t>(row);
      badness[at] =
          naive_badness(metric, queries.row(query), originals.row(at), originals.n_columns);
    }
    const auto of_row = [&](std::int64_t row) { return badness[static_cast<std::size_t>(row)]; };
    rows = best_rows(rows, of_row, candidates.ids, candidates.k);
    for (std::size_t i = 0; i < candidates.k; ++i) {
      const float found = i < rows.size() ? of_row(rows[i]) : kWorst;
      results.values.push_back(metric == Metric::kL2 ? found : 0.0f - found);
      results.rows.push_back(i < rows.size() ? rows[i] : -1);
    }
  }
  return results;
}

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

Results<std::int32_t> naive_search(Matrix<std::uint8_t> codes, const Queries& queries,
                                   const std::int64_t* ids, std::size_t k) {
  Results<std::int32_t> results;
  std::vector<std::int64_t> all_rows(codes.n_rows);
  std::iota(all_rows.begin(), all_rows.end(), 0);
  std::vector<std::int32_t> distances(codes.n_rows);
  for (std::size_t query = 0; query < queries.codes.n_rows; ++query) {
    for (std::size_t row = 0; row < codes.n_rows; ++row) {
      const std::uint8_t* code = queries.codes.row(query);
      distances[row] = queries.weighted()
                           ? naive_weighted_distance(code, queries.magnitudes.row(query),
                                                     codes.row(row), codes.n_columns)
                           : naive_distance(code, codes.row(row), codes.n_columns);
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

Results<float> naive_rescore(Metric metric, Matrix<float> originals, Matrix<float> queries,
                             const CandidateRows& candidates) {
  return rescore_all(metric, originals, queries, candidates);
}

Results<float> naive_rescore(Metric metric, Matrix<Half> originals, Matrix<float> queries,
                             const CandidateRows& candidates) {
  return rescore_all(metric, originals, queries, candidates);
}

}  // namespace bitsift::test
