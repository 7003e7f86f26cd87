// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include "bindings/register.hpp"

PYBIND11_MODULE(native, m, pybind11::mod_gil_not_used()) {
  m.doc() = "The compiled core. Arguments are checked by the Python layer.";
  m.attr("__version__") = BITSIFT_VERSION;
  bitsift::register_diagnostics(m);
  bitsift::register_encoding(m);
  bitsift::register_files(m);
  bitsift::register_rescoring(m);
  bitsift::register_search(m);
}
