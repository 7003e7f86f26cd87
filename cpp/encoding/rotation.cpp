// SPDX-License-Identifier: Apache-2.0
// A rotation is a few rounds of random sign flips and Hadamard transforms: d log d additions
// instead of d^2 multiplications. Ailon, Chazelle, "The Fast Johnson-Lindenstrauss Transform and
// Approximate Nearest Neighbors" (doi:10.1137/060673096). If d is not a power of two, each round
// transforms the first 2^m dimensions and then the last 2^m, which overlap.
#include "encoding/rotation.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>

#include "base/thread_pool.hpp"

namespace bitsift {
namespace {

constexpr std::size_t kRotationPieceValues = 1 << 14;

void flip(float* x, const float* signs, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) x[i] *= signs[i];
}

void add_and_subtract(float* a, float* b, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const float x = a[i];
    const float y = b[i];
    a[i] = x + y;
    b[i] = x - y;
  }
}

// The first two steps of a transform, on four values.
void hadamard_4(float* x) {
  const float a = x[0] + x[1];
  const float b = x[0] - x[1];
  const float c = x[2] + x[3];
  const float d = x[2] - x[3];
  x[0] = a + c;
  x[1] = b + d;
  x[2] = a - c;
  x[3] = b - d;
}

// n is a power of two.
void hadamard(float* x, std::size_t n) {
  std::size_t half = 1;
  if (n >= 4) {
    for (std::size_t i = 0; i < n; i += 4) hadamard_4(x + i);
    half = 4;
  }
  for (; half < n; half *= 2) {
    for (std::size_t i = 0; i < n; i += 2 * half) add_and_subtract(x + i, x + i + half, half);
  }
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(n)));
  for (std::size_t i = 0; i < n; ++i) x[i] *= scale;
}

void rotate(Matrix<float> flips, float* x, std::size_t n) {
  const std::size_t n_block = std::bit_floor(n);
  for (std::size_t i = 0; i < flips.n_rows;) {
    flip(x, flips.row(i++), n);
    hadamard(x, n_block);
    if (n_block == n) continue;
    flip(x, flips.row(i++), n);
    hadamard(x + (n - n_block), n_block);
  }
}

double norm(const float* x, std::size_t n) {
  double square = 0;
  for (std::size_t i = 0; i < n; ++i)
    square += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return std::sqrt(square);
}

// Returns false if a value of y is not finite.
bool centre_and_rotate_row(const CentredRotation& rotation, const float* x, std::size_t n,
                           float* y) {
  double length = rotation.normalize ? norm(x, n) : 1;
  if (length == 0) length = 1;
  for (std::size_t i = 0; i < n; ++i) {
    y[i] = static_cast<float>(static_cast<double>(x[i]) / length) - rotation.threshold[i];
  }
  rotate(rotation.flips, y, n);
  bool finite = true;
  for (std::size_t i = 0; i < n; ++i) finite &= std::isfinite(y[i]);
  return finite;
}

}  // namespace

std::size_t flips_per_round(std::size_t n_dims) { return std::has_single_bit(n_dims) ? 1 : 2; }

bool centre_and_rotate(const CentredRotation& rotation, Matrix<float> values, std::size_t n_threads,
                       float* out) {
  const std::size_t n = values.n_columns;
  std::atomic<bool> finite{true};
  for_each_piece(values.n_rows, 1 + kRotationPieceValues / n, n_threads,
                 [&](std::size_t begin, std::size_t end) {
                   for (std::size_t row = begin; row < end; ++row) {
                     if (!centre_and_rotate_row(rotation, values.row(row), n, out + row * n)) {
                       finite.store(false, std::memory_order_relaxed);
                     }
                   }
                 });
  return finite;
}

}  // namespace bitsift
