// SPDX-License-Identifier: Apache-2.0
#include "search/queries.hpp"

#include <stdexcept>

#include "base/thread_pool.hpp"
#include "kernels/kernels.hpp"

namespace bitsift {

void check_magnitudes(const Queries& queries, std::size_t n_threads) {
  constexpr std::size_t kMagnitudesPieceBytes = 1 << 18;
  if (!queries.weighted()) return;
  const std::size_t n = queries.magnitudes.n_columns;
  for_each_piece(queries.magnitudes.n_rows, 1 + kMagnitudesPieceBytes / n, n_threads,
                 [&](std::size_t begin, std::size_t end) {
                   std::uint8_t used = 0;
                   for (std::size_t i = begin; i < end; ++i) {
                     const std::uint8_t* row = queries.magnitudes.row(i);
                     for (std::size_t j = 0; j < n; ++j) used |= row[j];
                   }
                   if (used >> kMagnitudeBits != 0)
                     throw std::invalid_argument("magnitudes are 0 to 31");
                 });
}

}  // namespace bitsift
