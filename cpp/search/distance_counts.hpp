// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bitsift {

// A histogram of distances that always knows its k-th and its share-th smallest distance, for a few
// instructions per distance added. If distances may be large, neighbouring ones share a bin.
class DistanceCounts {
 public:
  // `k` and `share` are at least 1.
  DistanceCounts(std::int32_t max_distance, std::size_t k, std::size_t share)
      : shift_(
            std::max(0, static_cast<int>(std::bit_width(static_cast<std::uint32_t>(max_distance))) -
                            kMaxBinBits)),
        counts_((static_cast<std::size_t>(max_distance) >> shift_) + 1),
        all_{k, counts_.size() - 1},
        share_{share, counts_.size() - 1} {}

  // Whether each distance has a bin of its own.
  bool is_exact() const { return shift_ == 0; }

  // Returns whether the k-th or the share-th smallest distance has changed.
  bool add(std::int32_t distance) {
    const std::size_t bin = static_cast<std::size_t>(distance) >> shift_;
    ++counts_[bin];
    const bool all_changed = all_.add(counts_, bin);
    return (!share_is_all() && share_.add(counts_, bin)) || all_changed;
  }

  // The k-th and the share-th smallest distance, rounded up to the largest of its bin; defined once
  // that many distances have been added.
  bool has_k() const { return all_.is_reached(); }
  std::int32_t distance_of_k() const { return upper(all_.bin); }
  bool has_share() const { return share().is_reached(); }
  std::int32_t distance_of_share() const { return upper(share().bin); }

  // Forgets all but the k smallest.
  void cut() {
    const std::size_t n = all_.total - all_.wanted;
    counts_[all_.bin] -= static_cast<std::uint32_t>(n);
    all_.total -= n;
    if (!share_is_all() && share_.bin == all_.bin) share_.total -= n;
  }

 private:
  static constexpr int kMaxBinBits = 10;

  // The bin of the wanted-th smallest distance. It only moves down.
  struct Cursor {
    std::size_t wanted;
    std::size_t bin;
    std::size_t total = 0;  // of the distances in this bin and below

    bool is_reached() const { return total >= wanted; }
    bool add(const std::vector<std::uint32_t>& counts, std::size_t added) {
      if (added > bin) return false;
      ++total;
      const std::size_t before = bin;
      while (total - counts[bin] >= wanted) total -= counts[bin--];
      return bin != before || total == wanted;
    }
  };

  // One thread's share is all: it needs one cursor.
  bool share_is_all() const { return share_.wanted == all_.wanted; }
  const Cursor& share() const { return share_is_all() ? all_ : share_; }

  std::int32_t upper(std::size_t bin) const {
    return static_cast<std::int32_t>(((bin + 1) << shift_) - 1);
  }

  int shift_;
  std::vector<std::uint32_t> counts_;
  Cursor all_;
  Cursor share_;
};

}  // namespace bitsift
