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

enum class ScanMethod : std::uint8_t {
  kRows,     // each query by itself, documents as they lie
  kBatch,    // Kernels::batch
  kProduct,  // Kernels::product
};
inline constexpr std::size_t kScanMethods = 3;

// The methods that can do a work and are worth a try, the one to begin with first.
class EligibleMethods {
 public:
  EligibleMethods(const Kernels& kernels, std::size_t n_queries, std::size_t n_bytes,
                  bool weighted);

  std::span<const ScanMethod> all() const { return {methods_, n_}; }
  ScanMethod first() const { return methods_[0]; }

 private:
  ScanMethod methods_[kScanMethods];
  std::size_t n_ = 0;
};

// What the methods have cost lately on works of one shape, for the whole process: no result depends
// on it. Threads may use it at once.
class MethodCosts {
 public:
  static MethodCosts& of(const Kernels& kernels, std::size_t n_queries, std::size_t n_bytes,
                         bool weighted);

  // The method to use next: the cheapest so far, and at times another, to see whether it still is.
  ScanMethod next(const EligibleMethods& eligible);
  // The cheapest so far, for works too small to be timed.
  ScanMethod best(const EligibleMethods& eligible) const;
  // `seconds` for each pair of a query and a row.
  void learn(ScanMethod method, double seconds);

 private:
  float cost(ScanMethod method) const {
    return costs_[static_cast<std::size_t>(method)].load(std::memory_order_relaxed);
  }

  bool is_known(ScanMethod method) const;

  std::atomic<float> costs_[kScanMethods] = {};  // 0: not known
  std::atomic<std::uint32_t> n_learned_[kScanMethods] = {};
  std::atomic<std::uint32_t> turn_{0};
};

}  // namespace bitsift
