// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

#include "helpers/levels.hpp"
#include "kernels/dispatch.hpp"

namespace bitsift::test {
namespace {

TEST_CASE("every expected level is available") {
  const auto levels = expected_levels();
  REQUIRE(!levels.empty());
  for (const std::string& level : levels) {
    CAPTURE(level);
    const Kernels* kernels = find_kernels(level);
    REQUIRE(kernels != nullptr);
    CHECK(kernels->name == level);
  }
}

TEST_CASE("levels are known, different, and scalar comes first") {
  const auto& available = available_kernels();
  REQUIRE(!available.empty());
  CHECK(available.front() == &kScalarKernels);
  std::set<Isa> isas;
  auto place = known_isas().begin();
  for (const Kernels* kernels : available) {
    CAPTURE(kernels->name);
    isas.insert(kernels->isa);
    // In the order of known_isas(), slowest first.
    place = std::find(place, known_isas().end(), kernels->name);
    CHECK(place != known_isas().end());
    CHECK(find_kernels(kernels->name) == kernels);
  }
  CHECK(isas.size() == available.size());
}

TEST_CASE("a level of no processor is not found") {
  CHECK(find_kernels("") == nullptr);
  CHECK(find_kernels("avx") == nullptr);
  CHECK(find_kernels("avx2 ") == nullptr);
}

TEST_CASE("tables respect the bounds of the contract") {
  for (const Kernels* kernels : tested_kernels()) {
    CAPTURE(kernels->name);
    for (const auto& [name, kernel] : batch_kernels(*kernels)) {
      CAPTURE(name);
      CHECK(kernel->tile_rows >= 1);
      CHECK(kMaxTileRows % kernel->tile_rows == 0);
      CHECK(kernel->group_queries >= 1);
      CHECK(kMaxGroupQueries % kernel->group_queries == 0);
      CHECK(kernel->group_word_bytes % 8 == 0);
      CHECK((kernel->group_header_bytes + kernel->group_word_bytes) % 32 == 0);
    }
    CHECK(takes_magnitudes(kernels->weighted_batch));
    CHECK((kernels->product != nullptr) == (kernels->isa == Isa::kAmx));
    if (kernels->product != nullptr) {
      // Groups are made once for each layout.
      CHECK(takes_magnitudes(*kernels->product));
      CHECK(kernels->product->layout != kernels->batch.layout);
      CHECK(kernels->product->layout != kernels->weighted_batch.layout);
    }
  }
}

}  // namespace
}  // namespace bitsift::test
