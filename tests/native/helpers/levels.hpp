// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.hpp"

namespace bitsift::test {

// The instruction sets that must be there: those named by the environment variable
// BITSIFT_EXPECT_ISA, separated by commas, or else what the architecture guarantees and, on Linux,
// what the kernel says of the processor.
std::vector<std::string> expected_levels();

// What kernel tests run on: every level that is available, and those that can be emulated.
const std::vector<const Kernels*>& tested_kernels();

}  // namespace bitsift::test
