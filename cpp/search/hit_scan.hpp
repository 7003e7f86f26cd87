// SPDX-License-Identifier: Apache-2.0
// One thread's scan for a batch of queries: by the cheapest kernel, a piece of the rows at a time.
// What is done with the rows within the limits is up to its caller.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/platform.hpp"
#include "kernels/kernels.hpp"
#include "search/piece.hpp"
#include "search/query_batch.hpp"
#include "search/scan_method.hpp"
#include "search/tile.hpp"

namespace bitsift {

// Pieces are multiples of this many rows, which most kernels take in whole tiles.
inline constexpr std::size_t kRowsOfPiece = 128;

inline std::size_t ceil_divide(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

// The largest distance between codes of so many bytes.
inline std::int32_t max_distance(std::size_t n_bytes, bool weighted) {
  const std::size_t largest = weighted ? (std::size_t{1} << kMagnitudeBits) - 1 : 1;
  return static_cast<std::int32_t>(8 * n_bytes * largest);
}

// Rows of codes that threads take at a time, where `n_rows` of them take part: more where these are
// few.
inline std::size_t rows_per_scan_piece(const Segments<std::uint8_t>& codes, std::size_t n_rows) {
  constexpr std::size_t kMostGrowth = 16;
  const std::size_t rows = std::max<std::size_t>(1, kScanPieceBytes / codes.n_columns());
  const std::size_t growth = codes.n_rows() / std::max<std::size_t>(1, n_rows);
  return ceil_divide(rows, kRowsOfPiece) * kRowsOfPiece *
         std::clamp<std::size_t>(growth, 1, kMostGrowth);
}

// How many of `n_threads` are worth their start, where `n_rows` codes of `n_bytes` are scanned.
inline std::size_t threads_worth_scanning(std::size_t n_rows, std::size_t n_bytes,
                                          std::size_t n_queries, std::size_t n_threads) {
  // One more thread for each 2 MiB of (codes x queries).
  constexpr double kBytesPerThread = 1 << 21;
  // In floating point: the product may exceed 64 bits.
  const double bytes =
      static_cast<double>(n_rows) * static_cast<double>(n_bytes) * static_cast<double>(n_queries);
  const double worth = 1 + bytes / kBytesPerThread;
  return worth < static_cast<double>(n_threads) ? static_cast<std::size_t>(worth) : n_threads;
}

// The most queries of which a batch kernel makes 16 MiB: those of long codes are many.
inline std::size_t most_queries_in_groups(const Kernels& kernels, std::size_t n_bytes,
                                          bool weighted) {
  constexpr std::size_t kMaxGroupBytes = std::size_t{16} << 20;
  const BatchKernel& kernel = batch_kernel(kernels, n_bytes, weighted);
  const std::size_t n_words = (n_bytes + 7) / 8;
  const std::size_t n_groups =
      kMaxGroupBytes / (kernel.group_header_bytes + n_words * kernel.group_word_bytes);
  return std::max<std::size_t>(1, n_groups) * kernel.group_queries;
}

class HitScan {
 public:
  HitScan(const Kernels& kernels, const MaskedRows& rows, const QueryBatch& batch,
          const ScanShape& shape, std::optional<ScanMethod> method, MethodCostTable& costs)
      : kernels_(kernels),
        rows_(rows),
        taker_(rows, batch.size()),
        n_bytes_(rows.codes.n_columns()),
        batch_(batch),
        method_(method),
        eligible_(kernels, shape),
        costs_(costs.costs_of(kernels, shape)),
        limits_(ceil_divide(batch.size(), kMaxGroupQueries) * kMaxGroupQueries, kAdmitNone) {}

  std::size_t n_queries() const { return batch_.size(); }
  // Rows beyond this distance need not be reported. To be set for each query before a scan, and
  // may be lowered while it reports.
  std::int64_t& limit(std::size_t query) { return limits_[query]; }

  // Calls report(query, distance, row) for rows of [begin, end) that take part: for each within the
  // query's limit, and perhaps for others that were within it a moment before. For one query, by
  // ascending row.
  template <class Report>
  void scan(std::size_t begin, std::size_t end, Report&& report) {
    const std::size_t n_rows = taker_.take(begin, end);
    if (n_rows == 0) return;
    if (method_) return scan_pieces(*method_, report);
    const std::size_t n_pairs = n_rows * batch_.size();
    // The first rows admit more than any others: their time does not measure the method.
    if (!warm_ || n_pairs * n_bytes_ < kLeastTimedBytes) {
      warm_ = true;
      return scan_pieces(costs_.best(eligible_.all()), report);
    }
    const ScanMethod method = costs_.next(eligible_.all());
    const auto start = std::chrono::steady_clock::now();
    scan_pieces(method, report);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    costs_.learn(method, seconds.count() / static_cast<double>(n_pairs));
  }

 private:
  // Rows that are compared with one query, or pair of queries, after the other. A block that
  // several share stays in L1. Others begin small, so that limits fall soon, and grow: short rows
  // of a small block take less time than the call of the kernel. Every row of the first block is
  // kept where there is no limit yet. All are whole groups of a kernel's rows, and but for the
  // first whole cache lines.
  static constexpr std::size_t kRowsPerFirstBlock = 32;
  static constexpr std::size_t kRowsPerSharedBlock = 64;
  static constexpr std::size_t kRowsPerBlock = 256;
  static constexpr std::size_t kBytesPerBlock = 1 << 15;
  // How far ahead of the rows ScanMethod::kRowsAhead prefetches, and how far kRowsFarAhead. Less
  // comes too late, and more falls out of L1: it depends on the latency and the bandwidth of
  // memory.
  static constexpr std::size_t kBytesAhead = 2048;
  static constexpr std::size_t kBytesFarAhead = 8192;
  // Pieces of fewer bytes of codes, times queries, are too short to time.
  static constexpr std::size_t kLeastTimedBytes = 1 << 17;

  template <class Report>
  void scan_pieces(ScanMethod method, Report& report) {
    taker_.for_each_piece([&](const Piece& piece) {
      piece_ = piece;
      scan_by(method, report);
    });
  }

  template <class Report>
  void scan_by(ScanMethod method, Report& report) {
    switch (method) {
      case ScanMethod::kRows:
        return scan_rows(0, report);
      case ScanMethod::kRowsAhead:
        return scan_rows(kBytesAhead, report);
      case ScanMethod::kRowsFarAhead:
        return scan_rows(kBytesFarAhead, report);
      case ScanMethod::kBatch:
        return scan_tiles(batch_kernel(kernels_, n_bytes_, batch_.weighted()), batch_tile_, report);
      case ScanMethod::kProduct:
        return scan_tiles(*kernels_.product, product_tile_, report);
    }
  }

  template <class Report>
  void scan_tiles(const BatchKernel& kernel, std::optional<Tile>& tile, Report& report) {
    if (!tile) tile.emplace(kernel, n_bytes_);
    const std::size_t end = piece_.codes.n_rows;
    Hit* hits = room_for(batch_.n_groups(kernel) * kernel.group_queries * kernel.tile_rows);
    for_each_tile(kernel, 0, end, [&](std::size_t first, std::size_t n_rows) {
      tile->fill(piece_.codes, first, n_rows);
      prefetch_rows(first + n_rows, std::min(end, first + n_rows + kernel.tile_rows));
      for_each_slice(kernel, batch_, n_bytes_, checkpoint_, [&](const GroupSlice& slice) {
        const std::size_t n_hits =
            kernel.scan(tile->get(), n_rows, n_bytes_, slice.groups, slice.n_groups,
                        limits_.data() + slice.first_query, nullptr, hits);
        for (std::size_t i = 0; i < n_hits; ++i) {
          report_hit(slice.first_query + hits[i].query, hits[i], first, report);
        }
      });
    });
  }

  // Fetches the next tile from memory while this one is scanned.
  void prefetch_rows(std::size_t begin, std::size_t end) const {
    for (std::size_t row = begin; row < end; ++row) prefetch(piece_.codes.row(row), n_bytes_);
  }

  // One or two queries are bound by memory. With more, a smaller block stays in L1 for the queries
  // that follow.
  template <class Report>
  void scan_rows(std::size_t ahead, Report& report) {
    const std::size_t at_once = batch_.weighted() ? 1 : kMaxRowQueries;
    const bool stream = batch_.size() <= at_once;
    const std::size_t usual = stream ? kRowsPerBlock : kRowsPerSharedBlock;
    const std::size_t most =
        stream ? std::max(usual, kBytesPerBlock / n_bytes_ / usual * usual) : usual;
    std::size_t block = limits_[0] == kAdmitAll ? kRowsPerFirstBlock : usual;
    const std::size_t end = piece_.codes.n_rows;
    Hit* hits = room_for(most * at_once);
    for (std::size_t first = 0, n_rows; first < end; first += n_rows) {
      n_rows = std::min(block, end - first);
      block = std::min(2 * block, most);
      for (std::size_t query = 0; query < batch_.size(); query += at_once) {
        const RowSpan rows = {piece_.codes.row(first), piece_.codes.stride, n_rows, n_bytes_,
                              ahead};
        const std::size_t n_hits = batch_.weighted() ? scan_rows_weighted(query, rows, hits)
                                                     : scan_rows_unweighted(query, rows, hits);
        for (std::size_t i = 0; i < n_hits; ++i) {
          report_hit(query + hits[i].query, hits[i], first, report);
        }
        checkpoint_.did(n_rows * at_once * n_bytes_);
      }
    }
  }

  std::size_t scan_rows_weighted(std::size_t query, RowSpan rows, Hit* hits) const {
    return kernels_.scan_rows_weighted(batch_.row(query), batch_.planes(query),
                                       batch_.plane_stride(), rows, limits_[query], hits);
  }

  std::size_t scan_rows_unweighted(std::size_t query, RowSpan rows, Hit* hits) const {
    const std::size_t n_queries = std::min(kMaxRowQueries, batch_.size() - query);
    const std::uint8_t* queries[kMaxRowQueries];
    for (std::size_t i = 0; i < n_queries; ++i) queries[i] = batch_.row(query + i);
    return kernels_.scan_rows(queries, n_queries, rows, limits_.data() + query, hits);
  }

  template <class Report>
  void report_hit(std::size_t query, const Hit& hit, std::size_t first, Report& report) const {
    const std::int64_t row = piece_.row(first + hit.row);
    if (!piece_.all_take_part && !rows_.takes_part(static_cast<std::size_t>(row))) return;
    report(query, hit.distance, row);
  }

  Hit* room_for(std::size_t n) {
    if (n > n_hits_) {
      hits_ = std::make_unique_for_overwrite<Hit[]>(n);
      n_hits_ = n;
    }
    return hits_.get();
  }

  const Kernels& kernels_;
  MaskedRows rows_;
  RowTaker taker_;
  Piece piece_{};
  std::size_t n_bytes_;
  const QueryBatch& batch_;
  std::optional<ScanMethod> method_;
  EligibleMethods eligible_;
  MethodCosts& costs_;
  bool warm_ = false;
  std::vector<std::int64_t> limits_;  // one for each query, padding included
  std::unique_ptr<Hit[]> hits_;
  std::size_t n_hits_ = 0;
  std::optional<Tile> batch_tile_;
  std::optional<Tile> product_tile_;
  Checkpoint checkpoint_{kBytesBetweenChecks};
};

}  // namespace bitsift
