// SPDX-License-Identifier: Apache-2.0
// Configurations of tiles, and loads and stores, for tests of the emulator.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "helpers/amx_emulator.hpp"

#if !defined(__AMX_TILE__) || !defined(__AMX_INT8__)
#error "files that include this one are compiled with -mamx-tile -mamx-int8"
#endif

namespace bitsift::test {

using Bytes = std::vector<std::uint8_t>;

// Enables AMX once per process, as the tests of kernels do; later test cases find it enabled.
inline Amx amx() {
  static const Amx how = enable_amx();
  return how;
}

struct alignas(64) Config {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t n_rows[16] = {};

  constexpr Config& tile(std::size_t t, std::size_t rows, std::size_t bytes) {
    n_rows[t] = static_cast<std::uint8_t>(rows);
    row_bytes[t] = static_cast<std::uint16_t>(bytes);
    return *this;
  }
  friend bool operator==(const Config&, const Config&) = default;
};
static_assert(sizeof(Config) == 64);

// The compiler does not know all that these instructions read and write.
inline void settle_memory() { __asm__ volatile("" ::: "memory"); }

inline void load_config(const Config& config) {
  settle_memory();
  _tile_loadconfig(&config);
}

inline Config stored_config() {
  Config config;
  std::memset(static_cast<void*>(&config), 0xA5, sizeof config);
  settle_memory();
  _tile_storeconfig(&config);
  settle_memory();
  return config;
}

inline Config zero_config() {
  Config config;
  config.palette = 0;
  return config;
}

// The intrinsics take the number of a tile as a literal.
template <int kTile>
void load(const void* from, std::int64_t stride) {
  settle_memory();
  if constexpr (kTile == 0) _tile_loadd(0, from, stride);
  if constexpr (kTile == 1) _tile_loadd(1, from, stride);
  if constexpr (kTile == 2) _tile_loadd(2, from, stride);
  if constexpr (kTile == 5) _tile_loadd(5, from, stride);
  if constexpr (kTile == 6) _tile_loadd(6, from, stride);
  if constexpr (kTile == 7) _tile_loadd(7, from, stride);
}

template <int kTile>
void store(void* to, std::int64_t stride) {
  if constexpr (kTile == 0) _tile_stored(0, to, stride);
  if constexpr (kTile == 1) _tile_stored(1, to, stride);
  if constexpr (kTile == 2) _tile_stored(2, to, stride);
  if constexpr (kTile == 5) _tile_stored(5, to, stride);
  if constexpr (kTile == 6) _tile_stored(6, to, stride);
  if constexpr (kTile == 7) _tile_stored(7, to, stride);
}

template <int kTile>
Bytes content(std::size_t rows, std::size_t row_bytes) {
  Bytes bytes(rows * row_bytes);
  store<kTile>(bytes.data(), static_cast<std::int64_t>(row_bytes));
  return bytes;
}

}  // namespace bitsift::test
