// SPDX-License-Identifier: Apache-2.0
#include "base/platform.hpp"

#include <pthread.h>
#include <unistd.h>

#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace bitsift {

std::size_t available_threads() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    return static_cast<std::size_t>(CPU_COUNT(&set));
  }
#endif
  const unsigned n = std::thread::hardware_concurrency();
  return n == 0 ? 1 : n;
}

void call_in_forked_child(void (*forget)()) { pthread_atfork(nullptr, nullptr, forget); }

void stop_this_thread() {
  for (;;) pause();
}

}  // namespace bitsift
