// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/matrix.hpp"

namespace bitsift {

// Codes to search for and, for weighted distances, the magnitude of each of their bits: 0 to 31, a
// byte each, 8 for each byte of a code.
struct Queries {
  Matrix<std::uint8_t> codes;
  Matrix<std::uint8_t> magnitudes = {};

  bool weighted() const { return magnitudes.data != nullptr; }

  // Queries [begin, end).
  Queries part(std::size_t begin, std::size_t end) const {
    Queries part = *this;
    part.codes.data = codes.row(begin);
    part.codes.n_rows = end - begin;
    if (weighted()) {
      part.magnitudes.data = magnitudes.row(begin);
      part.magnitudes.n_rows = end - begin;
    }
    return part;
  }
};

// Throws std::invalid_argument if a magnitude is above 31.
void check_magnitudes(const Queries& queries, std::size_t n_threads);

}  // namespace bitsift
