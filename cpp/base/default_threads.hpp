// SPDX-License-Identifier: Apache-2.0
// How many threads a call uses whose caller does not say: one setting for the process.
#pragma once

#include <cstddef>

namespace bitsift {

// The number that was set. Without one, as many as the calling thread may run at once by its
// affinity, and at most the limit.
std::size_t default_threads();

// Sets the number; 0 takes it back.
void set_default_threads(std::size_t n);

// Sets the limit, which the operating system puts on the processor time of the process; 0: none.
void limit_default_threads(std::size_t n);

}  // namespace bitsift
