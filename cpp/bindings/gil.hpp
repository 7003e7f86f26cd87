// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pybind11/pybind11.h>

#include <exception>

#include "base/float_environment.hpp"
#include "base/platform.hpp"

namespace bitsift {

// Runs body() with the GIL released, in the default floating-point environment. pybind11's
// gil_scoped_release takes the GIL again in a destructor; while the interpreter shuts down, Python
// up to 3.13 ends a daemon thread there by unwinding its stack, and from a destructor that would
// abort the process. The thread is stopped here instead, as newer versions of Python do it.
template <class Body>
void without_gil(Body&& body) {
  std::exception_ptr error;
  PyThreadState* state = PyEval_SaveThread();
  try {
    const DefaultFloats floats;
    body();
  } catch (...) {
    error = std::current_exception();
  }
  try {
    PyEval_RestoreThread(state);
  } catch (...) {
    stop_this_thread();
  }
  if (error != nullptr) std::rethrow_exception(error);
}

}  // namespace bitsift
