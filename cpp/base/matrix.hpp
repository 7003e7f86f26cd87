// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitsift {

// A view of rows in memory that the caller owns. Rows are `stride` bytes apart, which may be
// negative or zero; the values of a row are contiguous.
template <class T>
struct Matrix {
  const T* data = nullptr;
  std::size_t n_rows = 0;
  std::size_t n_columns = 0;
  std::ptrdiff_t stride = 0;

  const T* row(std::size_t i) const {
    return reinterpret_cast<const T*>(reinterpret_cast<const std::uint8_t*>(data) +
                                      static_cast<std::ptrdiff_t>(i) * stride);
  }
};

}  // namespace bitsift
