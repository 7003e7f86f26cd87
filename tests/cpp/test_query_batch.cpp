// SPDX-License-Identifier: Apache-2.0
// The layouts that kernels are promised.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/dispatch.hpp"
#include "naive.hpp"
#include "query_batch.hpp"
#include "random.hpp"
#include "sizes.hpp"

namespace bitsift::test {
namespace {

TEST_CASE("queries in both layouts, padded with zeros") {
  Random random(1);
  for (const std::size_t n_bytes : Sizes{1, 7, 8, 9, 63, 64, 65, 130}) {
    const auto bytes = random.bytes(12 * n_bytes);
    const auto queries = matrix_of(bytes, n_bytes);
    for (const std::size_t end : Sizes{3, 4, 5, 6, 7, 12}) {
      CAPTURE(n_bytes);
      CAPTURE(end);
      const QueryBatch batch(queries, 2, end);
      REQUIRE(batch.size() == end - 2);
      CHECK(batch.padded_size() % kQueryGroup == 0);
      CHECK(batch.padded_size() >= batch.size());
      CHECK(batch.padded_size() < batch.size() + kQueryGroup);
      REQUIRE(batch.n_words() == (n_bytes + 7) / 8);
      for (std::size_t i = 0; i < batch.padded_size(); ++i) {
        std::vector<std::uint8_t> wanted((n_bytes + kQueryPadding - 1) / kQueryPadding *
                                         kQueryPadding);
        if (i < batch.size()) {
          std::copy_n(queries.row(2 + i), n_bytes, wanted.begin());
          CHECK(std::equal(wanted.begin(), wanted.end(), batch.row(i)));
        }
        for (std::size_t w = 0; w < batch.n_words(); ++w) {
          std::uint64_t word;
          std::memcpy(&word, wanted.data() + 8 * w, 8);
          CHECK(batch.words()[(i / kQueryGroup * batch.n_words() + w) * kQueryGroup +
                              i % kQueryGroup] == word);
        }
      }
    }
  }
}

TEST_CASE("a tile is aligned, and stays where it is when moved") {
  Random random(2);
  const auto bytes = random.bytes(std::size_t{16} * 24);
  const auto codes = matrix_of(bytes, 24);
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    for (int round = 0; round < 10; ++round) {
      Tile tile(*kernels, 24);
      tile.fill(codes, 0, 1);
      const std::uint64_t* words = tile.words();
      CHECK(reinterpret_cast<std::uintptr_t>(words) % 64 == 0);
      const Tile moved = std::move(tile);
      CHECK(moved.words() == words);
      CHECK(moved.n_rows() == 1);
      CHECK(std::memcmp(&words[0], bytes.data(), 8) == 0);
      CHECK(std::memcmp(&words[kernels->tile_rows], bytes.data() + 8, 8) == 0);
    }
  }
}

TEST_CASE("tiles cover all rows once") {
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    for (const std::size_t end : Sizes{5, 6, 20, 21, 37, 100}) {
      std::size_t reached = 5;
      for_each_tile(*kernels, 5, end, [&](std::size_t begin, std::size_t n_rows) {
        CHECK(begin == reached);
        CHECK(n_rows >= 1);
        CHECK(n_rows <= kernels->tile_rows);
        reached += n_rows;
      });
      CHECK(reached == end);
    }
  }
}

}  // namespace
}  // namespace bitsift::test
