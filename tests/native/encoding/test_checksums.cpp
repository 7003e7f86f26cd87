// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "encoding/checksums.hpp"
#include "helpers/guarded_pages.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"

namespace bitsift::test {
namespace {

std::uint32_t naive_crc32c(const std::uint8_t* bytes, std::size_t n) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (std::size_t i = 0; i < n; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78 : 0);
  }
  return ~crc;
}

TEST_CASE("the examples of RFC 3720") {
  std::vector<std::uint8_t> bytes(32);
  const auto check = [&](std::uint32_t wanted) {
    for (const Kernels* kernels : available_kernels()) {
      CAPTURE(kernels->name);
      CHECK(kernels->crc32c(0, bytes.data(), bytes.size()) == wanted);
    }
  };
  check(0x8A9136AA);
  bytes.assign(32, 0xFF);
  check(0x62A8AB43);
  for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::uint8_t>(i);
  check(0x46DD794E);
  for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::uint8_t>(31 - i);
  check(0x113FDB5C);
}

TEST_CASE("every length, alone and behind others, and no byte more is read") {
  Random random(1);
  GuardedPages pages(25'000);
  for (const std::size_t n : Sizes{0, 1, 7, 8, 9, 255, 256, 767, 768, 769, 775, 1536, 2305, 8192,
                                   24575, 24576, 24584, 24999}) {
    CAPTURE(n);
    for (const Side side : kSides) {
      auto* bytes = pages.place<std::uint8_t>(n, side);
      random.fill(bytes, n);
      const std::uint32_t wanted = naive_crc32c(bytes, n);
      for (const Kernels* kernels : available_kernels()) {
        CAPTURE(kernels->name);
        CHECK(kernels->crc32c(0, bytes, n) == wanted);
        const std::size_t n_before = n / 3;
        const std::uint32_t before = kernels->crc32c(0, bytes, n_before);
        CHECK(kernels->crc32c(before, bytes + n_before, n - n_before) == wanted);
      }
    }
  }
}

TEST_CASE("checksums of pieces, however the bytes come") {
  Random random(2);
  for (const std::size_t n_bytes : Sizes{1, 7, 1000}) {
    for (const std::size_t n : Sizes{0, 1, 6, 7, 8, 2999, 3000, 3001}) {
      CAPTURE(n_bytes);
      CAPTURE(n);
      const auto bytes = random.bytes(n);
      std::vector<std::uint32_t> wanted;
      for (std::size_t begin = 0; begin < n; begin += n_bytes) {
        wanted.push_back(naive_crc32c(bytes.data() + begin, std::min(n_bytes, n - begin)));
      }
      for (const std::size_t at_once : Sizes{1, 3, 999, 1000, 1001, 5000}) {
        for (const std::size_t n_threads : Sizes{1, 3}) {
          Checksums sums(*available_kernels().back(), n_bytes);
          for (std::size_t begin = 0; begin < n; begin += at_once) {
            sums.add(bytes.data() + begin, std::min(at_once, n - begin), n_threads);
          }
          CHECK(sums.values() == wanted);
        }
      }
    }
  }
}

}  // namespace
}  // namespace bitsift::test
