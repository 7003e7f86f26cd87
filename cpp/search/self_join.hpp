// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "base/matrix.hpp"
#include "kernels/kernels.hpp"
#include "search/scan_method.hpp"

namespace bitsift {

// Called now and then, on the calling thread, with the part of the work that is done, 0 to 1. An
// exception ends the work and is passed on.
using Progress = std::function<void(double)>;

// Finds for each row the k nearest other rows by (Hamming distance, row). Writes n_rows x k; where
// k exceeds the number of other rows, row -1 and the largest int32. Needs about 12 * k bytes of
// memory a row, at least 200.
void self_join(const Kernels& kernels, Matrix<std::uint8_t> codes, std::size_t k,
               std::size_t n_threads, const Progress& progress, std::int32_t* distances,
               std::int64_t* rows, MethodCostTable& costs = default_method_costs());

}  // namespace bitsift
