// SPDX-License-Identifier: Apache-2.0
// What the core needs of the operating system and the compiler, and no other file of it asks for.
// (Kernels are apart: they may include nothing, and kernels/dispatch.cpp asks the processor.)
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitsift {

// Threads that the operating system lets this process run at once; at least 1.
std::size_t available_threads();

// Whether the calling thread is the one that the process, or the forked child, began with; true if
// the operating system does not tell.
bool is_first_thread();

// Another number in a forked child.
std::int64_t process_id();

// Calls forget() in every child of a fork, before the child runs anything else. Throws
// std::bad_alloc.
void call_in_forked_child(void (*forget)());

// Stops the calling thread until the process ends.
[[noreturn]] void stop_this_thread();

// Asks for the cache lines of these bytes; returns before they arrive.
inline void prefetch(const void* bytes, std::size_t n_bytes) {
  constexpr std::size_t kCacheLine = 64;
  const auto* first = static_cast<const std::byte*>(bytes);
  for (std::size_t i = 0; i < n_bytes; i += kCacheLine) __builtin_prefetch(first + i);
}

}  // namespace bitsift
