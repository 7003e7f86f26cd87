// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "search/scan.hpp"

namespace bitsift {

// scan(), for callers that may come from many threads at once. A scan for few queries is bound by
// memory, and a scan for a few more takes no longer: so of calls that meet, those that search the
// same codes in the same way go together. The results are those of each alone.
void shared_scan(const Kernels& kernels, Matrix<std::uint8_t> codes, const Queries& queries,
                 const ScanOptions& options, std::int32_t* distances, std::int64_t* rows);

}  // namespace bitsift
