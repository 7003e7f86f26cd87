// SPDX-License-Identifier: Apache-2.0
// The cheapest of several ways to do one kind of work, by what each has cost lately.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace bitsift {

// `Way` is an enumeration of kWays. No result may depend on the way. Thread-safe.
template <class Way, std::size_t kWays>
class RecentCosts {
 public:
  // The way to use next: the cheapest so far, and at times another one, to measure it again. The
  // first of `ways` is the one to begin with.
  Way next(std::span<const Way> ways) {
    if (ways.size() == 1) return ways[0];
    for (const Way way : ways) {
      if (!is_known(way)) return way;
    }
    const Way cheapest = best(ways);
    const std::uint32_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
    for (const Way way : ways) {
      // Other threads may have changed either cost since: `turns` must not come out as 0 or NaN.
      const float ratio = cost(way) / std::max(cost(cheapest), kLeastCost);
      const float turns = std::min(std::max(1.0f, kTurnsPerTrial * ratio), kMostTurnsPerTrial);
      // Each way has turns of its own: 1, 2, ... after a multiple of `turns`.
      if (way != cheapest &&
          turn % static_cast<std::uint32_t>(turns) == static_cast<std::uint32_t>(way) + 1) {
        return way;
      }
    }
    return cheapest;
  }

  // The cheapest so far, for work too small to be timed.
  Way best(std::span<const Way> ways) const {
    Way best = ways[0];
    for (const Way way : ways) {
      const float known = cost(way);
      if (known != 0 && cost(best) != 0 && known < cost(best)) best = way;
    }
    return best;
  }

  // `seconds` for a unit of work. Decreases are averaged in quickly, increases slowly: slowdowns
  // are often temporary.
  void learn(Way way, double seconds) {
    const auto i = static_cast<std::size_t>(way);
    const std::uint32_t n = n_learned_[i].load(std::memory_order_relaxed);
    if (n < kFirstTrials) n_learned_[i].store(n + 1, std::memory_order_relaxed);
    const float old = cost(way);
    const float now = std::max(kLeastCost, static_cast<float>(seconds));
    float used = now;
    if (n > 0 && n < kFirstTrials) used = std::min(old, now);
    if (n >= kFirstTrials) {
      used = now < old ? 0.5f * (old + now) : 0.875f * old + 0.125f * std::min(now, 2 * old);
    }
    costs_[i].store(used, std::memory_order_relaxed);
  }

 private:
  // A rival that costs r times as much as the cheapest way gets one turn in 64 r. So each rival
  // takes about 1/64 of the time.
  static constexpr float kTurnsPerTrial = 64;
  // But it gets at least one turn in this many, or it would hardly be measured again. So a rival
  // with r > 128 takes more than 1/64.
  static constexpr float kMostTurnsPerTrial = 8192;
  static constexpr float kLeastCost = 1e-30f;  // 0 says that a cost is not known
  // A thread may be interrupted while it measures: the first cost is the least of this many.
  static constexpr std::uint32_t kFirstTrials = 4;

  float cost(Way way) const {
    return costs_[static_cast<std::size_t>(way)].load(std::memory_order_relaxed);
  }
  bool is_known(Way way) const {
    return n_learned_[static_cast<std::size_t>(way)].load(std::memory_order_relaxed) >=
           kFirstTrials;
  }

  std::atomic<float> costs_[kWays] = {};  // 0: not known
  std::atomic<std::uint32_t> n_learned_[kWays] = {};
  std::atomic<std::uint32_t> turn_{0};
};

}  // namespace bitsift
