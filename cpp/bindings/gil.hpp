// SPDX-License-Identifier: Apache-2.0
// The only way out of the GIL and back.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <functional>

#include "base/float_environment.hpp"
#include "base/interruption.hpp"

namespace bitsift {

// Shows Python's progress function the state of the work, with the GIL; returns false if Python has
// raised an error. It calls Python's C functions alone, which throw no exceptions.
using ShowProgress = std::function<bool()>;

// The importing thread runs Python's signal handlers: to be called while the module is imported.
void note_importing_thread();

// A call that has released the GIL. Its polls take the GIL for a moment: they let Python run signal
// handlers, and show progress. What Python raises there stays in the thread's state until the end
// of the call, so that no Python object is touched without the GIL.
//
// While the interpreter shuts down, Python up to 3.13 ends a daemon thread that asks for the GIL by
// unwinding its stack, and a destructor or an exception handler on the way would abort the process.
// The thread is stopped here instead, as newer versions of Python do it.
class ReleasedGil final : public Interruption {
 public:
  explicit ReleasedGil(const ShowProgress& show_progress)
      : show_progress_(show_progress), state_(PyEval_SaveThread()) {}

  void take_back() noexcept;
  // Whether a poll has left an error of Python's.
  bool has_raised() const { return has_raised_; }

 private:
  void poll() override;

  const ShowProgress& show_progress_;
  PyThreadState* state_;
  bool has_raised_ = false;
};

// Runs body() with the GIL released, in the default floating-point environment. Signal handlers run
// meanwhile, if this is their thread, and what they raise ends body() soon and is raised here.
template <class Body>
void without_gil(Body&& body, const ShowProgress& show_progress = nullptr) {
  ReleasedGil released(show_progress);
  std::exception_ptr error;
  try {
    const DefaultFloats floats;
    body();
  } catch (...) {
    error = std::current_exception();
  }
  released.take_back();
  if (released.has_raised()) throw pybind11::error_already_set();
  if (error != nullptr) std::rethrow_exception(error);
}

}  // namespace bitsift
