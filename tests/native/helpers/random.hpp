// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace bitsift::test {

// Random numbers that are the same on every platform. The standard fixes the engine, but not the
// distributions, so they are written here.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t bits() { return engine_(); }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(bits() % n); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(bits() >> 56); }
  // In [-1, 1), with 53 random bits.
  double value() { return static_cast<double>(bits() >> 10) * 0x1p-53 - 1; }

  void fill(std::uint8_t* bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) bytes[i] = byte();
  }
  std::vector<std::uint8_t> bytes(std::size_t n) {
    std::vector<std::uint8_t> result(n);
    fill(result.data(), n);
    return result;
  }
  std::vector<float> floats(std::size_t n) {
    std::vector<float> result(n);
    for (float& x : result) x = static_cast<float>(value());
    return result;
  }
  // Unique, not negative, unordered.
  std::vector<std::int64_t> ids(std::size_t n) {
    std::vector<std::int64_t> result(n);
    for (std::size_t i = 0; i < n; ++i) {
      result[i] = static_cast<std::int64_t>(bits() >> 1 & ~std::uint64_t{0xFFFFFF}) |
                  static_cast<std::int64_t>(i);
    }
    return result;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace bitsift::test
