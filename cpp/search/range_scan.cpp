// SPDX-License-Identifier: Apache-2.0
// The limits of a range scan are fixed, so threads need to tell each other nothing. Each keeps what
// it finds for each query; in the end, that of all threads is joined and sorted.
#include "search/range_scan.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "base/thread_pool.hpp"
#include "search/hit_scan.hpp"
#include "search/piece.hpp"
#include "search/query_batch.hpp"
#include "search/sort_neighbors.hpp"

namespace bitsift {
namespace {

// One thread's rows.
class KeptRows {
 public:
  explicit KeptRows(std::size_t n_queries) : found_(n_queries) {}

  void add(std::size_t query, std::int32_t distance, std::int64_t row) {
    found_[query].emplace_back(distance, row);
    ++n_;
  }
  std::size_t n() const { return n_; }
  std::vector<Neighbor>& of(std::size_t query) { return found_[query]; }

 private:
  FoundRows found_;
  std::size_t n_ = 0;
};

// One thread's counts.
class CountedRows {
 public:
  explicit CountedRows(std::size_t n_queries) : counts_(n_queries) {}

  void add(std::size_t query, std::int32_t, std::int64_t) { ++counts_[query]; }
  std::int64_t of(std::size_t query) const { return counts_[query]; }

 private:
  std::vector<std::int64_t> counts_;
};

class RangeScan {
 public:
  RangeScan(const Kernels& kernels, const Segments<std::uint8_t>& codes, const Queries& queries,
            std::span<const std::int64_t> limits, const RangeOptions& options)
      : kernels_(kernels),
        codes_(codes),
        masked_{codes, options.mask, options.first_row},
        n_rows_(masked_.count(0, codes.n_rows())),
        queries_(queries),
        limits_(limits.begin(), limits.end()),
        options_(options) {
    const std::int64_t farthest = max_distance(codes.n_columns(), queries.weighted());
    for (auto& limit : limits_) {
      if (limit < 0) limit = kAdmitNone;
      if (limit >= farthest) limit = kAdmitAll;
    }
  }

  FoundRows find_all() const {
    FoundRows found(queries_.codes.n_rows);
    for_each_batch([&](std::size_t begin, std::size_t end, std::size_t n_threads) {
      auto kept = scan_batch<KeptRows>(begin, end, n_threads);
      join(kept, codes_.n_rows(), n_threads, found.data() + begin, end - begin);
    });
    return found;
  }

  void count_all(std::int64_t* counts) const {
    std::fill(counts, counts + queries_.codes.n_rows, 0);
    for_each_batch([&](std::size_t begin, std::size_t end, std::size_t n_threads) {
      for (const CountedRows& counted : scan_batch<CountedRows>(begin, end, n_threads)) {
        for (std::size_t i = begin; i < end; ++i) counts[i] += counted.of(i - begin);
      }
    });
  }

  RangePart find_part(std::size_t most_found) const {
    // When more is found than is wanted, each thread is amid a piece, which it finishes.
    constexpr std::size_t kPiecesOfMost = 16;
    constexpr std::size_t kMostPieces = 1 << 16;
    const std::size_t n_queries = queries_.codes.n_rows;
    RangePart part = {.found = FoundRows(n_queries), .n_rows = codes_.n_rows()};
    if (finds_none(0, n_queries)) return part;
    const std::size_t piece = std::clamp<std::size_t>(most_found / kPiecesOfMost / n_queries, 1,
                                                      rows_per_scan_piece(codes_, n_rows_));
    const std::size_t n_pieces = std::min(ceil_divide(codes_.n_rows(), piece), kMostPieces);
    const std::size_t n_rows = std::min(codes_.n_rows(), n_pieces * piece);
    const std::size_t n_threads = threads_worth(n_queries);
    const QueryBatch batch(queries_, 0, n_queries);
    std::vector<std::size_t> n_found(n_pieces);  // of each piece
    std::atomic<std::size_t> n_all{0};
    Pieces pieces(n_pieces);
    auto kept = on_threads<KeptRows>(
        batch, 0, std::min(n_threads, n_pieces), [&](HitScan& scan, KeptRows& rows) {
          pieces.work([&](std::size_t i) {
            const std::size_t before = rows.n();
            scan_piece(scan, rows, i * piece, std::min((i + 1) * piece, n_rows));
            n_found[i] = rows.n() - before;
            if (n_all.fetch_add(n_found[i]) + n_found[i] > most_found) pieces.stop();
          });
        });
    // Pieces are begun in order, and each that was begun is done.
    std::size_t n_done = 0;
    for (std::size_t n = 0; n_done < n_pieces && n + n_found[n_done] <= most_found; ++n_done) {
      n += n_found[n_done];
    }
    part.n_rows = std::min(n_rows, n_done * piece);
    join(kept, part.n_rows, n_threads, part.found.data(), n_queries);
    return part;
  }

 private:
  std::size_t threads_worth(std::size_t n_queries) const {
    return threads_worth_scanning(n_rows_, codes_.n_columns(), n_queries, options_.n_threads);
  }

  bool finds_none(std::size_t begin, std::size_t end) const {
    return n_rows_ == 0 || std::all_of(limits_.data() + begin, limits_.data() + end,
                                       [](std::int64_t limit) { return limit == kAdmitNone; });
  }

