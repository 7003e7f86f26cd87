// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "search/scan.hpp"

namespace bitsift {

// scan() for concurrent callers. A scan for few queries is bound by memory, and a few more queries
// take no longer. So concurrent calls that scan the same codes with the same options share one pass
// over the codes. Each call gets the results of a scan of its own.
//
// Only calls with few queries, few results and many bytes of codes are shared, and only if they may
// use every available thread; shared_scan.cpp has the limits. Any other call scans alone.
void shared_scan(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                 const Queries& queries, const ScanOptions& options, std::int32_t* distances,
                 std::int64_t* rows);

}  // namespace bitsift
