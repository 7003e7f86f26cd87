// SPDX-License-Identifier: Apache-2.0
// Which kernel scans: there are several that give the same hits, and which is fastest depends on
// the number of queries, on the length of codes, and on what the neighbours on the machine do. So
// each piece of a scan is timed, and the next one goes to the method that has been fastest lately.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/kernels.hpp"

namespace bitsift {

enum class Method : std::uint8_t {
  kRows,     // each query by itself, documents as they lie
  kBatch,    // Kernels::batch
  kProduct,  // Kernels::product
};
inline constexpr std::size_t kMethods = 3;

// The methods that can do a work and are worth a try, the one to begin with first.
class Candidates {
 public:
  Candidates(const Kernels& kernels, std::size_t n_queries, std::size_t n_bytes, bool weighted);

  std::span<const Method> all() const { return {methods_, n_}; }
  Method first() const { return methods_[0]; }

 private:
  Method methods_[kMethods];
  std::size_t n_ = 0;
};

// What the methods have cost lately on works of one shape, for the whole process: no result depends
// on it. Threads may use it at once.
class MethodCosts {
 public:
  static MethodCosts& of(const Kernels& kernels, std::size_t n_queries, std::size_t n_bytes,
                         bool weighted);

  // The method to use next: the cheapest so far, and at times another, to see whether it still is.
  Method next(const Candidates& candidates);
  // The cheapest so far, for works too small to be timed.
  Method best(const Candidates& candidates) const;
  // `seconds` for each pair of a query and a row.
  void learn(Method method, double seconds);

 private:
  float cost(Method method) const {
    return costs_[static_cast<std::size_t>(method)].load(std::memory_order_relaxed);
  }

  bool is_known(Method method) const;

  std::atomic<float> costs_[kMethods] = {};  // 0: not known
  std::atomic<std::uint32_t> n_learned_[kMethods] = {};
  std::atomic<std::uint32_t> turn_{0};
};

}  // namespace bitsift
