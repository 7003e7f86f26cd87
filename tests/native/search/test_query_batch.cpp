// SPDX-License-Identifier: Apache-2.0
// The layouts that the contract of kernels promises.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "helpers/levels.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "oracle/naive.hpp"
#include "search/query_batch.hpp"
#include "search/tile.hpp"

namespace bitsift::test {
namespace {

TEST_CASE("queries as rows, padded with zeros, and the planes of their magnitudes") {
  Random random(1);
  for (const std::size_t n_bytes : Sizes{1, 7, 8, 9, 63, 64, 65, 130}) {
    CAPTURE(n_bytes);
    const auto codes = random.bytes(12 * n_bytes);
    for (const unsigned largest : {0u, 1u, 3u, 31u}) {
      CAPTURE(largest);
      std::vector<std::uint8_t> magnitudes(12 * 8 * n_bytes);
      for (auto& m : magnitudes) m = static_cast<std::uint8_t>(random.below(largest + 1));
      magnitudes[2 * 8 * n_bytes] = static_cast<std::uint8_t>(largest);
      const Queries queries = {matrix_of(codes, n_bytes), matrix_of(magnitudes, 8 * n_bytes)};
      const QueryBatch batch(queries, 2, 7);
      REQUIRE(batch.size() == 5);
      CHECK(batch.weighted());
      const std::size_t padded = (n_bytes + kQueryPadding - 1) / kQueryPadding * kQueryPadding;
      CHECK(batch.plane_stride() >= padded);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        std::vector<std::uint8_t> wanted(padded);
        std::copy_n(queries.codes.row(2 + i), n_bytes, wanted.begin());
        CHECK(std::equal(wanted.begin(), wanted.end(), batch.row(i)));
        std::vector<std::uint8_t> found(8 * padded);
        for (std::size_t p = 0; p < kMagnitudeBits; ++p) {
          const std::uint8_t* plane = batch.planes(i) + p * batch.plane_stride();
          for (std::size_t j = 0; j < 8 * padded; ++j) {
            found[j] = static_cast<std::uint8_t>(found[j] | (plane[j / 8] >> (7 - j % 8) & 1) << p);
          }
        }
        const std::uint8_t* of_query = queries.magnitudes.row(2 + i);
        CHECK(std::equal(of_query, of_query + 8 * n_bytes, found.begin()));
        CHECK(std::all_of(found.begin() + static_cast<std::ptrdiff_t>(8 * n_bytes), found.end(),
                          [](std::uint8_t m) { return m == 0; }));
      }
    }
    CHECK(!QueryBatch({matrix_of(codes, n_bytes)}, 0, 3).weighted());
  }
}

TEST_CASE("kernels get aligned memory") {
  Random random(2);
  const auto bytes = random.bytes(std::size_t{300} * 24);
  const auto codes = matrix_of(bytes, 24);
  for (const Kernels* kernels : tested_kernels()) {
    CAPTURE(kernels->name);
    const QueryBatch batch({codes}, 0, 300);
    for (const auto& [name, kernel] : batch_kernels(*kernels)) {
      CAPTURE(name);
      const auto is_aligned = [](const void* p) {
        return reinterpret_cast<std::uintptr_t>(p) % kTileAlignment == 0;
      };
      CHECK(is_aligned(batch.groups(*kernel)));
      CHECK(batch.groups(*kernel) == batch.groups(*kernel));
      CHECK(batch.n_groups(*kernel) * kernel->group_queries >= 300);
      CHECK((batch.n_groups(*kernel) - 1) * kernel->group_queries < 300);
      CHECK(is_aligned(Tile(*kernel, 24).get()));
    }
  }
}

TEST_CASE("tiles cover all rows once") {
  for (const Kernels* kernels : tested_kernels()) {
    CAPTURE(kernels->name);
    for (const std::size_t end : Sizes{5, 6, 20, 21, 37, 100}) {
      std::size_t reached = 5;
      for_each_tile(kernels->batch, 5, end, [&](std::size_t begin, std::size_t n_rows) {
        CHECK(begin == reached);
        CHECK(n_rows >= 1);
        CHECK(n_rows <= kernels->batch.tile_rows);
        reached += n_rows;
      });
      CHECK(reached == end);
    }
  }
}

}  // namespace
}  // namespace bitsift::test
