// SPDX-License-Identifier: Apache-2.0
#include "base/interruption.hpp"

#include <stdexcept>

namespace bitsift {
namespace {

struct WorksFor {
  Interruption* call;
  bool is_caller;
};

constinit thread_local WorksFor works_for{nullptr, false};

}  // namespace

Interruption::Interruption() noexcept : outer_(works_for.call) { works_for = {this, true}; }

// Only a caller makes a call while it works for another: in a poll.
Interruption::~Interruption() { works_for = {outer_, true}; }

Interruption* Interruption::current() noexcept { return works_for.call; }

bool Interruption::has_polled_for(Clock::duration time) const noexcept {
  const Clock::rep since = polling_since_.load(std::memory_order_relaxed);
  return since != 0 && Clock::now().time_since_epoch().count() - since >= time.count();
}

void Interruption::check_clock() {
  const auto now = Clock::now();
  if (next_poll_ == Clock::time_point{}) next_poll_ = now + kBetweenPolls;
  if (now < next_poll_) return;
  polling_since_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  try {
    poll();
  } catch (...) {
    polling_since_.store(0, std::memory_order_relaxed);
    cancel();
    throw;
  }
  polling_since_.store(0, std::memory_order_relaxed);
  next_poll_ = Clock::now() + kBetweenPolls;
}

HelpsCall::HelpsCall(Interruption* call) noexcept { works_for = {call, false}; }

HelpsCall::~HelpsCall() { works_for = {nullptr, false}; }

void refuse_forked_child(std::int64_t process) {
  if (process_id() == process) return;
  throw std::runtime_error(
      "a signal handler forked the process in the middle of this call; the child lacks the threads "
      "of the call and cannot finish it: let the child end inside of the handler, or exec");
}

void check_interruption() {
  if (works_for.call != nullptr) works_for.call->check(works_for.is_caller);
}

void check_after_wait() {
  if (works_for.call != nullptr) works_for.call->check_after_wait(works_for.is_caller);
}

}  // namespace bitsift
