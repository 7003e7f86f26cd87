// SPDX-License-Identifier: Apache-2.0
// The floating-point environment, for arithmetic that the Python layer does with NumPy.
#include "base/float_environment.hpp"
#include "bindings/register.hpp"

namespace bitsift {
namespace {

FloatState set_default_floats() {
  const FloatState found = float_state();
  set_float_state(kDefaultFloatState);
  return found;
}

}  // namespace

void register_floats(pybind11::module_& m) {
  m.def("set_default_floats", &set_default_floats);
  m.def("restore_floats", &set_float_state, pybind11::arg("state"));
}

}  // namespace bitsift
