// SPDX-License-Identifier: Apache-2.0
#include "search/all_pairs.hpp"

#include <algorithm>

#include "base/thread_pool.hpp"
#include "search/query_batch.hpp"
#include "search/tile.hpp"

namespace bitsift {

void all_pairs(const Kernels& kernels, Matrix<std::uint8_t> a, Matrix<std::uint8_t> b,
               std::size_t n_threads, std::int32_t* out) {
  constexpr std::size_t kAllPairsPiecePairs = 1 << 18;
  const BatchKernel& kernel = batch_kernel(kernels, a.n_columns, false);
  for (std::size_t begin = 0; begin < a.n_rows; begin += kMaxBatchQueries) {
    const QueryBatch batch({.codes = a}, begin, std::min(begin + kMaxBatchQueries, a.n_rows));
    const std::size_t tiles_per_piece = 1 + kAllPairsPiecePairs / batch.size() / kernel.tile_rows;
    for_each_piece(
        b.n_rows, tiles_per_piece * kernel.tile_rows, n_threads,
        [&](std::size_t first, std::size_t last) {
          Tile tile(kernel, b.n_columns);
          Checkpoint checkpoint(kBytesBetweenChecks);
          for_each_tile(kernel, first, last, [&](std::size_t row, std::size_t n_rows) {
            tile.fill(b, row, n_rows);
            for_each_slice(kernel, batch, b.n_columns, checkpoint, [&](const GroupSlice& slice) {
              const std::size_t n_queries =
                  std::min(slice.n_groups * kernel.group_queries, batch.size() - slice.first_query);
              kernel.distances(tile.get(), n_rows, b.n_columns, slice.groups, n_queries,
                               out + (begin + slice.first_query) * b.n_rows + row, b.n_rows);
            });
          });
        });
  }
}

}  // namespace bitsift
