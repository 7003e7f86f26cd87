// SPDX-License-Identifier: Apache-2.0
#include "base/thread_pool.hpp"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "base/float_environment.hpp"
#include "base/linked_list.hpp"
#include "base/platform.hpp"
#include "base/process_wide.hpp"

namespace bitsift {
namespace {

// The first error of the threads of a job. An interruption may be the consequence of an error in
// another thread, so any other error takes its place.
class Failure {
 public:
  // Calls body() and keeps what it throws. An error ends the whole call.
  template <class Body>
  void keep(Body&& body) noexcept {
    try {
      body();
    } catch (const Interrupted&) {
      if (error_ == nullptr) error_ = std::current_exception();
    } catch (...) {
      if (!is_error_) error_ = std::current_exception();
      is_error_ = true;
      if (Interruption* call = Interruption::current()) call->cancel();
    }
  }
  void add(const Failure& other) noexcept {
    if (other.error_ == nullptr || is_error_ || (error_ != nullptr && !other.is_error_)) return;
    *this = other;
  }
  void raise() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
  bool is_error_ = false;
};

// Lies on the stack of the thread that waits for it.
struct Job {
  const std::function<void()>& body;
  Interruption* call;
  Processors processors;               // that the threads of the pool run on
  std::size_t n_wanted;                // threads that may still join
  std::size_t n_running = 0;           // threads of the pool inside body()
  Failure failure = {};                // of these threads
  std::condition_variable ended = {};  // n_running has become 0
  Job* previous = nullptr;
  Job* next = nullptr;
};

class ThreadPool {
 public:
  void run(std::size_t n_helpers, const std::function<void()>& body) {
    const std::int64_t process = process_id();
    Job job{.body = body,
            .call = Interruption::current(),
            .processors = Processors::of_this_thread(),
            .n_wanted = n_helpers};
    {
      const std::lock_guard lock(mutex_);
      grow(n_helpers);
      if (job.processors.count() <= n_helpers) job.processors.add(processors_);
      jobs_.append(job);
    }
    for (std::size_t i = 0; i < n_helpers; ++i) wake_.notify_one();

    Failure failure;
    failure.keep(body);
    refuse_forked_child(process);

    std::unique_lock lock(mutex_);
    if (job.n_wanted > 0) jobs_.remove(job);  // no more threads join
    while (!job.ended.wait_for(lock, Interruption::kBetweenPolls,
                               [&job] { return job.n_running == 0; })) {
      const Unlocked unlocked(lock);
      failure.keep(check_after_wait);
      unlocked.check_not_forked();
    }
    lock.unlock();
    failure.add(job.failure);
    failure.raise();
  }

 private:
  void grow(std::size_t n_threads) {
    if (n_threads_ < n_threads) processors_.add(Processors::of_process());
    try {
      for (; n_threads_ < n_threads; ++n_threads_) {
        std::thread([this] { work(); }).detach();
      }
    } catch (const std::exception&) {
      // A limit on threads or memory is no error: the caller does the work that no helper takes.
    }
  }

  [[noreturn]] void work() {
    const DefaultFloats floats;  // a thread starts in the environment of the one that made it
    Processors processors;       // unknown
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return !jobs_.is_empty(); });
      Job& job = *jobs_.first();
      if (--job.n_wanted == 0) jobs_.remove(job);
      ++job.n_running;
      lock.unlock();
      Failure failure;
      if (!(job.processors == processors)) {
        processors = job.processors;
        processors.use();
      }
      {
        const HelpsCall helps(job.call);
        failure.keep(job.body);
      }
      lock.lock();
      job.failure.add(failure);
      if (--job.n_running == 0) job.ended.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  LinkedList<Job> jobs_;  // those that more threads may join
  std::size_t n_threads_ = 0;
  // Those of the process when its threads were last listed. A thread starts with the processors of
  // the one that made it. That one may have been bound to a few, by OpenMP for instance, and those
  // who call later may not be. So the pool's threads run where their caller may; if that is less
  // than it wants, also wherever a thread of the process may. Threads are listed when the pool
  // grows and not for each call: it takes memory and a system call a thread.
  Processors processors_;
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
