// SPDX-License-Identifier: Apache-2.0
#include "scan.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <optional>
#include <vector>

#include "query_batch.hpp"
#include "thread_pool.hpp"
#include "topk.hpp"

namespace bitsift {
namespace {

// From this many queries on, transposing a tile costs less than the sums across lanes it saves.
constexpr std::size_t kMinTileQueries = 4;
// Queries scanned together: their words and the tile stay in L1 and L2.
constexpr std::size_t kMaxBatch = 256;
// Rows that a thread takes at a time.
constexpr std::size_t kBytesPerPiece = 1 << 18;
// Codes read, times queries, that are worth waking one more thread.
constexpr std::size_t kBytesPerThread = 1 << 20;
// Candidates of a batch kept by a thread, at most, whatever k is.
constexpr std::size_t kMaxCandidates = 1 << 22;
constexpr std::size_t kRowsPerCall = 256;

std::size_t ceil_divide(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

// What one thread has found for a batch of queries in the rows that it has scanned.
class BatchScan {
 public:
  BatchScan(const Kernels& kernels, Matrix<std::uint8_t> codes, const QueryBatch& batch,
            const std::int64_t* ids, std::size_t k)
      : kernels_(kernels), codes_(codes), batch_(batch), limits_(batch.padded_size(), kNothing) {
    best_.reserve(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      limits_[i] = best_.emplace_back(k, codes.n_rows, ByDistanceThenId{ids}).limit();
    }
    if (batch.size() >= kMinTileQueries) {
      tile_.emplace(kernels, codes.n_columns);
      hits_.resize(batch.padded_size() * kernels.tile_rows);
    } else {
      hits_.resize(kRowsPerCall);
    }
  }

  void scan(std::size_t begin, std::size_t end) {
    if (tile_) {
      scan_tiles(begin, end);
    } else {
      scan_rows(begin, end);
    }
  }

  TopK& best(std::size_t query) { return best_[query]; }

 private:
  void scan_tiles(std::size_t begin, std::size_t end) {
    for_each_tile(kernels_, begin, end, [&](std::size_t first, std::size_t n_rows) {
      tile_->fill(codes_, first, n_rows);
      const std::size_t n_hits =
          kernels_.scan_tile(tile_->words(), n_rows, batch_.n_words(), batch_.words(),
                             batch_.padded_size(), limits_.data(), hits_.data());
      for (std::size_t i = 0; i < n_hits; ++i) offer(hits_[i].query, hits_[i], first);
    });
  }

  // Blocks small enough that the second query finds the rows in a cache.
  void scan_rows(std::size_t begin, std::size_t end) {
    for (std::size_t first = begin; first < end; first += kRowsPerCall) {
      const std::size_t n_rows = std::min(kRowsPerCall, end - first);
      for (std::size_t query = 0; query < batch_.size(); ++query) {
        const std::size_t n_hits =
            kernels_.scan_rows(batch_.row(query), codes_.row(first), codes_.stride, n_rows,
                               codes_.n_columns, limits_[query], hits_.data());
        for (std::size_t i = 0; i < n_hits; ++i) offer(query, hits_[i], first);
      }
    }
  }

  void offer(std::size_t query, const Hit& hit, std::size_t first) {
    best_[query].offer(hit.distance, static_cast<std::int64_t>(first + hit.row));
    limits_[query] = best_[query].limit();
  }

  const Kernels& kernels_;
  Matrix<std::uint8_t> codes_;
  const QueryBatch& batch_;
  std::vector<TopK> best_;
  std::vector<std::int64_t> limits_;
  std::vector<Hit> hits_;
  std::optional<Tile> tile_;
};

class Search {
 public:
  Search(const Kernels& kernels, Matrix<std::uint8_t> codes, Matrix<std::uint8_t> queries,
         const std::int64_t* ids, std::size_t k, std::int32_t* distances, std::int64_t* rows)
      : kernels_(kernels),
        codes_(codes),
        queries_(queries),
        ids_(ids),
        k_(k),
        distances_(distances),
        rows_(rows) {}

  void run(std::size_t n_threads) const {
    const std::size_t per_query = 2 * std::min(k_, codes_.n_rows) + 1;
    const std::size_t batch = std::clamp<std::size_t>(kMaxCandidates / per_query, 1, kMaxBatch);
    const std::size_t rows_per_piece = this->rows_per_piece();
    const std::size_t n_pieces = ceil_divide(codes_.n_rows, rows_per_piece);
    if (n_pieces < n_threads && queries_.n_rows > 1) {
      // Few documents: each thread scans them all, for queries of its own.
      const std::size_t share = ceil_divide(queries_.n_rows, n_threads);
      for_each_piece(queries_.n_rows, std::min(batch, share),
                     threads_worth(queries_.n_rows, n_threads),
                     [&](std::size_t begin, std::size_t end) { scan_batch(begin, end, 1); });
    } else {
      for (std::size_t begin = 0; begin < queries_.n_rows; begin += batch) {
        const std::size_t end = std::min(begin + batch, queries_.n_rows);
        scan_batch(begin, end, threads_worth(end - begin, n_threads));
      }
    }
  }

 private:
  std::size_t rows_per_piece() const {
    const std::size_t rows = std::max<std::size_t>(1, kBytesPerPiece / codes_.n_columns);
    return ceil_divide(rows, kMaxTileRows) * kMaxTileRows;
  }

  std::size_t threads_worth(std::size_t n_queries, std::size_t n_threads) const {
    // In floating point: the product may exceed 64 bits.
    const double bytes = static_cast<double>(codes_.n_rows) *
                         static_cast<double>(codes_.n_columns) * static_cast<double>(n_queries);
    const double worth = 1 + bytes / static_cast<double>(kBytesPerThread);
    return worth < static_cast<double>(n_threads) ? static_cast<std::size_t>(worth) : n_threads;
  }

  void scan_batch(std::size_t begin, std::size_t end, std::size_t n_threads) const {
    const QueryBatch batch(queries_, begin, end);
    const std::size_t piece = rows_per_piece();
    const std::size_t n_pieces = ceil_divide(codes_.n_rows, piece);
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::vector<BatchScan> scans;  // one of each thread that took part
    scans.reserve(n_threads);
    run_on_threads(std::min(n_threads, std::max<std::size_t>(n_pieces, 1)), [&] {
      std::optional<BatchScan> scan;
      for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n_pieces;) {
        if (!scan) scan.emplace(kernels_, codes_, batch, ids_, k_);
        scan->scan(i * piece, std::min((i + 1) * piece, codes_.n_rows));
      }
      if (scan) {
        const std::lock_guard lock(mutex);
        scans.push_back(std::move(*scan));
      }
    });
    for_each_piece(batch.size(), 16, n_threads, [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) write(begin + i, i, scans);
    });
  }

