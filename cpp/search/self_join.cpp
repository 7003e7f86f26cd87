// SPDX-License-Identifier: Apache-2.0
// Compares every row with every other. Distances are symmetric, so each is computed once and
// offered to both rows: half the work of a search. Rows are taken in blocks; a thread holds one
// block as queries and goes through all later blocks as documents.
#include "search/self_join.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/thread_pool.hpp"
#include "search/query_batch.hpp"
#include "search/scan_method.hpp"
#include "search/tile.hpp"
#include "search/topk.hpp"

namespace bitsift {
namespace {

using Clock = std::chrono::steady_clock;

// The rows of a block as queries and the neighbors kept for two blocks stay in L2. A multiple of
// the rows and queries that kernels take at once.
constexpr std::size_t kJoinBlockRows = 512;
static_assert(kJoinBlockRows % kMaxTileRows == 0 && kJoinBlockRows % kMaxGroupQueries == 0);

// The best neighbors of a block's rows. Threads share blocks: lock the mutex.
struct Block {
  std::mutex mutex;
  std::vector<TopK> best;
};

// Of the scan of one block for the rows of another.
ScanShape shape_of_block(Matrix<std::uint8_t> codes) {
  return {kJoinBlockRows, kJoinBlockRows, codes.n_columns, 1, false};
}

class SelfJoin {
 public:
  SelfJoin(const Kernels& kernels, Matrix<std::uint8_t> codes, std::size_t k,
           JoinProgress* progress, MethodCostTable& costs)
      : kernels_(kernels),
        codes_(codes),
        k_(std::min(k, codes.n_rows - 1)),
        progress_(progress),
        n_blocks_((codes.n_rows + kJoinBlockRows - 1) / kJoinBlockRows),
        blocks_(std::make_unique<Block[]>(n_blocks_)),
        costs_(costs.costs_of(kernels, shape_of_block(codes))),
        eligible_(kernels, shape_of_block(codes)) {
    if (progress != nullptr) progress->n_all = n_pairs(codes.n_rows);
  }

  void run(std::size_t n_threads, std::int32_t* distances, std::int64_t* rows, std::size_t k) {
    // Each block is joined with itself first: then every row has a limit before it meets others.
    for_each_piece(n_blocks_, 1, n_threads, [&](std::size_t block, std::size_t) {
      blocks_[block].best.reserve(size_of(block));
      for (std::size_t i = 0; i < size_of(block); ++i) {
        blocks_[block].best.emplace_back(k_, codes_.n_rows, ByDistanceThenId{nullptr},
                                         Arrival::kAnyOrder);
      }
      Worker(*this, block).join(block);
    });
    for_each_piece(n_blocks_, 1, n_threads, [&](std::size_t block, std::size_t) {
      Worker worker(*this, block);
      for (std::size_t other = block + 1; other < n_blocks_; ++other) worker.join(other);
    });
    for_each_piece(n_blocks_, 1, n_threads, [&](std::size_t block, std::size_t) {
      Checkpoint checkpoint(kValuesBetweenChecks);
      for (std::size_t i = 0; i < size_of(block); ++i) {
        const std::size_t row = block * kJoinBlockRows + i;
        write_best(blocks_[block].best[i], k, checkpoint, distances + row * k, rows + row * k);
      }
    });
  }

 private:
  // Joins one block, as queries, with others, on one thread.
  class Worker {
   public:
    Worker(SelfJoin& join, std::size_t block)
        : join_(join),
          block_(block),
          batch_({.codes = join.codes_}, block * kJoinBlockRows,
                 block * kJoinBlockRows + join.size_of(block)) {
      std::fill(std::begin(limits_), std::end(limits_), kAdmitNone);
      std::fill(std::begin(other_limits_), std::end(other_limits_), kAdmitNone);
    }

    void join(std::size_t other) {
      check_interruption();
      const ScanMethod method = join_.costs_.next(join_.eligible_.all());
      const auto start = Clock::now();
      const BatchKernel& kernel = method == ScanMethod::kBatch
                                      ? batch_kernel(join_.kernels_, join_.codes_.n_columns, false)
                                      : *join_.kernels_.product;
      copy_limits(block_, limits_);
      if (other != block_) copy_limits(other, other_limits_);
      const std::size_t n_hits = scan(kernel, other);
      offer(other, n_hits);
      const std::chrono::duration<double> seconds = Clock::now() - start;
      join_.costs_.learn(method, seconds.count() / (kJoinBlockRows * kJoinBlockRows));
      join_.report(other == block_ ? n_pairs(join_.size_of(block_))
                                   : join_.size_of(block_) * join_.size_of(other));
    }

