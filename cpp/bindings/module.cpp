// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include "bindings/gil.hpp"
#include "bindings/register.hpp"

// pybind11's entry point, under a name that Python does not look for: see below.
PYBIND11_MODULE(native_in_main_interpreter, m, pybind11::mod_gil_not_used()) {
  m.doc() = "The compiled core. Arguments are checked by the Python layer.";
  m.attr("__version__") = BITSIFT_VERSION;
  bitsift::note_importing_thread();
  bitsift::register_diagnostics(m);
  bitsift::register_encoding(m);
  bitsift::register_files(m);
  bitsift::register_floats(m);
  bitsift::register_one_query(m);
  bitsift::register_ranges(m);
  bitsift::register_rescoring(m);
  bitsift::register_rows(m);
  bitsift::register_search(m);
  bitsift::register_segments(m);
}

// What Python calls at import. In a subinterpreter pybind11's entry point would wait for the GIL,
// which its thread holds, for ever.
extern "C" PYBIND11_EXPORT PyObject* PyInit_native() {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError,
                    "bitsift must be imported in the main interpreter; got a subinterpreter. Use "
                    "threads, which bitsift runs without the GIL, or processes");
    return nullptr;
  }
  return PyInit_native_in_main_interpreter();
}
