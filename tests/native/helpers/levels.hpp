// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.hpp"

namespace bitsift::test {

// The instruction sets that must be available: those named by the environment variable
// BITSIFT_EXPECT_ISA, separated by commas, or else those that the architecture guarantees and those
// that Linux reports.
std::vector<std::string> expected_levels();

// The levels that kernel tests run on: those that are available, and those that can be emulated.
const std::vector<const Kernels*>& tested_kernels();

struct NamedBatchKernel {
  std::string name;  // level and kernel
  const BatchKernel* kernel;
};

// The batch kernels of a level.
std::vector<NamedBatchKernel> batch_kernels(const Kernels& kernels);

inline bool takes_magnitudes(const BatchKernel& kernel) {
  return kernel.layout != GroupLayout::kWords;
}

}  // namespace bitsift::test
