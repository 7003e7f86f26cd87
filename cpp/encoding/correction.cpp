// SPDX-License-Identifier: Apache-2.0
#include "encoding/correction.hpp"

#include <atomic>
#include <bit>
#include <cmath>
#include <limits>

#include "base/thread_pool.hpp"

namespace bitsift {
namespace {

constexpr std::size_t kCorrectionPieceValues = 1 << 16;
constexpr std::uint16_t kInfinity = 0x7F80;

// Rounds to float32 and then to bfloat16, ties to even. Values that are too large, and NaN, become
// infinity.
std::uint16_t to_bfloat16(double x) {
  const auto rounded = static_cast<float>(x);
  if (!(std::abs(rounded) <= std::numeric_limits<float>::max())) return kInfinity;
  const auto bits = std::bit_cast<std::uint32_t>(rounded);
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

struct Sums {
  double absolute = 0;
  double square = 0;
  double product = 0;  // with the threshold
};

Sums sums_of(const float* y, const float* threshold, std::size_t n) {
  Sums sums;
  for (std::size_t i = 0; i < n; ++i) {
    const auto value = static_cast<double>(y[i]);
    sums.absolute += std::abs(value);
    sums.square += value * value;
    if (threshold != nullptr) sums.product += value * static_cast<double>(threshold[i]);
  }
  return sums;
}

}  // namespace

bool correction_factors(const Correction& correction, Matrix<float> vectors, std::size_t n_threads,
                        std::uint16_t* out) {
  const std::size_t n = vectors.n_columns;
  const std::size_t n_columns = correction.n_columns();
  const float* threshold = correction.threshold;
  const double threshold_square = threshold == nullptr ? 0 : sums_of(threshold, nullptr, n).square;
  std::atomic<bool> finite{true};
  for_each_piece(
      vectors.n_rows, 1 + kCorrectionPieceValues / n, n_threads,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t row = begin; row < end; ++row) {
          const Sums sums = sums_of(vectors.row(row), threshold, n);
          const double length = std::sqrt(sums.square);
          const bool relative = correction.metric == Metric::kCosine && threshold == nullptr;
          const double above = relative ? length : sums.square;
          std::uint16_t* factors = out + row * n_columns;
          factors[0] = to_bfloat16(sums.absolute == 0 ? 0 : above / sums.absolute);
          if (n_columns > 1) {
            factors[1] = to_bfloat16(
                correction.metric == Metric::kL2 ? length : sums.product + threshold_square);
          }
          for (std::size_t i = 0; i < n_columns; ++i) {
            if ((factors[i] & kInfinity) == kInfinity) {
              finite.store(false, std::memory_order_relaxed);
            }
          }
        }
      });
  return finite;
}

}  // namespace bitsift