   private:
    void copy_limits(std::size_t block, std::int64_t* limits) {
      Block& shared = join_.blocks_[block];
      const std::lock_guard lock(shared.mutex);
      for (std::size_t i = 0; i < shared.best.size(); ++i) limits[i] = shared.best[i].limit();
    }

    // Finds the hits of block_ as queries and `other` as documents. Their rows count from the
    // beginning of `other`.
    std::size_t scan(const BatchKernel& kernel, std::size_t other) {
      if (!tile_ || kernel_ != &kernel) {
        tile_.emplace(kernel, join_.codes_.n_columns);
        kernel_ = &kernel;
      }
      const std::size_t begin = other * kJoinBlockRows;
      const std::size_t n_bytes = join_.codes_.n_columns;
      std::size_t n_hits = 0;
      for_each_tile(
          kernel, begin, begin + join_.size_of(other), [&](std::size_t first, std::size_t n_rows) {
            tile_->fill(join_.codes_, first, n_rows);
            const auto in_block = static_cast<std::uint32_t>(first - begin);
            for_each_slice(kernel, batch_, n_bytes, checkpoint_, [&](const GroupSlice& slice) {
              const std::size_t n = kernel.scan(
                  tile_->get(), n_rows, n_bytes, slice.groups, slice.n_groups,
                  limits_ + slice.first_query, other == block_ ? nullptr : other_limits_ + in_block,
                  hits_.get() + n_hits);
              for (std::size_t i = 0; i < n; ++i) {
                hits_[n_hits + i].query += static_cast<std::uint32_t>(slice.first_query);
                hits_[n_hits + i].row += in_block;
              }
              n_hits += n;
            });
          });
      return n_hits;
    }

    void offer(std::size_t other, std::size_t n_hits) {
      Block& ours = join_.blocks_[block_];
      const auto first = static_cast<std::int64_t>(block_ * kJoinBlockRows);
      if (other == block_) {
        // Each pair is among the hits twice, and each row with itself.
        const std::lock_guard lock(ours.mutex);
        for (std::size_t i = 0; i < n_hits; ++i) {
          const Hit& hit = hits_[i];
          if (hit.query != hit.row) ours.best[hit.query].offer(hit.distance, first + hit.row);
        }
        return;
      }
      Block& theirs = join_.blocks_[other];
      const auto other_first = static_cast<std::int64_t>(other * kJoinBlockRows);
      {
        const std::lock_guard lock(ours.mutex);
        for (std::size_t i = 0; i < n_hits; ++i) {
          const Hit& hit = hits_[i];
          // Limits of rows also admit the padding of the last group of queries.
          if (hit.query < ours.best.size()) {
            ours.best[hit.query].offer(hit.distance, other_first + hit.row);
          }
        }
      }
      const std::lock_guard lock(theirs.mutex);
      for (std::size_t i = 0; i < n_hits; ++i) {
        const Hit& hit = hits_[i];
        if (hit.query < batch_.size()) theirs.best[hit.row].offer(hit.distance, first + hit.query);
      }
    }

    SelfJoin& join_;
    std::size_t block_;
    QueryBatch batch_;
    std::optional<Tile> tile_;
    const BatchKernel* kernel_ = nullptr;
    Checkpoint checkpoint_{kBytesBetweenChecks};
    std::int64_t limits_[kJoinBlockRows];
    std::int64_t other_limits_[kJoinBlockRows];
    std::unique_ptr<Hit[]> hits_ =
        std::make_unique_for_overwrite<Hit[]>(kJoinBlockRows * kJoinBlockRows);
  };

  static std::uint64_t n_pairs(std::uint64_t n_rows) { return n_rows * (n_rows - 1) / 2; }

  std::size_t size_of(std::size_t block) const {
    return std::min(kJoinBlockRows, codes_.n_rows - block * kJoinBlockRows);
  }

  void report(std::size_t n_pairs) {
    if (progress_ != nullptr) progress_->n_done.fetch_add(n_pairs, std::memory_order_relaxed);
  }

  const Kernels& kernels_;
  Matrix<std::uint8_t> codes_;
  std::size_t k_;
  JoinProgress* progress_;
  std::size_t n_blocks_;
  std::unique_ptr<Block[]> blocks_;
  MethodCosts& costs_;
  EligibleMethods eligible_;
};

}  // namespace

void self_join(const Kernels& kernels, Matrix<std::uint8_t> codes, std::size_t k,
               std::size_t n_threads, std::int32_t* distances, std::int64_t* rows,
               JoinProgress* progress, MethodCostTable& costs) {
  if (k == 0 || codes.n_rows == 0) return;
  SelfJoin(kernels, codes, k, progress, costs).run(n_threads, distances, rows, k);
}

}  // namespace bitsift
