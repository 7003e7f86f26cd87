// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/checked_order.hpp"
#include "kernels/kernels.hpp"
#include "search/distance_counts.hpp"
#include "search/neighbor.hpp"
#include "search/sort_neighbors.hpp"

namespace bitsift {

// The order in which rows are offered to a TopK. If it is ascending and there are no ids, a later
// row loses every tie.
enum class Arrival : std::uint8_t { kAscending, kAnyOrder };

// Asks a TopK to count distances, none of which exceeds `max_distance`. distance_of_best() may then
// be asked for `share` only.
struct Counting {
  std::int32_t max_distance;
  std::size_t share;
};

// The k best of the rows offered, kept in one of three ways:
// * A small k: sorted.
// * A larger k: appended to a buffer that is cut back whenever it is full, at constant amortised
//   cost for any k and any order of distances. The limit is known only after each cut.
// * A larger k with Counting: the same, but counts of the distances tell the limit at every moment,
//   so it admits few more rows than a heap would, at lower cost. Counts take memory, and tell
//   nothing before `share` rows are kept: they are made then.
class TopK {
 public:
  TopK(std::size_t k, std::size_t n_rows, ByDistanceThenId order,
       Arrival arrival = Arrival::kAscending)
      : k_(std::min(k, n_rows)),
        order_(order),
        ties_lose_(order.ids.are_numbers() && arrival == Arrival::kAscending) {
    kept_.reserve(keeps_sorted() ? k_ : std::min(k_ + k_ / 2, n_rows));
    if (k_ == 0) limit_ = kAdmitNone;
  }
  // Rows are offered in ascending order. A small k needs no counts, and makes none.
  TopK(std::size_t k, std::size_t n_rows, ByDistanceThenId order, Counting counting)
      : TopK(k, n_rows, order) {
    if (keeps_sorted()) return;
    counting_ = {.max_distance = counting.max_distance,
                 .share = std::max<std::size_t>(counting.share, 1)};
    room_ = k_ + std::max(k_, kLeastRoom);
    kept_.reserve(std::min(room_, n_rows));
  }

  // Rows beyond this distance need not be offered.
  std::int64_t limit() const { return limit_; }

  // Returns whether limit() or distance_of_best() has changed.
  bool offer(std::int32_t distance, std::int64_t row) {
    if (distance > limit_) return false;
    const Neighbor neighbor(distance, row);
    if (neighbor.key() > worst_) return false;
    if (keeps_sorted()) return insert(neighbor);
    return counting_ ? append_counted(neighbor) : append(neighbor);
  }

  // Rows that are kept, the k best of those offered among them.
  std::size_t size() const { return kept_.size(); }

  // The distance of the n-th best row offered so far, n <= k, or a little more. To be asked after
  // a change of the limit.
  std::int64_t distance_of_best(std::size_t n) {
    if (counting_) return counts_->has_share() ? counts_->distance_of_share() : kAdmitAll;
    const auto nth = kept_.begin() + static_cast<std::ptrdiff_t>(n) - 1;
    if (!keeps_sorted()) part_at(nth);
    return nth->distance();
  }

  void take(const TopK& other) {
    kept_.reserve(kept_.size() + other.kept_.size());
    for (std::size_t i = 0; i < other.kept_.size(); i += kValuesBetweenChecks) {
      if (i > 0) check_interruption();
      const auto begin = other.kept_.begin() + static_cast<std::ptrdiff_t>(i);
      const std::size_t n = std::min(kValuesBetweenChecks, other.kept_.size() - i);
      kept_.insert(kept_.end(), begin, begin + static_cast<std::ptrdiff_t>(n));
    }
  }

  // The best k, in order. Nothing may be offered after it.
  const std::vector<Neighbor>& sorted() {
    if (!order_.ids.are_numbers() && kept_.size() > k_) cut();
    sort_neighbors(kept_, order_);
    kept_.resize(std::min(k_, kept_.size()));
    return kept_;
  }

 private:
  bool keeps_sorted() const { return k_ <= kMostSorted; }

