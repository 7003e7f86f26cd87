// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/matrix.hpp"
#include "kernels/kernels.hpp"

namespace bitsift {

// out[i * b.n_rows + j] = Hamming distance of a.row(i) and b.row(j).
void all_pairs(const Kernels& kernels, Matrix<std::uint8_t> a, Matrix<std::uint8_t> b,
               std::size_t n_threads, std::int32_t* out);

}  // namespace bitsift
