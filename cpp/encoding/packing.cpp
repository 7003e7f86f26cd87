// SPDX-License-Identifier: Apache-2.0
#include "encoding/packing.hpp"

#include <atomic>

#include "base/thread_pool.hpp"

namespace bitsift {
namespace {

// Calls pack_row(values, out) for every row. A matrix of one piece stays on the calling thread.
template <class Value, class PackRow>
bool pack_rows(Matrix<Value> values, std::size_t n_threads, std::uint8_t* codes, PackRow pack_row) {
  constexpr std::size_t kPackPieceBytes = 1 << 18;
  const std::size_t n_bytes = (values.n_columns + 7) / 8;
  const std::size_t row_size = values.n_columns * sizeof(Value);
  std::atomic<bool> all_finite{true};
  for_each_piece(values.n_rows, 1 + kPackPieceBytes / row_size, n_threads,
                 [&](std::size_t begin, std::size_t end) {
                   bool finite = true;
                   for (std::size_t i = begin; i < end; ++i) {
                     finite &= pack_row(values.row(i), codes + i * n_bytes);
                   }
                   if (!finite) all_finite.store(false, std::memory_order_relaxed);
                 });
  return all_finite.load(std::memory_order_relaxed);
}

}  // namespace

bool pack(const Kernels& kernels, Matrix<float> values, const float* thresholds,
          std::size_t n_threads, std::uint8_t* codes) {
  return pack_rows(values, n_threads, codes, [&](const float* row, std::uint8_t* out) {
    return kernels.pack_f32(row, thresholds, values.n_columns, out);
  });
}

bool pack(const Kernels& kernels, Matrix<Half> values, const float* thresholds,
          std::size_t n_threads, std::uint8_t* codes) {
  return pack_rows(values, n_threads, codes, [&](const Half* row, std::uint8_t* out) {
    return kernels.pack_f16(row, thresholds, values.n_columns, out);
  });
}

bool pack(const Kernels& kernels, Matrix<double> values, const double* thresholds,
          std::size_t n_threads, std::uint8_t* codes) {
  return pack_rows(values, n_threads, codes, [&](const double* row, std::uint8_t* out) {
    return kernels.pack_f64(row, thresholds, values.n_columns, out);
  });
}

void pack(const Kernels& kernels, Matrix<std::uint8_t> values, std::size_t n_threads,
          std::uint8_t* codes) {
  pack_rows(values, n_threads, codes, [&](const std::uint8_t* row, std::uint8_t* out) {
    kernels.pack_bool(row, values.n_columns, out);
    return true;
  });
}

}  // namespace bitsift
