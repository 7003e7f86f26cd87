// SPDX-License-Identifier: Apache-2.0
// Which kernel scans. Several give the same hits, and the fastest depends on the processor, on the
// number of queries, on the length of codes and where they lie, and on the load of the machine. So
// each piece of a scan is timed, and the next piece goes to the method with the lowest recent cost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/recent_costs.hpp"
#include "kernels/kernels.hpp"

namespace bitsift {

// A method is the kernel that scans.
enum class ScanMethod : std::uint8_t {
  kRows,          // each query by itself, documents as they lie
  kRowsAhead,     // the same, with prefetch instructions
  kRowsFarAhead,  // the same, which prefetch what lies farther ahead
  kBatch,         // Kernels::batch or Kernels::weighted_batch
  kProduct,       // Kernels::product
};
inline constexpr std::size_t kScanMethods = 5;

// What the fastest method depends on.
struct ScanShape {
  std::size_t n_queries;
  std::size_t n_rows;
  std::size_t n_bytes;
  std::size_t n_threads;
  bool weighted;
};

// The methods that can scan for so many queries and are worth a try, the one to begin with first.
class EligibleMethods {
 public:
  EligibleMethods(const Kernels& kernels, const ScanShape& shape);

  std::span<const ScanMethod> all() const { return {methods_, n_}; }
  ScanMethod first() const { return methods_[0]; }

 private:
  ScanMethod methods_[kScanMethods];
  std::size_t n_ = 0;
};

// The recent cost of each method for scans of one shape: seconds for each pair of a query and a
// row.
using MethodCosts = RecentCosts<ScanMethod, kScanMethods>;

// The costs of every shape of scan. Thread-safe.
class MethodCostTable {
 public:
  MethodCosts& costs_of(const Kernels& kernels, const ScanShape& shape);

 private:
  static constexpr std::size_t kQueryShapes = 12;
  static constexpr std::size_t kByteShapes = 14;

  // For each: unweighted or weighted; codes that may lie in a cache, or not; one thread, or more.
  MethodCosts costs_[kIsas][2][2][2][kQueryShapes][kByteShapes];
};

// The table that all scans of the process share unless they bring their own.
MethodCostTable& default_method_costs();

}  // namespace bitsift
