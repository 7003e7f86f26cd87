// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "scan.hpp"

namespace bitsift {

// search(), for callers that may come from many threads at once. A scan for few queries is bound by
// memory, and a scan for a few more takes no longer: so of calls that meet, those that search the
// same codes in the same way go together. The results are those of each alone.
void concurrent_search(const Kernels& kernels, Matrix<std::uint8_t> codes, const Queries& queries,
                       const SearchOptions& options, std::int32_t* distances, std::int64_t* rows);

}  // namespace bitsift
