// SPDX-License-Identifier: Apache-2.0
#include "base/platform.hpp"

#include <pthread.h>
#include <unistd.h>

#include <new>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
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

bool is_first_thread() {
#if defined(__linux__)
  return syscall(SYS_gettid) == getpid();
#elif defined(__APPLE__)
  return pthread_main_np() != 0;
#else
  return true;
#endif
}

std::int64_t process_id() { return getpid(); }

void call_in_forked_child(void (*forget)()) {
  // It fails for want of memory only.
  if (pthread_atfork(nullptr, nullptr, forget) != 0) throw std::bad_alloc();
}

void stop_this_thread() {
  for (;;) pause();
}

}  // namespace bitsift
