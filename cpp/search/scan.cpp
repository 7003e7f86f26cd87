// SPDX-License-Identifier: Apache-2.0
#include "search/scan.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/thread_pool.hpp"
#include "search/hit_scan.hpp"
#include "search/piece.hpp"
#include "search/query_batch.hpp"
#include "search/sample.hpp"
#include "search/topk.hpp"

namespace bitsift {
namespace {

// Where each thread gets at least this many queries, threads may share the queries, not the rows.
constexpr std::size_t kQueriesPerThread = 32;
// They do so if there are at most this many rows for each result.
constexpr std::size_t kRowsPerResult = 2000;
// The most rows that a thread keeps for a batch, whatever k is.
constexpr std::size_t kMaxKeptRows = 1 << 22;

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

// One thread's scan for a batch of queries, with the best rows that it has found.
class BatchScan {
 public:
  BatchScan(const Kernels& kernels, const MaskedRows& rows, const QueryBatch& batch,
            SharedLimits& shared, const ScanShape& shape, const ScanOptions& options)
      : hits_(kernels, rows, batch, shape, options.method, *options.costs),
        shared_(shared),
        thread_(shared.join()) {
    best_.reserve(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      best_.emplace_back(
          options.k, shape.n_rows, ByDistanceThenId{options.ids},
          Counting{.max_distance = max_distance(rows.codes.n_columns(), batch.weighted()),
                   .share = shared.share()});
    }
  }

  void scan(std::size_t begin, std::size_t end) {
    for (std::size_t i = 0; i < best_.size(); ++i) {
      hits_.limit(i) = std::min(best_[i].limit(), shared_.limit(i));
    }
    hits_.scan(begin, end, [this](std::size_t query, std::int32_t distance, std::int64_t row) {
      offer(query, distance, row);
    });
  }

  TopK& best(std::size_t query) { return best_[query]; }

 private:
  void offer(std::size_t query, std::int32_t distance, std::int64_t row) {
    TopK& best = best_[query];
    if (best.offer(distance, row)) {
      std::int64_t& limit = hits_.limit(query);
      limit = std::min(limit, best.limit());
      if (shared_.are_shared()) {
        shared_.report(thread_, query, best.distance_of_best(shared_.share()));
      }
    }
  }

  HitScan hits_;
  SharedLimits& shared_;
  std::size_t thread_;
  std::vector<TopK> best_;
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
  Scan(const Kernels& kernels, const Segments<std::uint8_t>& codes, const Queries& queries,
       const ScanOptions& options, std::int32_t* distances, std::int64_t* rows)
      : kernels_(kernels),
        codes_(codes),
        masked_{codes, options.mask, options.first_row},
        n_rows_(masked_.count(0, codes.n_rows())),
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
        std::min(kMaxKeptRows / per_query,
                 most_queries_in_groups(kernels_, codes_.n_columns(), queries_.weighted())),
        1, kMaxBatchQueries);
    const std::size_t n_pieces = ceil_divide(codes_.n_rows(), rows_per_piece());
    // When threads share the rows, each begins without limits and admits most of its first rows. If
    // that is a large part of the work, it is faster to share the queries.
    const bool few_rows = n_rows_ / kRowsPerResult <= std::min(options_.k, n_rows_);
    if ((n_pieces < n_threads && n_queries > 1) ||
        (few_rows && n_queries >= kQueriesPerThread * n_threads)) {
      const std::size_t share = ceil_divide(n_queries, n_threads);
      for_each_piece(n_queries, std::min(batch, share), threads_worth(n_queries, n_threads),
                     [&](std::size_t begin, std::size_t end) { scan_batch(begin, end, 1, {}); });
      return codes_.n_rows();
    }
    if (n_queries <= batch) {
      return scan_batch(0, n_queries, threads_worth(n_queries, n_threads), options_.early_end);
    }
    for (std::size_t begin = 0; begin < n_queries; begin += batch) {
      const std::size_t end = std::min(begin + batch, n_queries);
      scan_batch(begin, end, threads_worth(end - begin, n_threads), {});
    }
    return codes_.n_rows();
  }

 private:
  std::size_t rows_per_piece() const { return rows_per_scan_piece(codes_, n_rows_); }

  std::size_t threads_worth(std::size_t n_queries, std::size_t n_threads) const {
    return threads_worth_scanning(n_rows_, codes_.n_columns(), n_queries, n_threads);
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
    return codes_.n_rows();
  }

  // Scans without limits.
  Scanned scan_all(std::size_t begin, std::size_t end, std::size_t n_threads,
                   const EarlyEnd& early_end) const {
    if (begin == end) return {codes_.n_rows(), begin, end};
    return scan_within(std::vector<std::int64_t>(end - begin, kAdmitAll), begin, n_threads,
                       early_end);
  }

  // The distances, for queries [begin, end), of the row of this rank in a sample.
  std::vector<std::int64_t> farthest_of(const Sample& sample, std::size_t begin, std::size_t end,
                                        std::size_t n_threads) const {
    CopiedRows copies;
    Matrix<std::uint8_t> codes;
    if (codes_.is_one() && n_rows_ == codes_.n_rows()) {
      codes = codes_.matrix(0, sample.n_rows);
      codes.stride *= static_cast<std::ptrdiff_t>(sample.step);
    } else {
      std::size_t i = 0;
      masked_.for_each(0, codes_.n_rows(), [&](std::size_t row) {
        if (i++ % sample.step == 0 && i / sample.step < sample.n_rows) copies.add(row);
      });
      copies.copy(codes_);
      codes = copies.matrix(codes_.n_columns());
    }
    ScanOptions options = options_;
    options.mask = {};
    options.k = sample.rank;
    options.ids = {};
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
    const std::size_t n_pieces = std::max<std::size_t>(1, ceil_divide(codes_.n_rows(), piece));
    n_threads = std::min(n_threads, n_pieces);
    const std::size_t k = std::min(options_.k, n_rows_);
    SharedLimits shared(n_threads, std::move(first_limits), k);
    const ScanShape shape = {batch.size(), n_rows_, codes_.n_columns(), n_threads,
                             batch.weighted()};
    Pieces pieces(n_pieces);
    std::atomic<std::size_t> n_scanned{codes_.n_rows()};
    std::mutex mutex;
    std::vector<BatchScan> scans;  // one for each thread that took part
    scans.reserve(n_threads);
    run_on_threads(n_threads, [&] {
      std::optional<BatchScan> scan;
      pieces.work([&](std::size_t i) {
        if (!scan) scan.emplace(kernels_, masked_, batch, shared, shape, options_);
        const std::size_t end = std::min((i + 1) * piece, codes_.n_rows());
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
  Segments<std::uint8_t> codes_;
  MaskedRows masked_;
  std::size_t n_rows_;  // that take part
  const Queries& queries_;
  const ScanOptions& options_;
  std::int32_t* distances_;
  std::int64_t* rows_;
};

}  // namespace

std::size_t scan(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                 const Queries& queries, const ScanOptions& options, std::int32_t* distances,
                 std::int64_t* rows) {
  if (options.k == 0) return codes.n_rows();
  return Scan(kernels, codes, queries, options, distances, rows).run();
}

}  // namespace bitsift