  // Calls body(begin, end, n_threads) for batches of queries, which it scans on so many threads.
  // Where there are fewer pieces of rows than threads, these share the queries.
  template <class Body>
  void for_each_batch(Body&& body) const {
    const std::size_t n_queries = queries_.codes.n_rows;
    if (n_queries == 0 || n_rows_ == 0) return;
    const std::size_t n_bytes = codes_.n_columns();
    const std::size_t batch = std::clamp<std::size_t>(
        most_queries_in_groups(kernels_, n_bytes, queries_.weighted()), 1, kMaxBatchQueries);
    const std::size_t n_pieces = ceil_divide(codes_.n_rows(), rows_per_scan_piece(codes_, n_rows_));
    if (n_pieces < options_.n_threads && n_queries > 1) {
      const std::size_t share = std::min(batch, ceil_divide(n_queries, options_.n_threads));
      for_each_piece(n_queries, share, threads_worth(n_queries),
                     [&](std::size_t begin, std::size_t end) {
                       if (!finds_none(begin, end)) body(begin, end, 1);
                     });
      return;
    }
    for (std::size_t begin = 0; begin < n_queries; begin += batch) {
      const std::size_t end = std::min(begin + batch, n_queries);
      if (!finds_none(begin, end)) body(begin, end, threads_worth(end - begin));
    }
  }

  // Scans all rows for queries [begin, end). Returns what each thread that took part has made.
  template <class Rows>
  std::vector<Rows> scan_batch(std::size_t begin, std::size_t end, std::size_t n_threads) const {
    const QueryBatch batch(queries_, begin, end);
    const std::size_t piece = rows_per_scan_piece(codes_, n_rows_);
    const std::size_t n_pieces = ceil_divide(codes_.n_rows(), piece);
    Pieces pieces(n_pieces);
    return on_threads<Rows>(
        batch, begin, std::min(n_threads, n_pieces), [&](HitScan& scan, Rows& rows) {
          pieces.work([&](std::size_t i) {
            scan_piece(scan, rows, i * piece, std::min((i + 1) * piece, codes_.n_rows()));
          });
        });
  }

  // Calls body(scan, rows) on so many threads, for a batch that begins with query `first`.
  template <class Rows, class Body>
  std::vector<Rows> on_threads(const QueryBatch& batch, std::size_t first, std::size_t n_threads,
                               Body&& body) const {
    const ScanShape shape = {batch.size(), n_rows_, codes_.n_columns(), n_threads,
                             batch.weighted()};
    std::mutex mutex;
    std::vector<Rows> made;
    made.reserve(n_threads);
    run_on_threads(n_threads, [&] {
      HitScan scan(kernels_, masked_, batch, shape, options_.method, *options_.costs);
      for (std::size_t i = 0; i < batch.size(); ++i) scan.limit(i) = limits_[first + i];
      Rows rows(batch.size());
      body(scan, rows);
      const std::lock_guard lock(mutex);
      made.push_back(std::move(rows));
    });
    return made;
  }

  template <class Rows>
  static void scan_piece(HitScan& scan, Rows& rows, std::size_t begin, std::size_t end) {
    scan.scan(begin, end, [&rows](std::size_t query, std::int32_t distance, std::int64_t row) {
      rows.add(query, distance, row);
    });
  }

  // Joins and sorts the rows below `n_rows` that threads have kept for each query.
  void join(std::vector<KeptRows>& kept, std::size_t n_rows, std::size_t n_threads,
            std::vector<Neighbor>* found, std::size_t n_queries) const {
    const ByDistanceThenId order{options_.ids};
    for_each_piece(n_queries, 1, n_threads, [&](std::size_t query, std::size_t) {
      std::vector<Neighbor>& all = found[query];
      Checkpoint checkpoint(kValuesBetweenChecks);
      for (KeptRows& rows : kept) {
        std::vector<Neighbor> some = std::move(rows.of(query));
        if (n_rows < codes_.n_rows()) {
          std::erase_if(some, [n_rows](Neighbor one) {
            return static_cast<std::size_t>(one.row()) >= n_rows;
          });
        }
        checkpoint.did(some.size());
        if (all.empty()) {
          all = std::move(some);
        } else {
          all.insert(all.end(), some.begin(), some.end());
        }
      }
      if (all.size() > 1) sort_neighbors(all, order);
    });
  }

  const Kernels& kernels_;
  Segments<std::uint8_t> codes_;
  MaskedRows masked_;
  std::size_t n_rows_;  // that take part
  const Queries& queries_;
  std::vector<std::int64_t> limits_;
  const RangeOptions& options_;
};

}  // namespace

MethodCostTable& range_method_costs() {
  static MethodCostTable table;
  return table;
}

FoundRows range_scan(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                     const Queries& queries, std::span<const std::int64_t> limits,
                     const RangeOptions& options) {
  return RangeScan(kernels, codes, queries, limits, options).find_all();
}

void count_range(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                 const Queries& queries, std::span<const std::int64_t> limits,
                 const RangeOptions& options, std::int64_t* counts) {
  RangeScan(kernels, codes, queries, limits, options).count_all(counts);
}

RangePart range_scan_part(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                          const Queries& queries, std::span<const std::int64_t> limits,
                          std::size_t most_found, const RangeOptions& options) {
  const std::size_t n_queries = queries.codes.n_rows;
  if (n_queries > kMaxBatchQueries || n_queries > most_found) {
    throw std::invalid_argument("a part is of at most 256 queries, and of a row for each");
  }
  return RangeScan(kernels, codes, queries, limits, options).find_part(most_found);
}

}  // namespace bitsift
