// SPDX-License-Identifier: Apache-2.0
#include "search/scan.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/platform.hpp"
#include "base/thread_pool.hpp"
#include "search/piece.hpp"
#include "search/query_batch.hpp"
#include "search/sample.hpp"
#include "search/tile.hpp"
#include "search/topk.hpp"

namespace bitsift {
namespace {

// One more thread for each 2 MiB of (codes x queries).
constexpr std::size_t kBytesPerThread = 1 << 21;
// Where each thread gets at least this many queries, threads may share the queries, not the rows.
constexpr std::size_t kQueriesPerThread = 32;
// They do so if there are at most this many rows for each result.
constexpr std::size_t kRowsPerResult = 2000;
// The most rows that a thread keeps for a batch, whatever k is.
constexpr std::size_t kMaxKeptRows = 1 << 22;
// The most bytes that a batch kernel makes of the queries of a batch: those of long codes are many.
constexpr std::size_t kMaxGroupBytes = std::size_t{16} << 20;
// Rows that are compared with one query, or pair of queries, after the other. A block that several
// share stays in L1. Others begin small, so that limits fall soon, and grow: short rows of a small
// block take less time than the call of the kernel. Every row of the first block is kept where
// there is no limit yet. All are whole groups of a kernel's rows, and but for the first whole cache
// lines.
constexpr std::size_t kRowsPerFirstBlock = 32;
constexpr std::size_t kRowsPerSharedBlock = 64;
constexpr std::size_t kRowsPerBlock = 256;
constexpr std::size_t kBytesPerBlock = 1 << 15;
// How far ahead of the rows ScanMethod::kRowsAhead prefetches, and how far kRowsFarAhead. Less
// comes too late, and more falls out of L1: it depends on the latency and the bandwidth of memory.
constexpr std::size_t kBytesAhead = 2048;
constexpr std::size_t kBytesFarAhead = 8192;
// Pieces are multiples of this many rows, which most kernels take in whole tiles.
constexpr std::size_t kRowsOfPiece = 128;
// Where a mask lets few rows through, pieces have up to this many times as many rows.
constexpr std::size_t kMostPieceGrowth = 16;
// Pieces of fewer bytes of codes, times queries, are too short to time.
constexpr std::size_t kLeastTimedBytes = 1 << 17;

std::size_t ceil_divide(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

// Limits that the threads of one batch share. If each of T threads has ceil(k / T) rows within d,
// then k rows are within d, so d bounds the k-th distance. Each thread publishes the distance of
// its ceil(k / T)-th best row, and d is the largest of these. No thread needs to report rows beyond
// d. Rows at d must be reported: their id may be smaller. No limit exceeds the one that a query
// begins with.
class SharedLimits {
 public:
  SharedLimits(std::size_t n_threads, std::vector<std::int64_t> first_limits, std::size_t k)
      : n_queries_(first_limits.size()),
        share_(ceil_divide(k, n_threads)),
        first_limits_(std::move(first_limits)),
        limits_(n_threads * n_queries_) {
    for (auto& limit : limits_) limit.store(kAdmitAll, std::memory_order_relaxed);
  }

  // Whether there is more than one thread.
  bool are_shared() const { return limits_.size() > n_queries_; }
  std::size_t join() { return n_joined_.fetch_add(1, std::memory_order_relaxed); }
  // A thread publishes the distance of its share()-th best row.
  std::size_t share() const { return share_; }
  void report(std::size_t thread, std::size_t query, std::int64_t distance) {
    limits_[thread * n_queries_ + query].store(distance, std::memory_order_relaxed);
  }
  std::int64_t limit(std::size_t query) const {
    std::int64_t farthest = 0;
    for (std::size_t i = query; i < limits_.size(); i += n_queries_) {
      farthest = std::max(farthest, limits_[i].load(std::memory_order_relaxed));
    }
    return std::min(farthest, first_limits_[query]);
  }

 private:
  std::size_t n_queries_;
  std::size_t share_;
  std::vector<std::int64_t> first_limits_;
  std::vector<std::atomic<std::int64_t>> limits_;
  std::atomic<std::size_t> n_joined_{0};
};

std::int32_t max_distance(std::size_t n_bytes, bool weighted) {
  const std::size_t largest = weighted ? (std::size_t{1} << kMagnitudeBits) - 1 : 1;
  return static_cast<std::int32_t>(8 * n_bytes * largest);
}

// One thread's scan for a batch of queries, with the best rows that it has found.
class BatchScan {
 public:
  BatchScan(const Kernels& kernels, const MaskedRows& rows, const QueryBatch& batch,
            SharedLimits& shared, const ScanShape& shape, const ScanOptions& options)
      : kernels_(kernels),
        rows_(rows),
        pieces_(rows, batch.size()),
        n_bytes_(rows.codes.n_columns),
        batch_(batch),
        shared_(shared),
        thread_(shared.join()),
        method_(options.method),
        eligible_(kernels, shape),
        costs_(options.costs->costs_of(kernels, shape)),
        limits_(ceil_divide(batch.size(), kMaxGroupQueries) * kMaxGroupQueries, kAdmitNone) {
    best_.reserve(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      best_.emplace_back(options.k, shape.n_rows, ByDistanceThenId{options.ids},
                         Counting{.max_distance = max_distance(n_bytes_, batch.weighted()),
                                  .share = shared.share()});
    }
  }

  void scan(std::size_t begin, std::size_t end) {
    piece_ = pieces_.take(begin, end);
    if (piece_.codes.n_rows == 0) return;
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      limits_[i] = std::min(best_[i].limit(), shared_.limit(i));
    }
    if (method_) return scan_by(*method_);
    const std::size_t n_pairs = piece_.codes.n_rows * batch_.size();
    // The first piece admits more rows than any other: its time does not measure the method.
    if (!warm_ || n_pairs * n_bytes_ < kLeastTimedBytes) {
      warm_ = true;
      return scan_by(costs_.best(eligible_.all()));
    }
    const ScanMethod method = costs_.next(eligible_.all());
    const auto start = std::chrono::steady_clock::now();
    scan_by(method);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    costs_.learn(method, seconds.count() / static_cast<double>(n_pairs));
  }

  TopK& best(std::size_t query) { return best_[query]; }

 private:
  void scan_by(ScanMethod method) {
    switch (method) {
      case ScanMethod::kRows:
        return scan_rows(0);
      case ScanMethod::kRowsAhead:
        return scan_rows(kBytesAhead);
      case ScanMethod::kRowsFarAhead:
        return scan_rows(kBytesFarAhead);
      case ScanMethod::kBatch:
        return scan_tiles(batch_kernel(kernels_, n_bytes_, batch_.weighted()), batch_tile_);
      case ScanMethod::kProduct:
        return scan_tiles(*kernels_.product, product_tile_);
    }
  }

  void scan_tiles(const BatchKernel& kernel, std::optional<Tile>& tile) {
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
          offer(slice.first_query + hits[i].query, hits[i], first);
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
  void scan_rows(std::size_t ahead) {
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
        for (std::size_t i = 0; i < n_hits; ++i) offer(query + hits[i].query, hits[i], first);
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

  void offer(std::size_t query, const Hit& hit, std::size_t first) {
    const std::int64_t row = piece_.row(first + hit.row);
    if (!piece_.all_take_part && !rows_.takes_part(static_cast<std::size_t>(row))) return;
    TopK& best = best_[query];
    if (best.offer(hit.distance, row)) {
      limits_[query] = std::min(limits_[query], best.limit());
      if (shared_.are_shared()) {
        shared_.report(thread_, query, best.distance_of_best(shared_.share()));
      }
    }
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
  PieceTaker pieces_;
  Piece piece_{};
  std::size_t n_bytes_;
  const QueryBatch& batch_;
  SharedLimits& shared_;
  std::size_t thread_;
  std::optional<ScanMethod> method_;
  EligibleMethods eligible_;
  MethodCosts& costs_;
  bool warm_ = false;
  std::vector<TopK> best_;
  std::vector<std::int64_t> limits_;  // one for each query, padding included
  std::unique_ptr<Hit[]> hits_;
  std::size_t n_hits_ = 0;
  std::optional<Tile> batch_tile_;
  std::optional<Tile> product_tile_;
  Checkpoint checkpoint_{kBytesBetweenChecks};
};

// What a scan for a batch of queries has done.
struct Scanned {
  std::size_t n_rows;  // the first ones
  // The first and behind the last query that has too few rows within its limit.
  std::size_t first_incomplete;
  std::size_t last_incomplete;
};

class Scan {
 public:
  Scan(const Kernels& kernels, Matrix<std::uint8_t> codes, const Queries& queries,
       const ScanOptions& options, std::int32_t* distances, std::int64_t* rows)
      : kernels_(kernels),
        codes_(codes),
        masked_{codes, options.mask, options.first_row},
        n_rows_(masked_.count(0, codes.n_rows)),
        queries_(queries),
        options_(options),
        distances_(distances),
        rows_(rows) {}

  // Returns the number of rows scanned.
  std::size_t run() const {
    const std::size_t n_queries = queries_.codes.n_rows;
    const std::size_t n_threads = options_.n_threads;
    const std::size_t per_query = 2 * std::min(options_.k, n_rows_) + 1;
    const std::size_t batch = std::clamp<std::size_t>(
        std::min(kMaxKeptRows / per_query, queries_of_group_bytes()), 1, kMaxBatchQueries);
    const std::size_t n_pieces = ceil_divide(codes_.n_rows, rows_per_piece());
    // When threads share the rows, each begins without limits and admits most of its first rows. If
    // that is a large part of the work, it is faster to share the queries.
    const bool few_rows = n_rows_ / kRowsPerResult <= std::min(options_.k, n_rows_);
    if ((n_pieces < n_threads && n_queries > 1) ||
        (few_rows && n_queries >= kQueriesPerThread * n_threads)) {
      const std::size_t share = ceil_divide(n_queries, n_threads);
      for_each_piece(n_queries, std::min(batch, share), threads_worth(n_queries, n_threads),
                     [&](std::size_t begin, std::size_t end) { scan_batch(begin, end, 1, {}); });
      return codes_.n_rows;
    }
    if (n_queries <= batch) {
      return scan_batch(0, n_queries, threads_worth(n_queries, n_threads), options_.early_end);
    }
    for (std::size_t begin = 0; begin < n_queries; begin += batch) {
      const std::size_t end = std::min(begin + batch, n_queries);
      scan_batch(begin, end, threads_worth(end - begin, n_threads), {});
    }
    return codes_.n_rows;
  }

 private:
  // Queries, whole groups, of which a batch kernel makes kMaxGroupBytes.
  std::size_t queries_of_group_bytes() const {
    const BatchKernel& kernel = batch_kernel(kernels_, codes_.n_columns, queries_.weighted());
    const std::size_t n_words = (codes_.n_columns + 7) / 8;
    const std::size_t n_groups =
        kMaxGroupBytes / (kernel.group_header_bytes + n_words * kernel.group_word_bytes);
    return std::max<std::size_t>(1, n_groups) * kernel.group_queries;
  }

  std::size_t rows_per_piece() const {
    const std::size_t rows = std::max<std::size_t>(1, kScanPieceBytes / codes_.n_columns);
    const std::size_t growth = codes_.n_rows / std::max<std::size_t>(1, n_rows_);
    return ceil_divide(rows, kRowsOfPiece) * kRowsOfPiece *
           std::clamp<std::size_t>(growth, 1, kMostPieceGrowth);
  }

  std::size_t threads_worth(std::size_t n_queries, std::size_t n_threads) const {
    // In floating point: the product may exceed 64 bits.
    const double bytes = static_cast<double>(n_rows_) * static_cast<double>(codes_.n_columns) *
                         static_cast<double>(n_queries);
    const double worth = 1 + bytes / static_cast<double>(kBytesPerThread);
    return worth < static_cast<double>(n_threads) ? static_cast<std::size_t>(worth) : n_threads;
  }

  // Returns the number of rows scanned.
  std::size_t scan_batch(std::size_t begin, std::size_t end, std::size_t n_threads,
                         const EarlyEnd& early_end) const {
    const std::size_t k = std::min(options_.k, n_rows_);
    const std::optional<Sample> sample = worthwhile_sample(n_rows_, k, end - begin);
    if (!sample) return scan_all(begin, end, n_threads, early_end).n_rows;
    const Scanned scanned =
        scan_within(farthest_of(*sample, begin, end, n_threads), begin, n_threads, {});
    scan_all(scanned.first_incomplete, scanned.last_incomplete, n_threads, {});
    return codes_.n_rows;
  }

  // Scans without limits.
  Scanned scan_all(std::size_t begin, std::size_t end, std::size_t n_threads,
                   const EarlyEnd& early_end) const {
    if (begin == end) return {codes_.n_rows, begin, end};
    return scan_within(std::vector<std::int64_t>(end - begin, kAdmitAll), begin, n_threads,
                       early_end);
  }

  // The distances, for queries [begin, end), of the row of this rank in a sample.
  std::vector<std::int64_t> farthest_of(const Sample& sample, std::size_t begin, std::size_t end,
                                        std::size_t n_threads) const {
    Matrix<std::uint8_t> codes = codes_;
    codes.n_rows = sample.n_rows;
    codes.stride *= static_cast<std::ptrdiff_t>(sample.step);
    CopiedRows copies;
    if (n_rows_ < codes_.n_rows) {
      std::size_t i = 0;
      masked_.for_each(0, codes_.n_rows, [&](std::size_t row) {
        if (i++ % sample.step == 0 && i / sample.step < sample.n_rows) copies.add(row);
      });
      copies.copy(codes_);
      codes = copies.matrix(codes_.n_columns);
    }
    ScanOptions options = options_;
    options.mask = {};
    options.k = sample.rank;
    options.ids = nullptr;
    options.n_threads = n_threads;
    options.early_end = {};
    const std::size_t n = end - begin;
    std::vector<std::int32_t> distances(n * sample.rank);
    std::vector<std::int64_t> rows(n * sample.rank);
    Scan(kernels_, codes, queries_.part(begin, end), options, distances.data(), rows.data()).run();
    std::vector<std::int64_t> farthest(n);
    for (std::size_t i = 0; i < n; ++i) farthest[i] = distances[(i + 1) * sample.rank - 1];
    return farthest;
  }

  // Scans for the queries from `begin` on, one for each of `first_limits`.
  Scanned scan_within(std::vector<std::int64_t> first_limits, std::size_t begin,
                      std::size_t n_threads, const EarlyEnd& early_end) const {
    const QueryBatch batch(queries_, begin, begin + first_limits.size());
    const std::size_t piece = rows_per_piece();
    const std::size_t n_pieces = std::max<std::size_t>(1, ceil_divide(codes_.n_rows, piece));
    n_threads = std::min(n_threads, n_pieces);
    const std::size_t k = std::min(options_.k, n_rows_);
    SharedLimits shared(n_threads, std::move(first_limits), k);
    const ScanShape shape = {batch.size(), n_rows_, codes_.n_columns, n_threads, batch.weighted()};
    Pieces pieces(n_pieces);
    std::atomic<std::size_t> n_scanned{codes_.n_rows};
    std::mutex mutex;
    std::vector<BatchScan> scans;  // one for each thread that took part
    scans.reserve(n_threads);
    run_on_threads(n_threads, [&] {
      std::optional<BatchScan> scan;
      pieces.work([&](std::size_t i) {
        if (!scan) scan.emplace(kernels_, masked_, batch, shared, shape, options_);
        const std::size_t end = std::min((i + 1) * piece, codes_.n_rows);
        scan->scan(i * piece, end);
        if (!may_end(early_end, end)) return;
        const std::size_t n_begun = pieces.stop();
        if (n_begun < n_pieces) n_scanned.store(n_begun * piece, std::memory_order_relaxed);
      });
      if (scan) {
        const std::lock_guard lock(mutex);
        scans.push_back(std::move(*scan));
      }
    });
    Scanned scanned = {n_scanned.load(std::memory_order_relaxed), begin, begin};
    for (std::size_t i = 0; i < batch.size(); ++i) {
      std::size_t n_kept = 0;
      for (BatchScan& scan : scans) n_kept += scan.best(i).size();
      if (n_kept >= k) continue;
      if (scanned.first_incomplete == scanned.last_incomplete) scanned.first_incomplete = begin + i;
      scanned.last_incomplete = begin + i + 1;
    }
    for_each_piece(batch.size(), 16, n_threads, [&](std::size_t first, std::size_t last) {
      Checkpoint checkpoint(kValuesBetweenChecks);
      for (std::size_t i = first; i < last; ++i) write(begin + i, i, checkpoint, scans);
    });
    return scanned;
  }

  static bool may_end(const EarlyEnd& early_end, std::size_t n_rows) {
    return early_end.wanted != nullptr && n_rows >= early_end.least_rows &&
           n_rows <= early_end.most_rows && early_end.wanted->load(std::memory_order_relaxed);
  }

  // Merges and writes the results of the threads. The order is total, so results do not depend on
  // the number of threads or on the pieces that each took.
  void write(std::size_t query, std::size_t i, Checkpoint& checkpoint,
             std::vector<BatchScan>& scans) const {
    TopK& best = scans.front().best(i);
    for (std::size_t other = 1; other < scans.size(); ++other) {
      best.take(scans[other].best(i));
      checkpoint.did(options_.k);
    }
    write_best(best, options_.k, checkpoint, distances_ + query * options_.k,
               rows_ + query * options_.k);
  }

  const Kernels& kernels_;
  Matrix<std::uint8_t> codes_;
  MaskedRows masked_;
  std::size_t n_rows_;  // that take part
  const Queries& queries_;
  const ScanOptions& options_;
  std::int32_t* distances_;
  std::int64_t* rows_;
};

}  // namespace

std::size_t scan(const Kernels& kernels, Matrix<std::uint8_t> codes, const Queries& queries,
                 const ScanOptions& options, std::int32_t* distances, std::int64_t* rows) {
  if (options.k == 0) return codes.n_rows;
  return Scan(kernels, codes, queries, options, distances, rows).run();
}

}  // namespace bitsift
