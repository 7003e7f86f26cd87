// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "base/matrix.hpp"
#include "kernels/kernels.hpp"
#include "search/scan_method.hpp"

namespace bitsift {

// Told now and then, on the calling thread, which part of the work is done, 0 to 1. What it throws
// ends the work and is thrown on.
using Progress = std::function<void(double)>;

// For each row the k others nearest by (Hamming distance, row). Writes n_rows x k; where k exceeds
// the others, row -1 and the largest int32. Needs about 12 * k bytes a row, at least 200.
void self_join(const Kernels& kernels, Matrix<std::uint8_t> codes, std::size_t k,
               std::size_t n_threads, const Progress& progress, std::int32_t* distances,
               std::int64_t* rows, MethodCostTable& costs = default_method_costs());

}  // namespace bitsift
