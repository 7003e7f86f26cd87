// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <utility>

#include "base/interruption.hpp"

namespace bitsift::test {

// A call of this thread whose polls do what the test wants.
class PolledCall : public Interruption {
 public:
  explicit PolledCall(std::function<void()> on_poll = {}) : on_poll_(std::move(on_poll)) {}

  int n_polls() const { return n_polls_; }

 private:
  void poll() override {
    ++n_polls_;
    if (on_poll_) on_poll_();
  }

  std::function<void()> on_poll_;
  std::atomic<int> n_polls_{0};
};

}  // namespace bitsift::test
