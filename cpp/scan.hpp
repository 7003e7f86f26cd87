// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "kernels/kernels.hpp"
#include "matrix.hpp"
#include "method.hpp"
#include "query_batch.hpp"

namespace bitsift {

// Codes that a thread takes at a time.
inline constexpr std::size_t kBytesPerPiece = 1 << 18;

struct SearchOptions {
  std::size_t k = 10;
  const std::int64_t* ids = nullptr;  // nullptr: a row's number is its id
  std::size_t n_threads = 1;
  std::optional<Method> method = std::nullopt;  // by measurement, unless given
};

// The k rows of `codes` nearest to each query by (distance, id). Writes n_queries x k; where k
// exceeds the rows, row -1 and the largest int32.
void search(const Kernels& kernels, Matrix<std::uint8_t> codes, const Queries& queries,
            const SearchOptions& options, std::int32_t* distances, std::int64_t* rows);

// out[i * b.n_rows + j] = Hamming distance of a.row(i) and b.row(j).
void all_pairs(const Kernels& kernels, Matrix<std::uint8_t> a, Matrix<std::uint8_t> b,
               std::size_t n_threads, std::int32_t* out);

}  // namespace bitsift
