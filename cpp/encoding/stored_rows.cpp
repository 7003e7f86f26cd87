// SPDX-License-Identifier: Apache-2.0
#include "encoding/stored_rows.hpp"

#include <atomic>
#include <cstring>

#include "base/thread_pool.hpp"

namespace bitsift {
namespace {

// Bytes of rows that a thread takes at a time.
constexpr std::size_t kPieceBytes = std::size_t{1} << 18;

// The first row for which is_wrong(row) holds; a thread looks at `piece` rows at a time.
template <class IsWrong>
std::optional<std::size_t> first_wrong(std::size_t n_rows, std::size_t piece, std::size_t n_threads,
                                       const IsWrong& is_wrong) {
  std::atomic<std::size_t> first{n_rows};
  for_each_piece(n_rows, piece, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end && row < first.load(std::memory_order_relaxed); ++row) {
      if (!is_wrong(row)) continue;
      std::size_t known = first.load(std::memory_order_relaxed);
      while (row < known && !first.compare_exchange_weak(known, row, std::memory_order_relaxed)) {
      }
      return;
    }
  });
  const std::size_t found = first.load(std::memory_order_relaxed);
  return found < n_rows ? std::optional(found) : std::nullopt;
}

// Numbers are not finite if all bits of the exponent are set: then the sum carries into the sign.
template <class Bits, Bits kExponent>
bool has_not_finite(const void* row, std::size_t n) {
  constexpr Bits kLeast = kExponent & (~kExponent + 1);
  const auto* bytes = static_cast<const std::uint8_t*>(row);
  Bits carried = 0;
  for (std::size_t i = 0; i < n; ++i) {
    Bits value;
    std::memcpy(&value, bytes + i * sizeof(Bits), sizeof(Bits));
    carried = static_cast<Bits>(carried | static_cast<Bits>((value & kExponent) + kLeast));
  }
  return (carried & static_cast<Bits>(kExponent + kLeast)) != 0;
}

template <class Bits, Bits kExponent, class Value>
std::optional<std::size_t> first_of(Matrix<Value> rows, std::size_t n_threads) {
  const std::size_t piece = 1 + kPieceBytes / (rows.n_columns * sizeof(Value));
  return first_wrong(rows.n_rows, piece, n_threads, [&](std::size_t row) {
    return has_not_finite<Bits, kExponent>(rows.row(row), rows.n_columns);
  });
}

}  // namespace

std::optional<std::size_t> first_not_finite(Matrix<float> rows, std::size_t n_threads) {
  return first_of<std::uint32_t, 0x7F800000>(rows, n_threads);
}

std::optional<std::size_t> first_not_finite(Matrix<double> rows, std::size_t n_threads) {
  return first_of<std::uint64_t, 0x7FF0000000000000>(rows, n_threads);
}

std::optional<std::size_t> first_not_finite(Matrix<Half> rows, std::size_t n_threads) {
  return first_of<std::uint16_t, 0x7C00>(rows, n_threads);
}

std::optional<std::size_t> first_with_pad_bits(Matrix<std::uint8_t> codes, std::uint8_t mask,
                                               std::size_t n_threads) {
  const std::size_t last = codes.n_columns - 1;
  return first_wrong(codes.n_rows, 1 + kPieceBytes / codes.n_columns, n_threads,
                     [&](std::size_t row) { return (codes.row(row)[last] & mask) != 0; });
}

}  // namespace bitsift
