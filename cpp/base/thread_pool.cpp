// SPDX-License-Identifier: Apache-2.0
#include "base/thread_pool.hpp"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/float_environment.hpp"
#include "base/process_wide.hpp"

namespace bitsift {
namespace {

struct Job {
  const std::function<void()>& body;
  std::size_t n_wanted;       // threads that may still join
  std::size_t n_running = 0;  // threads of the pool inside body()
  std::exception_ptr error;
  std::condition_variable finished;
};

class ThreadPool {
 public:
  void run(std::size_t n_helpers, const std::function<void()>& body) {
    Job job{.body = body, .n_wanted = n_helpers, .error = nullptr, .finished = {}};
    {
      const std::lock_guard lock(mutex_);
      grow(n_helpers);
      jobs_.push_back(&job);
    }
    for (std::size_t i = 0; i < n_helpers; ++i) wake_.notify_one();

    std::exception_ptr error;
    try {
      body();
    } catch (...) {
      error = std::current_exception();
    }

    std::unique_lock lock(mutex_);
    std::erase(jobs_, &job);  // no more threads join
    job.finished.wait(lock, [&job] { return job.n_running == 0; });
    if (error == nullptr) error = job.error;
    lock.unlock();
    if (error != nullptr) std::rethrow_exception(error);
  }

 private:
  void grow(std::size_t n_threads) {
    try {
      for (; n_threads_ < n_threads; ++n_threads_) {
        std::thread([this] { work(); }).detach();
      }
    } catch (const std::system_error&) {
      // A limit on threads is no error: the caller does the work that no helper takes.
    }
  }

  [[noreturn]] void work() {
    const DefaultFloats floats;  // a thread starts in the environment of the one that made it
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return !jobs_.empty(); });
      Job& job = *jobs_.front();
      if (--job.n_wanted == 0) jobs_.pop_front();
      ++job.n_running;
      lock.unlock();
      std::exception_ptr error;
      try {
        job.body();
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      if (error != nullptr && job.error == nullptr) job.error = error;
      if (--job.n_running == 0) job.finished.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job*> jobs_;  // those that more threads may join
  std::size_t n_threads_ = 0;
};

}  // namespace

void run_on_threads(std::size_t n_threads, const std::function<void()>& body) {
  if (n_threads <= 1) {
    body();
  } else {
    process_wide<ThreadPool>().run(n_threads - 1, body);
  }
}

}  // namespace bitsift
