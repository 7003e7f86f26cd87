// SPDX-License-Identifier: Apache-2.0
#include "encoding/round_queries.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/thread_pool.hpp"
#include "encoding/round_to_even.hpp"
#include "kernels/kernels.hpp"

namespace bitsift {
namespace {

constexpr std::size_t kRoundQueriesPieceValues = 1 << 14;
constexpr double kLargestMagnitude = (1 << kMagnitudeBits) - 1;

// Writes row `row` of `out`. `room` is scratch memory for n values.
void round_one(const double* q, const float* threshold, std::size_t n, std::size_t row,
               std::vector<double>& room, const RoundedQueries& out) {
  const std::size_t n_bytes = (n + 7) / 8;
  std::uint8_t* code = out.codes + row * n_bytes;
  std::uint8_t* magnitudes = out.magnitudes + row * 8 * n_bytes;
  std::memset(code, 0, n_bytes);
  std::memset(magnitudes, 0, 8 * n_bytes);
  double largest = 0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(q[i]));
  double* shares = room.data();
  // Divided, not multiplied by an inverse: the smallest floats have no finite inverse.
  const double divisor = largest == 0 ? 1 : largest;
  for (std::size_t i = 0; i < n; ++i) shares[i] = q[i] / divisor;
  for (std::size_t i = 0; i < n; ++i) {
    // In this order of the arguments of max(), NaN becomes 0.
    const double magnitude = std::max(0.0, std::abs(shares[i]) * kLargestMagnitude);
    magnitudes[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(round_to_even(magnitude)));
  }
  for (std::size_t i = 0; i < n; ++i) {
    code[i / 8] = static_cast<std::uint8_t>(code[i / 8] | (q[i] > 0 ? 1 : 0) << (7 - i % 8));
  }
  double square = 0;
  double product = 0;
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    sum += magnitudes[i];
    square += shares[i] * shares[i];
    product += q[i] * static_cast<double>(threshold[i]);
  }
  out.scales[row] = largest / kLargestMagnitude;
  out.norms[row] = largest * std::sqrt(square);
  out.sums[row] = sum;
  out.products[row] = product;
}

}  // namespace

void round_queries(Matrix<double> values, const float* threshold, std::size_t n_threads,
                   const RoundedQueries& out) {
  const std::size_t n = values.n_columns;
  for_each_piece(values.n_rows, 1 + kRoundQueriesPieceValues / n, n_threads,
                 [&](std::size_t begin, std::size_t end) {
                   std::vector<double> room(n);
                   for (std::size_t row = begin; row < end; ++row) {
                     round_one(values.row(row), threshold, n, row, room, out);
                   }
                 });
}

}  // namespace bitsift
