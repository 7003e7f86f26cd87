// SPDX-License-Identifier: Apache-2.0
// What the core needs of the operating system and the compiler, and no other file of it asks for.
// (Kernels are apart: they may include nothing, and kernels/dispatch.cpp asks the processor.)
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sched.h>
#endif

namespace bitsift {

// A set of processors. Where the operating system has no such sets for threads, it is unknown.
class Processors {
 public:
  // Unknown.
  Processors();
  // Those that the calling thread may run on.
  static Processors of_this_thread();
  // Those that any thread of the process may run on. Lists the threads: it takes memory.
  static Processors of_process();

  void add(const Processors& other);

  // 0 if the set is unknown.
  std::size_t count() const;
  bool operator==(const Processors& other) const;
  // From now on the calling thread runs on these, if they are known.
  void use() const;

 private:
#if defined(__linux__)
  cpu_set_t set_;
#endif
};

// Threads that the operating system lets the calling thread run at once; at least 1.
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

// Asks for the cache lines of these bytes; returns before they arrive. Always inline: GCC takes a
// function that only prefetches for one without effects, and drops calls of it.
[[gnu::always_inline]] inline void prefetch(const void* bytes, std::size_t n_bytes) {
  constexpr std::size_t kCacheLine = 64;
  const auto* first = static_cast<const std::byte*>(bytes);
  for (std::size_t i = 0; i < n_bytes; i += kCacheLine) __builtin_prefetch(first + i);
}

// The upper half of the product of two numbers.
inline std::uint64_t upper_product(std::uint64_t a, std::uint64_t b) {
  __extension__ typedef unsigned __int128 Product;
  return static_cast<std::uint64_t>(static_cast<Product>(a) * b >> 64);
}

}  // namespace bitsift
