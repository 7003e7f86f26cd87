// SPDX-License-Identifier: Apache-2.0
// The matrix of distances is the same for every level and number of threads.
#include "search/all_pairs.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"

namespace bitsift::test {
namespace {

TEST_CASE("all pairs") {
  Random random(9);
  struct Shape {
    std::size_t n_a, n_b, n_bytes;
  };
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{257, 300, 13}, Shape{3, 90000, 2},
                             Shape{513, 17, 40}, Shape{256, 3000, 6}}) {
    const std::size_t n_a = shape.n_a;
    const std::size_t n_b = shape.n_b;
    const std::size_t n_bytes = shape.n_bytes;
    CAPTURE(n_a);
    CAPTURE(n_b);
    const auto a = random.bytes(n_a * n_bytes);
    const auto b = random.bytes(n_b * n_bytes);
    const auto wanted = naive_all_pairs(matrix_of(a, n_bytes), matrix_of(b, n_bytes));
    for (const Kernels* kernels : available_kernels()) {
      CAPTURE(kernels->name);
      for (const std::size_t n_threads : Sizes{1, 2, 7}) {
        CAPTURE(n_threads);
        std::vector<std::int32_t> found(n_a * n_b, -5);
        all_pairs(*kernels, matrix_of(a, n_bytes), matrix_of(b, n_bytes), n_threads, found.data());
        CHECK(found == wanted);
      }
    }
  }
}

TEST_CASE("no rows on one side: nothing is written") {
  const std::uint8_t byte = 0;
  const Matrix<std::uint8_t> one = {&byte, 1, 1, 1};
  const Matrix<std::uint8_t> none = {&byte, 0, 1, 1};
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    for (const std::size_t n_threads : Sizes{1, 7}) {
      all_pairs(*kernels, one, none, n_threads, nullptr);
      all_pairs(*kernels, none, one, n_threads, nullptr);
    }
  }
}

}  // namespace
}  // namespace bitsift::test
