// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/kernels.hpp"
#include "matrix.hpp"

namespace bitsift {

// The k rows of `codes` nearest to each query by (distance, id); ids == nullptr: a row's number is
// its id. Writes n_queries x k; where k exceeds the rows, row -1 and the largest distance.
void search(const Kernels& kernels, Matrix<std::uint8_t> codes, Matrix<std::uint8_t> queries,
            const std::int64_t* ids, std::size_t k, std::size_t n_threads, std::int32_t* distances,
            std::int64_t* rows);

// out[i * b.n_rows + j] = distance of a.row(i) and b.row(j).
void all_pairs(const Kernels& kernels, Matrix<std::uint8_t> a, Matrix<std::uint8_t> b,
               std::size_t n_threads, std::int32_t* out);

}  // namespace bitsift
