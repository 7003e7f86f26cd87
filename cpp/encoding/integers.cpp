// SPDX-License-Identifier: Apache-2.0
#include "encoding/integers.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/thread_pool.hpp"
#include "encoding/round_to_even.hpp"

namespace bitsift {
namespace {

constexpr std::size_t kIntegersPieceValues = 1 << 16;

using Eight = std::array<std::int8_t, 8>;

// The five integers of every byte, padded to eight. Bytes above 242 occur in damaged files only,
// and give integers like all others.
constexpr std::array<Eight, 256> make_ternary() {
  std::array<Eight, 256> table{};
  for (int byte = 0; byte < 256; ++byte) {
    int rest = byte;
    for (std::size_t i = 5; i-- > 0; rest /= 3) {
      table[static_cast<std::size_t>(byte)][i] = static_cast<std::int8_t>(rest % 3 - 1);
    }
  }
  return table;
}
constexpr std::array<Eight, 256> kTernary = make_ternary();

template <int kSteps, class Value>
void encode_steps(const Value* values, const double* lower, const double* range, std::size_t n,
                  std::int8_t* out) {
  constexpr double kHalf = kSteps / 2;
  for (std::size_t i = 0; i < n; ++i) {
    const double x = kSteps * (static_cast<double>(values[i]) - lower[i]) / range[i] - kHalf;
    // In this order of the arguments of max(), NaN becomes the lowest integer.
    out[i] = static_cast<std::int8_t>(round_to_even(std::min(std::max(-kHalf, x), kHalf - 1)));
  }
}

template <class Value>
void encode_ternary(const Value* values, const double* lower, const double* upper, std::size_t n,
                    std::int8_t* out) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto x = static_cast<double>(values[i]);
    out[i] = static_cast<std::int8_t>(int{x > upper[i]} - int{x < lower[i]});
  }
}

// `integers` are padded with zeros up to a whole byte.
void pack_integers(IntegerType type, const std::int8_t* integers, std::size_t n_bytes,
                   std::uint8_t* out) {
  for (std::size_t i = 0; i < n_bytes; ++i) {
    switch (type) {
      case IntegerType::kInt8:
        out[i] = static_cast<std::uint8_t>(integers[i]);
        break;
      case IntegerType::kUint8:
        out[i] = static_cast<std::uint8_t>(integers[i] + 128);
        break;
      case IntegerType::kInt4:
        out[i] =
            static_cast<std::uint8_t>((integers[2 * i] & 15) << 4 | (integers[2 * i + 1] & 15));
        break;
      case IntegerType::kTernary: {
        int number = 0;
        for (std::size_t j = 0; j < 5; ++j) number = 3 * number + integers[5 * i + j] + 1;
        out[i] = static_cast<std::uint8_t>(number);
        break;
      }
    }
  }
}

template <class Value>
void encode_rows(IntegerType type, Matrix<Value> values, const float* lower, const float* upper,
                 std::size_t n_threads, std::uint8_t* out) {
  const std::size_t n = values.n_columns;
  const std::size_t n_bytes = bytes_for(type, n);
  const std::vector<double> low(lower, lower + n);
  const std::vector<double> high(upper, upper + n);
  std::vector<double> range(n);
  for (std::size_t i = 0; i < n; ++i) range[i] = high[i] - low[i];
  for_each_piece(
      values.n_rows, 1 + kIntegersPieceValues / n, n_threads,
      [&](std::size_t begin, std::size_t end) {
        std::vector<std::int8_t> integers(n_bytes * integers_per_byte(type));
        for (std::size_t row = begin; row < end; ++row) {
          switch (type) {
            case IntegerType::kTernary:
              encode_ternary(values.row(row), low.data(), high.data(), n, integers.data());
              break;
            case IntegerType::kInt4:
              encode_steps<16>(values.row(row), low.data(), range.data(), n, integers.data());
              break;
            default:
              encode_steps<256>(values.row(row), low.data(), range.data(), n, integers.data());
          }
          pack_integers(type, integers.data(), n_bytes, out + row * n_bytes);
        }
      });
}

}  // namespace

void unpack_integers(IntegerType type, const std::uint8_t* bytes, std::size_t n,
                     std::int8_t* out) noexcept {
  const std::size_t n_bytes = bytes_for(type, n);
  switch (type) {
    case IntegerType::kInt8:
      std::memcpy(out, bytes, n_bytes);
      break;
    case IntegerType::kUint8:
      for (std::size_t i = 0; i < n_bytes; ++i) out[i] = static_cast<std::int8_t>(bytes[i] - 128);
      break;
    case IntegerType::kInt4:
      for (std::size_t i = 0; i < n_bytes; ++i) {
        out[2 * i] = static_cast<std::int8_t>((bytes[i] >> 4 ^ 8) - 8);
        out[2 * i + 1] = static_cast<std::int8_t>(((bytes[i] & 15) ^ 8) - 8);
      }
      break;
    case IntegerType::kTernary:
      // Copies eight at a time; the next byte overwrites the last three.
      for (std::size_t i = 0; i < n_bytes; ++i)
        std::memcpy(out + 5 * i, kTernary[bytes[i]].data(), 8);
      break;
  }
}

void encode_integers(IntegerType type, Matrix<float> values, const float* lower, const float* upper,
                     std::size_t n_threads, std::uint8_t* out) {
  encode_rows(type, values, lower, upper, n_threads, out);
}

void encode_integers(IntegerType type, Matrix<double> values, const float* lower,
                     const float* upper, std::size_t n_threads, std::uint8_t* out) {
  encode_rows(type, values, lower, upper, n_threads, out);
}

}  // namespace bitsift
