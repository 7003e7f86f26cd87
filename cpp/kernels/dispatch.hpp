// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "kernels/kernels.hpp"

namespace bitsift {

// Every level that this source knows, on any architecture, slowest first.
const std::vector<std::string_view>& known_isas();

// The levels that this build and this processor have, slowest first; `scalar` always.
const std::vector<const Kernels*>& available_kernels();

// The table of that name, or nullptr if it is not available.
const Kernels* find_kernels(std::string_view name);

#if defined(__x86_64__)
// Level `amx`, whether or not this processor has it.
const Kernels& amx_kernels();
#endif

}  // namespace bitsift
