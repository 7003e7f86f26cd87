// SPDX-License-Identifier: Apache-2.0
#include "bindings/gil.hpp"

#include <thread>

#include "base/platform.hpp"

namespace bitsift {
namespace {

std::thread::id importing_thread;

// Python runs signal handlers in the thread that started the interpreter, and does not tell which
// that is. It is nearly always the first thread of the process; in a program that has started
// Python elsewhere, it most likely is the thread that has imported this module.
bool may_run_signal_handlers() {
  return is_first_thread() || std::this_thread::get_id() == importing_thread;
}

// Calls python(), which calls Python's C functions alone: all that comes out of it as an exception
// is the end of the thread.
template <class Python>
void or_stop(Python&& python) noexcept {
  try {
    python();
  } catch (...) {
    stop_this_thread();
  }
}

}  // namespace

void note_importing_thread() { importing_thread = std::this_thread::get_id(); }

void ReleasedGil::take_back() noexcept {
  or_stop([this] { PyEval_RestoreThread(state_); });
}

void ReleasedGil::poll() {
  const bool handles_signals = may_run_signal_handlers();
  if (!handles_signals && !show_progress_) return stop_polling();
  or_stop([&] {
    PyEval_RestoreThread(state_);
    has_raised_ =
        (handles_signals && PyErr_CheckSignals() != 0) || (show_progress_ && !show_progress_());
    state_ = PyEval_SaveThread();
  });
  if (has_raised_) throw Interrupted();
}

}  // namespace bitsift
