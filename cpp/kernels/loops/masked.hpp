// SPDX-License-Identifier: Apache-2.0
// Rows whose lengths are no multiples of a vector, where a load cannot leave out bytes. It takes
// neighbouring bytes along, of the same row or of those behind it, and a mask makes them count as
// 0, which costs no instruction: counting bits masks nibbles anyway.
#pragma once

#include "kernels/loops/costs.hpp"
#include "kernels/loops/parts.hpp"
#include "kernels/loops/strided.hpp"

namespace bitsift {

// Rows of kVectors vectors, the last of which overlaps the one before: bytes of both count once.
template <class Simd, std::size_t kQueries, std::size_t kVectors, class Cost>
[[gnu::noinline]] std::size_t scan_rows_of_vectors(const Cost* costs, RowSpan rows,
                                                   const std::int64_t* limits, Hit* hits) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kBytes = 8 * Simd::kLanes;
  static_assert(kVectors > 1 && kVectors <= Cost::kVectorsPerFlush);
  constexpr std::size_t kRows = Simd::kLanes;
  constexpr bool kCrossesFirst = kVectors <= Cost::kVectorsPerCrossing;
  const std::size_t last = rows.n_bytes - kBytes;
  typename Cost::MaskedPart last_part[kQueries];
  for (std::size_t q = 0; q < kQueries; ++q) {
    last_part[q] =
        costs[q].masked_part([&](const std::uint8_t* code) { return Simd::load(code + last); },
                             Simd::last_bytes(rows.n_bytes - (kVectors - 1) * kBytes));
  }
  return report_rows<Simd, kQueries, 1>(
      0, rows.n_rows, limits, hits,
      [&](std::size_t first, std::size_t n_present, Vector* distances) {
        Vector sums[kQueries][kRows];
        const auto add_row = [&](std::size_t row) {
          // The last group is padded with its last row; distances of the padding are ignored.
          const std::size_t present = row < n_present ? row : n_present - 1;
          const std::uint8_t* code =
              rows.first + static_cast<std::ptrdiff_t>(first + present) * rows.stride;
          prefetch_behind<Cost>(code, kVectors * kBytes, rows.ahead);
          Vector sum[kQueries];
          whole_vector_costs<Simd, kQueries, kVectors - 1>(costs, code, sum);
          const Vector document = Simd::load(code + last);
          for (std::size_t q = 0; q < kQueries; ++q) {
            sum[q] = Cost::add(sum[q], Cost::of(last_part[q], document));
            sums[q][row] = Simd::concealed(kCrossesFirst ? sum[q] : Cost::flush(sum[q]));
          }
        };
        if constexpr (kVectors <= 4) {
          for_each_index<0, kRows>([&](auto row) { add_row(row.value); });
        } else {
#pragma GCC unroll 1
          for (std::size_t row = 0; row < kRows; ++row) add_row(row);
        }
        for (std::size_t q = 0; q < kQueries; ++q) {
          distances[q] = Simd::row_sums(sums[q]);
          if constexpr (kCrossesFirst) distances[q] = Cost::flush(distances[q]);
        }
      });
}

// Contiguous rows of up to half a vector, each of which is loaded with bytes of its successor. The
// last few rows have too few behind them.
template <class Simd, std::size_t kQueries, class Cost>
inline std::size_t scan_short_rows(const Cost* costs, RowSpan rows, const std::int64_t* limits,
                                   Hit* hits) {
  using Vector = typename Simd::Vector;
  static_assert(Simd::kLanes == 4);
  constexpr std::size_t kLoad = 4 * Simd::kLanes;
  constexpr std::size_t kGroups = 4;  // testing limits takes a large part of the time
  constexpr std::size_t kAtOnce = kGroups * Simd::kLanes;
  const std::size_t n_bytes = rows.n_bytes;
  typename Cost::MaskedPart parts[kQueries];
  for (std::size_t q = 0; q < kQueries; ++q) {
    parts[q] =
        costs[q].masked_part([](const std::uint8_t* code) { return Simd::load_halves(code, code); },
                             Simd::first_bytes_of_halves(n_bytes));
  }
  const std::size_t n_total = rows.n_rows * n_bytes;
  const std::size_t n_loadable = n_total < kLoad ? 0 : (n_total - kLoad) / n_bytes + 1;
  const std::size_t n_whole = n_loadable / kAtOnce * kAtOnce;
  const std::size_t n_hits = report_rows<Simd, kQueries, kGroups>(
      0, n_whole, limits, hits, [&](std::size_t first, std::size_t, Vector* distances) {
        const std::uint8_t* group = rows.first + first * n_bytes;
        prefetch_behind<Cost>(group, Simd::kLanes * n_bytes, rows.ahead);
        const Vector rows_02 = Simd::load_halves(group, group + 2 * n_bytes);
        const Vector rows_13 = Simd::load_halves(group + n_bytes, group + 3 * n_bytes);
        for (std::size_t q = 0; q < kQueries; ++q) {
          distances[q] = Cost::flush(
              Simd::pair_sums(Cost::of(parts[q], rows_02), Cost::of(parts[q], rows_13)));
        }
      });
  return n_hits + scan_any_rows<Simd, kQueries, 0>(costs, rows, n_whole, limits, hits + n_hits);
}

