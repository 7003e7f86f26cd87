// SPDX-License-Identifier: Apache-2.0
// Rows of any length, any distance apart. Long rows are read one after the other, each with its
// sums in registers, short ones side by side, which takes fewer instructions.
#pragma once

#include "kernels/loops/costs.hpp"

namespace bitsift {

// From this length in bytes on, rows are read one after the other.
inline constexpr std::size_t kLongRow = 64;

// Adds the costs of the last n_left bytes of rows, by a mask over the last whole vector.
template <class Simd, std::size_t kQueries, std::size_t kAtOnce, class Cost>
inline void add_last_bytes(const Cost* costs, const std::uint8_t* const* rows, std::size_t n_bytes,
                           std::size_t n_left, typename Simd::Vector (*sums)[kAtOnce]) {
  const std::size_t offset = n_bytes - 8 * Simd::kLanes;
  for (std::size_t q = 0; q < kQueries; ++q) {
    const auto part =
        costs[q].masked_part([&](const std::uint8_t* code) { return Simd::load(code + offset); },
                             Simd::last_bytes(n_left));
    for (std::size_t row = 0; row < kAtOnce; ++row) {
      const auto document = Simd::load(rows[row] + offset);
      sums[q][row] = Cost::add(sums[q][row], Cost::of(part, document));
    }
  }
}

// Costs of kAtOnce rows of any length, which are read side by side, each vector of them once for
// all queries: out[q][row] has a sum in each lane.
template <class Simd, std::size_t kQueries, std::size_t kAtOnce, class Cost>
inline void lane_costs(const Cost* costs, const std::uint8_t* const* rows, std::size_t n_bytes,
                       typename Simd::Vector (*out)[kAtOnce]) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kBytes = 8 * Simd::kLanes;
  constexpr bool kFlushes = Cost::kVectorsPerFlush != SIZE_MAX;
  Vector totals[kQueries][kAtOnce];
  Vector sums[kQueries][kAtOnce];
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t row = 0; row < kAtOnce; ++row) {
      sums[q][row] = Simd::broadcast(0);
      if constexpr (kFlushes) totals[q][row] = Simd::broadcast(0);
    }
  }
  // Adds the costs of bytes [offset, offset + kBytes), which `load` loads.
  const auto add = [&](std::size_t offset, auto load) {
    typename Cost::Part parts[kQueries];
    for (std::size_t q = 0; q < kQueries; ++q) {
      parts[q] = costs[q].part([&](const std::uint8_t* code) { return Simd::load(code + offset); });
    }
    for (std::size_t row = 0; row < kAtOnce; ++row) {
      const Vector document = load(rows[row] + offset);
      for (std::size_t q = 0; q < kQueries; ++q) {
        sums[q][row] = Cost::add(sums[q][row], Cost::of(parts[q], document));
      }
    }
  };
  const auto add_whole = [&](std::size_t offset) {
    add(offset, [](const std::uint8_t* p) { return Simd::load(p); });
  };
  const auto flush = [&] {
    for (std::size_t q = 0; q < kQueries; ++q) {
      for (std::size_t row = 0; row < kAtOnce; ++row) {
        totals[q][row] = Simd::add_lanes(totals[q][row], Cost::flush(sums[q][row]));
        sums[q][row] = Simd::broadcast(0);
      }
    }
  };
  const std::size_t n_whole = n_bytes / kBytes;
  std::size_t i = 0;
  if constexpr (kFlushes) {
    while (n_whole - i >= Cost::kVectorsPerFlush) {
      for (const std::size_t end = i + Cost::kVectorsPerFlush; i < end; ++i) add_whole(i * kBytes);
      flush();
    }
  }
  for (; i < n_whole; ++i) add_whole(i * kBytes);
  if (const std::size_t n_left = n_bytes % kBytes) {
    bool is_left = true;
    if constexpr (Simd::kMasksBytes) {
      if (n_whole > 0) {
        add_last_bytes<Simd, kQueries, kAtOnce>(costs, rows, n_bytes, n_left, sums);
        is_left = false;
      }
    }
    if (is_left)
      add(i * kBytes, [&](const std::uint8_t* p) { return Simd::load_partial(p, n_left); });
  }
  if constexpr (kFlushes) flush();
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t row = 0; row < kAtOnce; ++row) {
      out[q][row] = kFlushes ? totals[q][row] : sums[q][row];
    }
  }
}

// Rows [begin, n_rows). kBytes is their length, or 0 where only rows.n_bytes knows it. The loop
// over long rows stays a loop: processors that prefetch by the address of a load follow a few of
// these, not those of eight rows (192 bytes, Zen 4: 88 % of the bandwidth instead of all).
template <class Simd, std::size_t kQueries, std::size_t kBytes, class Cost>
inline std::size_t scan_any_rows(const Cost* costs, RowSpan rows, std::size_t begin,
                                 const std::int64_t* limits, Hit* hits) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kRows = Simd::kLanes;
  const std::size_t n_bytes = kBytes != 0 ? kBytes : rows.n_bytes;
  return report_rows<Simd, kQueries, 1>(
      begin, rows.n_rows, limits, hits,
      [&](std::size_t first, std::size_t n_present, Vector* distances) {
        // The last group is padded with its last row; distances of the padding are ignored.
        const auto place = [&](std::size_t row) {
          const std::size_t present = row < n_present ? row : n_present - 1;
          return rows.first + static_cast<std::ptrdiff_t>(first + present) * rows.stride;
        };
        Vector sums[kQueries][kRows];
        if (n_bytes < kLongRow) {
          const std::uint8_t* group[kRows];
          for (std::size_t row = 0; row < kRows; ++row) {
            group[row] = place(row);
            prefetch_behind<Cost>(group[row], n_bytes, rows.ahead);
          }
          lane_costs<Simd, kQueries, kRows>(costs, group, n_bytes, sums);
        } else {
#pragma GCC unroll 1
          for (std::size_t row = 0; row < kRows; ++row) {
            const std::uint8_t* bytes = place(row);
            prefetch_behind<Cost>(bytes, n_bytes, rows.ahead);
            Vector of_row[kQueries][1];
            lane_costs<Simd, kQueries, 1>(costs, &bytes, n_bytes, of_row);
            for (std::size_t q = 0; q < kQueries; ++q) sums[q][row] = of_row[q][0];
          }
        }
        for (std::size_t q = 0; q < kQueries; ++q) distances[q] = Simd::row_sums(sums[q]);
      });
}

}  // namespace bitsift
