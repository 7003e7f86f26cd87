// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/matrix.hpp"
#include "kernels/kernels.hpp"
#include "search/scan_method.hpp"

namespace bitsift {

// How far a join is. Any thread may read it.
struct JoinProgress {
  std::atomic<std::uint64_t> n_done{0};  // pairs of rows
  std::atomic<std::uint64_t> n_all{0};

  // 0 to 1, never less than before.
  double part() const {
    const auto all = static_cast<double>(n_all.load(std::memory_order_relaxed));
    return all == 0 ? 0 : static_cast<double>(n_done.load(std::memory_order_relaxed)) / all;
  }
};

// Finds for each row the k nearest other rows by (Hamming distance, row). Writes n_rows x k; where
// k exceeds the number of other rows, row -1 and the largest int32. Needs about 12 * k bytes of
// memory a row, at least 200. `progress` may be nullptr.
void self_join(const Kernels& kernels, Matrix<std::uint8_t> codes, std::size_t k,
               std::size_t n_threads, std::int32_t* distances, std::int64_t* rows,
               JoinProgress* progress = nullptr, MethodCostTable& costs = default_method_costs());

}  // namespace bitsift