// Rows that are not whole words one behind the other.
template <class Simd, std::size_t kQueries, class Cost>
inline std::size_t scan_masked_rows(const Cost* costs, RowSpan rows, const std::int64_t* limits,
                                    Hit* hits) {
  constexpr std::size_t kBytes = 8 * Simd::kLanes;
  if (rows.n_bytes <= kBytes / 2 && rows.stride == static_cast<std::ptrdiff_t>(rows.n_bytes)) {
    return scan_short_rows<Simd, kQueries>(costs, rows, limits, hits);
  }
  const std::size_t n_words = (rows.n_bytes + 7) / 8;
  if (n_words == 3) return scan_parted_rows<Simd, kQueries, 0, 3>(costs, rows, limits, hits);
  if (n_words == 4) return scan_parted_rows<Simd, kQueries, 0, 4>(costs, rows, limits, hits);
  if constexpr (Cost::kUnrolls) {
    switch (n_words) {
      case 5:
        return scan_parted_rows<Simd, kQueries, 1, 1>(costs, rows, limits, hits);
      case 6:
        return scan_parted_rows<Simd, kQueries, 1, 2>(costs, rows, limits, hits);
      case 7:
        return scan_parted_rows<Simd, kQueries, 1, 3>(costs, rows, limits, hits);
      case 9:
        return scan_parted_rows<Simd, kQueries, 2, 1>(costs, rows, limits, hits);
      case 10:
        return scan_parted_rows<Simd, kQueries, 2, 2>(costs, rows, limits, hits);
      case 11:
        return scan_parted_rows<Simd, kQueries, 2, 3>(costs, rows, limits, hits);
      case 13:
        return scan_parted_rows<Simd, kQueries, 3, 1>(costs, rows, limits, hits);
      case 14:
        return scan_parted_rows<Simd, kQueries, 3, 2>(costs, rows, limits, hits);
      case 15:
        return scan_parted_rows<Simd, kQueries, 3, 3>(costs, rows, limits, hits);
      case 17:
        return scan_parted_rows<Simd, kQueries, 4, 1>(costs, rows, limits, hits);
      case 18:
        return scan_parted_rows<Simd, kQueries, 4, 2>(costs, rows, limits, hits);
      case 19:
        return scan_parted_rows<Simd, kQueries, 4, 3>(costs, rows, limits, hits);
      default:
        break;
    }
    switch ((n_words + 3) / 4) {
      case 2:
        return scan_rows_of_vectors<Simd, kQueries, 2>(costs, rows, limits, hits);
      case 3:
        return scan_rows_of_vectors<Simd, kQueries, 3>(costs, rows, limits, hits);
      case 4:
        return scan_rows_of_vectors<Simd, kQueries, 4>(costs, rows, limits, hits);
      case 5:
        return scan_rows_of_vectors<Simd, kQueries, 5>(costs, rows, limits, hits);
      case 6:
        return scan_rows_of_vectors<Simd, kQueries, 6>(costs, rows, limits, hits);
      case 7:
        return scan_rows_of_vectors<Simd, kQueries, 7>(costs, rows, limits, hits);
      case 8:
        return scan_rows_of_vectors<Simd, kQueries, 8>(costs, rows, limits, hits);
      case 9:
        return scan_rows_of_vectors<Simd, kQueries, 9>(costs, rows, limits, hits);
      case 10:
        return scan_rows_of_vectors<Simd, kQueries, 10>(costs, rows, limits, hits);
      case 11:
        return scan_rows_of_vectors<Simd, kQueries, 11>(costs, rows, limits, hits);
      case 12:
        return scan_rows_of_vectors<Simd, kQueries, 12>(costs, rows, limits, hits);
      case 13:
        return scan_rows_of_vectors<Simd, kQueries, 13>(costs, rows, limits, hits);
      case 14:
        return scan_rows_of_vectors<Simd, kQueries, 14>(costs, rows, limits, hits);
      case 15:
        return scan_rows_of_vectors<Simd, kQueries, 15>(costs, rows, limits, hits);
      case 16:
        return scan_rows_of_vectors<Simd, kQueries, 16>(costs, rows, limits, hits);
      default:
        break;
    }
  }
  return scan_any_rows<Simd, kQueries, 0>(costs, rows, 0, limits, hits);
}

}  // namespace bitsift
