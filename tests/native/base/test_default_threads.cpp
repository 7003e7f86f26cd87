// SPDX-License-Identifier: Apache-2.0
#include "base/default_threads.hpp"

#include <doctest/doctest.h>

#include "base/platform.hpp"

namespace bitsift::test {
namespace {

TEST_CASE("the number that was set comes first, then affinity and limit") {
  CHECK(default_threads() == available_threads());
  limit_default_threads(1);
  CHECK(default_threads() == 1);
  limit_default_threads(1000);
  CHECK(default_threads() == available_threads());
  set_default_threads(5);
  CHECK(default_threads() == 5);
  set_default_threads(0);
  limit_default_threads(0);
  CHECK(default_threads() == available_threads());
}

}  // namespace
}  // namespace bitsift::test
