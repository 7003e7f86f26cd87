// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bitsift {

// How many distances there are of each size, and which one a given number of them reach: known at
// every moment, for a few instructions a distance. Where distances are many, neighbouring ones are
// counted together.
class DistanceCounts {
 public:
  // Watches the distances that `k` and that `share` of those added reach; both at least 1.
  DistanceCounts(std::int32_t max_distance, std::size_t k, std::size_t share)
      : shift_(
            std::max(0, static_cast<int>(std::bit_width(static_cast<std::uint32_t>(max_distance))) -
                            kMaxBinBits)),
        counts_((static_cast<std::size_t>(max_distance) >> shift_) + 1),
        all_{k, counts_.size() - 1},
        share_{share, counts_.size() - 1} {}

  // Whether distances that are counted together are equal.
  bool is_exact() const { return shift_ == 0; }

  // Returns whether one of the two has changed.
  bool add(std::int32_t distance) {
    const std::size_t bin = static_cast<std::size_t>(distance) >> shift_;
    ++counts_[bin];
    const bool all_changed = all_.add(counts_, bin);
    return share_.add(counts_, bin) || all_changed;
  }

  // The farthest of the best k, or of what is counted with it.
  bool has_k() const { return all_.is_reached(); }
  std::int32_t distance_of_k() const { return upper(all_.bin); }
  bool has_share() const { return share_.is_reached(); }
  std::int32_t distance_of_share() const { return upper(share_.bin); }

  // Forgets all but the best k.
  void cut() {
    const std::size_t n = all_.total - all_.wanted;
    counts_[all_.bin] -= static_cast<std::uint32_t>(n);
    all_.total -= n;
    if (share_.bin == all_.bin) share_.total -= n;
  }

 private:
  static constexpr int kMaxBinBits = 10;

  // Goes down to the bin in which `wanted` of the distances end.
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

  std::int32_t upper(std::size_t bin) const {
    return static_cast<std::int32_t>(((bin + 1) << shift_) - 1);
  }

  int shift_;
  std::vector<std::uint32_t> counts_;
  Cursor all_;
  Cursor share_;
};

}  // namespace bitsift
