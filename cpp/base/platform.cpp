// SPDX-License-Identifier: Apache-2.0
#include "base/platform.hpp"

#include <pthread.h>
#include <unistd.h>

#include <new>
#include <thread>

#if defined(__linux__)
#include <dirent.h>
#include <sched.h>
#include <sys/syscall.h>

#include <cstdlib>
#endif

namespace bitsift {

#if defined(__linux__)
Processors::Processors() { CPU_ZERO(&set_); }

Processors Processors::of_this_thread() {
  Processors result;
  if (sched_getaffinity(0, sizeof(set_), &result.set_) != 0) return {};
  return result;
}

Processors Processors::of_process() {
  Processors result = of_this_thread();
  DIR* const threads = opendir("/proc/self/task");
  if (threads == nullptr) return result;
  while (const dirent* thread = readdir(threads)) {
    const int id = std::atoi(thread->d_name);
    cpu_set_t set;
    if (id > 0 && sched_getaffinity(id, sizeof(set), &set) == 0) {
      CPU_OR(&result.set_, &result.set_, &set);
    }
  }
  closedir(threads);
  return result;
}

void Processors::add(const Processors& other) { CPU_OR(&set_, &set_, &other.set_); }

std::size_t Processors::count() const { return static_cast<std::size_t>(CPU_COUNT(&set_)); }

bool Processors::operator==(const Processors& other) const { return CPU_EQUAL(&set_, &other.set_); }

void Processors::use() const {
  // Where it is not allowed, the thread runs where it ran.
  if (count() > 0) sched_setaffinity(0, sizeof(set_), &set_);
}
#else
Processors::Processors() = default;
Processors Processors::of_this_thread() { return {}; }
Processors Processors::of_process() { return {}; }
void Processors::add(const Processors&) {}
std::size_t Processors::count() const { return 0; }
bool Processors::operator==(const Processors&) const { return true; }
void Processors::use() const {}
#endif

std::size_t available_threads() {
  const std::size_t n_processors = Processors::of_this_thread().count();
  if (n_processors > 0) return n_processors;
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
