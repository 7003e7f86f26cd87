// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "kernels/dispatch.hpp"
#include "search/scan_method.hpp"

namespace bitsift::test {

// The ways to scan that tests try on a level: the scan's own choice, and each kind of loop.
// Products only where the processor has them.
inline std::vector<std::optional<ScanMethod>> scan_methods(const Kernels& kernels) {
  std::vector<std::optional<ScanMethod>> methods = {std::nullopt, ScanMethod::kRows,
                                                    ScanMethod::kRowsAhead, ScanMethod::kBatch};
  if (find_kernels(kernels.name) != nullptr && kernels.product != nullptr) {
    methods.emplace_back(ScanMethod::kProduct);
  }
  return methods;
}

}  // namespace bitsift::test
