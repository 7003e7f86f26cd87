// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli; RFC 3720, appendix B.4) of bytes. An instruction takes eight bytes, and the
// next one waits three clocks for its result: so three lanes of bytes are taken at once, and their
// remainders joined. Without the instruction, tables take eight bytes at a time (Kounavis, Berry,
// doi:10.1109/TC.2008.85).
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitsift {

// Polynomials modulo P. The coefficient of x^31 is the lowest bit, as the instructions have it.
template <class Simd>
struct CrcPolynomial {
  static constexpr std::uint32_t kModulus = 0x82F63B78;  // P without x^32

  static constexpr std::uint32_t times_x(std::uint32_t a) {
    return (a & 1) != 0 ? a >> 1 ^ kModulus : a >> 1;
  }
  static constexpr std::uint32_t product(std::uint32_t a, std::uint32_t b) {
    std::uint32_t result = 0;
    for (int i = 31; i >= 0; --i) {
      if ((b >> i & 1) != 0) result ^= a;
      a = times_x(a);
    }
    return result;
  }
  // x^(8 n).
  static constexpr std::uint32_t power_of_bytes(std::size_t n) {
    std::uint32_t result = std::uint32_t{1} << 31;
    std::uint32_t square = std::uint32_t{1} << 23;
    for (; n > 0; n /= 2) {
      if (n % 2 != 0) result = product(result, square);
      square = product(square, square);
    }
    return result;
  }
};

// What a remainder becomes by kBytes zeros behind it, from a table for each of its bytes.
template <class Simd, std::size_t kBytes>
struct CrcBehindZeros {
  std::uint32_t of_byte[4][256] = {};

  constexpr CrcBehindZeros() {
    using Polynomial = CrcPolynomial<Simd>;
    const std::uint32_t power = Polynomial::power_of_bytes(kBytes);
    for (int place = 0; place < 4; ++place) {
      for (std::uint32_t bit = 1; bit < 256; bit *= 2) {
        const std::uint32_t of_bit = Polynomial::product(bit << (8 * place), power);
        for (std::uint32_t byte = 0; byte < bit; ++byte) {
          of_byte[place][bit + byte] = of_byte[place][byte] ^ of_bit;
        }
      }
    }
  }
  constexpr std::uint32_t operator()(std::uint32_t a) const {
    return of_byte[0][a & 0xFF] ^ of_byte[1][a >> 8 & 0xFF] ^ of_byte[2][a >> 16 & 0xFF] ^
           of_byte[3][a >> 24];
  }
};

template <class Simd>
struct CrcByTables {
  static constexpr int kLanes = 1;
  static constexpr CrcBehindZeros<Simd, 4> kBehindFour{};
  static constexpr CrcBehindZeros<Simd, 8> kBehindEight{};

  static std::uint32_t add(std::uint32_t crc, const std::uint8_t* p) {
    std::uint32_t words[2];
    __builtin_memcpy(words, p, 8);
    return kBehindEight(crc ^ words[0]) ^ kBehindFour(words[1]);
  }
};

#if defined(__SSE4_2__)
// By the instruction of x86-64: 3c, 1/clk.
template <class Simd>
struct CrcBySse42 {
  static constexpr int kLanes = 3;

  static std::uint32_t add(std::uint32_t crc, const std::uint8_t* p) {
    std::uint64_t word;
    __builtin_memcpy(&word, p, 8);
    return static_cast<std::uint32_t>(__builtin_ia32_crc32di(crc, word));
  }
};
#endif

// Takes three lanes of kBytes at a time, as long as there are.
template <class Simd, class Crc, std::size_t kBytes>
std::uint32_t add_lanes(std::uint32_t crc, const std::uint8_t*& bytes, std::size_t& n) {
  static constexpr CrcBehindZeros<Simd, kBytes> kBehindLane{};
  for (; n >= 3 * kBytes; n -= 3 * kBytes, bytes += 3 * kBytes) {
    std::uint32_t second = 0;
    std::uint32_t third = 0;
    for (std::size_t i = 0; i < kBytes; i += 8) {
      crc = Crc::add(crc, bytes + i);
      second = Crc::add(second, bytes + kBytes + i);
      third = Crc::add(third, bytes + 2 * kBytes + i);
    }
    crc = kBehindLane(kBehindLane(crc) ^ second) ^ third;
  }
  return crc;
}

// Crc::add(crc, p) takes the eight bytes at p; Crc::kLanes is how many are worth it at once.
template <class Simd, class Crc>
std::uint32_t crc32c(std::uint32_t before, const std::uint8_t* bytes, std::size_t n) noexcept {
  std::uint32_t crc = ~before;
  if constexpr (Crc::kLanes == 3) {
    crc = add_lanes<Simd, Crc, 8192>(crc, bytes, n);
    crc = add_lanes<Simd, Crc, 256>(crc, bytes, n);
  }
  for (; n >= 8; n -= 8, bytes += 8) crc = Crc::add(crc, bytes);
  for (; n > 0; --n, ++bytes) {
    crc ^= *bytes;
    for (int bit = 0; bit < 8; ++bit) crc = CrcPolynomial<Simd>::times_x(crc);
  }
  return ~crc;
}

}  // namespace bitsift