  // Merges what the threads found and writes it out. The order is total, so neither the number of
  // threads nor the pieces they took show.
  void write(std::size_t query, std::size_t i, std::vector<BatchScan>& scans) const {
    std::int32_t* distances = distances_ + query * k_;
    std::int64_t* rows = rows_ + query * k_;
    std::size_t n = 0;
    if (!scans.empty()) {
      TopK& best = scans.front().best(i);
      for (std::size_t other = 1; other < scans.size(); ++other) best.take(scans[other].best(i));
      for (const Candidate candidate : best.sorted()) {
        distances[n] = candidate.distance();
        rows[n++] = candidate.row();
      }
    }
    std::fill(distances + n, distances + k_, std::numeric_limits<std::int32_t>::max());
    std::fill(rows + n, rows + k_, -1);
  }

  const Kernels& kernels_;
  Matrix<std::uint8_t> codes_;
  Matrix<std::uint8_t> queries_;
  const std::int64_t* ids_;
  std::size_t k_;
  std::int32_t* distances_;
  std::int64_t* rows_;
};

}  // namespace

void search(const Kernels& kernels, Matrix<std::uint8_t> codes, Matrix<std::uint8_t> queries,
            const std::int64_t* ids, std::size_t k, std::size_t n_threads, std::int32_t* distances,
            std::int64_t* rows) {
  if (k == 0) return;
  Search(kernels, codes, queries, ids, k, distances, rows).run(n_threads);
}

void all_pairs(const Kernels& kernels, Matrix<std::uint8_t> a, Matrix<std::uint8_t> b,
               std::size_t n_threads, std::int32_t* out) {
  constexpr std::size_t kPairsPerPiece = 1 << 18;
  for (std::size_t begin = 0; begin < a.n_rows; begin += kMaxBatch) {
    const QueryBatch batch(a, begin, std::min(begin + kMaxBatch, a.n_rows));
    const std::size_t rows_per_piece =
        ceil_divide(kPairsPerPiece / batch.size(), kMaxTileRows) * kMaxTileRows;
    for_each_piece(b.n_rows, rows_per_piece, n_threads, [&](std::size_t first, std::size_t last) {
      Tile tile(kernels, b.n_columns);
      for_each_tile(kernels, first, last, [&](std::size_t row, std::size_t n_rows) {
        tile.fill(b, row, n_rows);
        kernels.tile_distances(tile.words(), n_rows, batch.n_words(), batch.words(), batch.size(),
                               out + begin * b.n_rows + row, b.n_rows);
      });
    });
  }
}

}  // namespace bitsift
