// SPDX-License-Identifier: Apache-2.0
#include "search/scan_method.hpp"

#include <algorithm>
#include <bit>

namespace bitsift {
namespace {

// Up to this number of queries, scanning for each query by itself may win: it transposes nothing,
// and rows stay in a cache from one query to the next.
constexpr std::size_t kMostRowQueries = 16;
// A rival that costs r times as much as the cheapest method gets one turn in 64 r. So each rival
// takes about 1/64 of the time.
constexpr float kTurnsPerTrial = 64;
// But it gets at least one turn in this many, or it would hardly be measured again. So a rival with
// r > 128 takes more than 1/64.
constexpr float kMostTurnsPerTrial = 8192;
// Fewer bytes of codes may lie in a cache from one scan to the next.
constexpr std::size_t kUncachedBytes = std::size_t{1} << 24;
constexpr float kLeastCost = 1e-30f;  // 0 says that a cost is not known
// A thread may be interrupted while it measures: the first cost is the least of this many.
constexpr std::uint32_t kFirstTrials = 4;

bool lies_in_memory(const ScanShape& shape) {
  return shape.n_rows >= kUncachedBytes / shape.n_bytes;
}

}  // namespace

EligibleMethods::EligibleMethods(const Kernels& kernels, const ScanShape& shape) {
  const std::size_t n_queries = shape.n_queries;
  if (n_queries > 1) {
    methods_[n_++] = ScanMethod::kBatch;
    if (kernels.product != nullptr) methods_[n_++] = ScanMethod::kProduct;
  }
  // More queries find the rows in a cache.
  if (lies_in_memory(shape) && n_queries <= (shape.weighted ? 1 : kMaxRowQueries)) {
    methods_[n_++] = ScanMethod::kRowsAhead;
    methods_[n_++] = ScanMethod::kRowsFarAhead;
  }
  if (n_queries <= kMostRowQueries) methods_[n_++] = ScanMethod::kRows;
  if (n_queries < batch_kernel(kernels, shape.n_bytes, shape.weighted).least_queries) {
    std::swap(methods_[0], methods_[n_ - 1]);
  }
}

MethodCosts& MethodCostTable::costs_of(const Kernels& kernels, const ScanShape& shape) {
  const std::size_t n_queries = shape.n_queries;
  // 1, 2, 3 and 4 queries have shapes of their own; more share one up to each power of two.
  const std::size_t query_shape =
      n_queries <= 4 ? n_queries - 1 : static_cast<std::size_t>(std::bit_width(n_queries - 1)) + 1;
  const auto byte_shape = static_cast<std::size_t>(std::bit_width(shape.n_bytes - 1));
  return costs_[static_cast<std::size_t>(kernels.isa)][shape.weighted ? 1 : 0]
               [lies_in_memory(shape) ? 1 : 0][shape.n_threads > 1 ? 1 : 0]
               [std::min(query_shape, kQueryShapes - 1)][std::min(byte_shape, kByteShapes - 1)];
}

MethodCostTable& default_method_costs() {
  static MethodCostTable table;
  return table;
}

ScanMethod MethodCosts::best(const EligibleMethods& eligible) const {
  ScanMethod best = eligible.first();
  for (const ScanMethod method : eligible.all()) {
    const float known = cost(method);
    if (known != 0 && cost(best) != 0 && known < cost(best)) best = method;
  }
  return best;
}

ScanMethod MethodCosts::next(const EligibleMethods& eligible) {
  if (eligible.all().size() == 1) return eligible.first();
  for (const ScanMethod method : eligible.all()) {
    if (!is_known(method)) return method;
  }
  const ScanMethod best = this->best(eligible);
  const std::uint32_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
  for (const ScanMethod method : eligible.all()) {
    // Other threads may have changed either cost since: `turns` must not come out as 0 or NaN.
    const float ratio = cost(method) / std::max(cost(best), kLeastCost);
    const float turns = std::min(std::max(1.0f, kTurnsPerTrial * ratio), kMostTurnsPerTrial);
    // Each method has turns of its own: 1, 2, ... after a multiple of `turns`.
    if (method != best &&
        turn % static_cast<std::uint32_t>(turns) == static_cast<std::uint32_t>(method) + 1) {
      return method;
    }
  }
  return best;
}

bool MethodCosts::is_known(ScanMethod method) const {
  return n_learned_[static_cast<std::size_t>(method)].load(std::memory_order_relaxed) >=
         kFirstTrials;
}

// Decreases are averaged in quickly, increases slowly: slowdowns are often temporary.
void MethodCosts::learn(ScanMethod method, double seconds) {
  const auto i = static_cast<std::size_t>(method);
  const std::uint32_t n = n_learned_[i].load(std::memory_order_relaxed);
  if (n < kFirstTrials) n_learned_[i].store(n + 1, std::memory_order_relaxed);
  const float old = cost(method);
  const float now = std::max(kLeastCost, static_cast<float>(seconds));
  float used = now;
  if (n > 0 && n < kFirstTrials) used = std::min(old, now);
  if (n >= kFirstTrials) {
    used = now < old ? 0.5f * (old + now) : 0.875f * old + 0.125f * std::min(now, 2 * old);
  }
  costs_[i].store(used, std::memory_order_relaxed);
}

}  // namespace bitsift