  bool insert(Neighbor neighbor) {
    if (kept_.size() < k_) {
      kept_.push_back(neighbor);
    } else if (order_(kept_.back(), neighbor)) {
      return false;
    }
    std::size_t i = kept_.size() - 1;
    for (; i > 0 && order_(neighbor, kept_[i - 1]); --i) kept_[i] = kept_[i - 1];
    kept_[i] = neighbor;
    if (kept_.size() < k_) return false;
    lower_limit(kept_.back());
    return true;
  }

  bool append(Neighbor neighbor) {
    kept_.push_back(neighbor);
    if (kept_.size() < kept_.capacity() || kept_.size() <= k_) return false;
    cut();
    return true;
  }

  bool append_counted(Neighbor neighbor) {
    kept_.push_back(neighbor);
    bool changed = counts_ ? counts_->add(neighbor.distance()) : count_kept();
    if (changed && counts_->has_k()) {
      // If ties lose, k rows at this distance or nearer are enough.
      const bool enough = ties_lose_ && counts_->is_exact();
      limit_ = std::min<std::int64_t>(limit_, counts_->distance_of_k() - (enough ? 1 : 0));
    }
    if (kept_.size() == room_) {
      make_room();
      changed = true;
    }
    return changed;
  }

  // Begins to count, if the counts will tell anything. Returns whether they do.
  bool count_kept() {
    if (kept_.size() < counting_->share) return false;
    counts_.emplace(counting_->max_distance, k_, counting_->share);
    for (const Neighbor one : kept_) counts_->add(one.distance());
    return true;
  }

  void make_room() {
    const std::int32_t farthest = counts_->distance_of_k();
    Checkpoint checkpoint(kValuesBetweenChecks);
    std::erase_if(kept_, [&](Neighbor one) {
      checkpoint.did(1);
      return one.distance() > farthest;
    });
    // Many rows share the bin of the farthest: counts alone do not make room.
    if (kept_.size() - k_ > (room_ - k_) / 2) {
      counts_->cut();
      cut();
    }
  }

  void cut() {
    if (k_ > 0) {
      const auto last = kept_.begin() + static_cast<std::ptrdiff_t>(k_) - 1;
      part_at(last);
      lower_limit(*last);
    }
    kept_.resize(k_);
  }

  // Brings the neighbor that belongs at `nth` there, better ones before it, the others behind it.
  void part_at(std::vector<Neighbor>::iterator nth) {
    with_checks(kept_.size(), order_, [&](const auto& order) {
      std::nth_element(kept_.begin(), nth, kept_.end(), order);
    });
  }

  void lower_limit(Neighbor worst) {
    limit_ = worst.distance() - (ties_lose_ ? 1 : 0);
    if (order_.ids.are_numbers()) worst_ = worst.key();
  }

  // Up to this k, moving neighbors costs less than cutting a buffer back.
  static constexpr std::size_t kMostSorted = 24;
  static constexpr std::size_t kLeastRoom = 64;

  std::size_t k_;
  ByDistanceThenId order_;
  bool ties_lose_;
  std::vector<Neighbor> kept_;
  std::size_t room_ = 0;  // with counts: the size at which kept_ is cut back
  std::optional<Counting> counting_;
  std::optional<DistanceCounts> counts_;
  std::int64_t limit_ = kAdmitAll;
  std::uint64_t worst_ = UINT64_MAX;  // without ids: keys above it lose, also in a tie
};

// Writes the best of a query, in order, and fills up to `k` with row -1 and the largest int32.
inline void write_best(TopK& best, std::size_t k, Checkpoint& checkpoint, std::int32_t* distances,
                       std::int64_t* rows) {
  const std::vector<Neighbor>& sorted = best.sorted();
  for (std::size_t begin = 0; begin < k; begin += kValuesBetweenChecks) {
    const std::size_t end = std::min(k, begin + kValuesBetweenChecks);
    checkpoint.did(end - begin);
    std::size_t n = begin;
    for (; n < std::min(end, sorted.size()); ++n) {
      distances[n] = sorted[n].distance();
      rows[n] = sorted[n].row();
    }
    std::fill(distances + n, distances + end, std::numeric_limits<std::int32_t>::max());
    std::fill(rows + n, rows + end, -1);
  }
}

}  // namespace bitsift
