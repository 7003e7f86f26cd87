// SPDX-License-Identifier: Apache-2.0
// How a long call into the core ends early, for example at Ctrl-C.
//
// A call that may end early has an Interruption. The thread that makes it, the caller, polls at
// most every kBetweenPolls, and any thread that works for the call stops soon after a poll has
// thrown. Loops call check_interruption() between pieces of work that take a few milliseconds.
//
// Nobody holds a mutex while it checks: a poll may run any code, for as long as it likes, also
// another call into the core.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>

#include "base/platform.hpp"

namespace bitsift {

// Ends the work of a thread whose call has been interrupted.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "the call was interrupted"; }
};

class Interruption {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kBetweenPolls{50};

  // The calling thread is the caller of a call that lasts as long as this object.
  Interruption() noexcept;
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  virtual ~Interruption();

  // That of the call which the calling thread works for, or nullptr.
  static Interruption* current() noexcept;

  // Whether another call of the same thread was polling when this one began.
  bool is_nested() const { return outer_ != nullptr; }
  // Whether the caller has been polling for so long. Any thread may ask.
  bool has_polled_for(Clock::duration time) const noexcept;
  // All threads of the call stop.
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }

  // See check_interruption() and check_after_wait().
  void check(bool is_caller) {
    if (cancelled_.load(std::memory_order_relaxed)) throw Interrupted();
    if (!is_caller || !polls_) return;
    if (n_checks_ < kChecksWithoutClock) {
      ++n_checks_;
    } else {
      check_clock();
    }
  }
  void check_after_wait(bool is_caller) {
    if (is_caller) {
      if (next_poll_ == Clock::time_point{}) next_poll_ = Clock::time_point::min();
      n_checks_ = kChecksWithoutClock;
    }
    check(is_caller);
  }

 protected:
  // Runs on the caller; throws to end the call.
  virtual void poll() = 0;
  // There will be no reason to end the call.
  void stop_polling() { polls_ = false; }

 private:
  // Most calls are short: they end before they read a clock.
  static constexpr int kChecksWithoutClock = 3;

  void check_clock();

  Interruption* outer_;
  std::atomic<bool> cancelled_{false};
  std::atomic<Clock::rep> polling_since_{0};  // 0: it is not polling
  bool polls_ = true;                         // these are the caller's
  int n_checks_ = 0;
  Clock::time_point next_poll_{};  // the epoch: not known yet
};

// Makes the calling thread, one of the pool, work for a call of another thread, or for none.
class HelpsCall {
 public:
  explicit HelpsCall(Interruption* call) noexcept;
  HelpsCall(const HelpsCall&) = delete;
  HelpsCall& operator=(const HelpsCall&) = delete;
  ~HelpsCall();
};

// Throws if the call of this thread has been interrupted, or is now.
void check_interruption();

// The same for a thread that has waited for kBetweenPolls.
void check_after_wait();

// check_interruption() each time that so much work has been done, in a unit of the user's.
class Checkpoint {
 public:
  explicit Checkpoint(std::size_t work) : work_(work), left_(work) {}

  void did(std::size_t work) {
    if (work < left_) {
      left_ -= work;
    } else {
      left_ = work_;
      check_interruption();
    }
  }

 private:
  std::size_t work_;
  std::size_t left_;
};

// A signal handler, which a poll runs, may fork. In the child, the threads that worked for the call
// are missing, and a mutex may be locked for ever by one of them: the call cannot go on there.
//
// Throws in a child of the process that the call began in.
void refuse_forked_child(std::int64_t process);

// Unlocks a mutex for the life of this object. In a child that was forked meanwhile it stays
// unlocked: who uses it calls check_not_forked() last.
class Unlocked {
 public:
  explicit Unlocked(std::unique_lock<std::mutex>& lock) : lock_(lock) { lock_.unlock(); }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked() {
    if (process_id() == process_) lock_.lock();
  }

  void check_not_forked() const { refuse_forked_child(process_); }

 private:
  std::unique_lock<std::mutex>& lock_;
  std::int64_t process_ = process_id();
};

}  // namespace bitsift
