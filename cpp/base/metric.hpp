// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace bitsift {

enum class Metric : std::uint8_t { kCosine, kDot, kL2 };

}  // namespace bitsift
