// SPDX-License-Identifier: Apache-2.0
// The floating-point environment, for arithmetic that the Python layer does with NumPy.
#include <pybind11/gil_safe_call_once.h>
#include <pybind11/pybind11.h>

#include <exception>

#include "base/float_environment.hpp"
#include "bindings/register.hpp"

namespace bitsift {
namespace {

namespace py = pybind11;

// NumPy's functions that read and set what it does about floating-point errors.
struct NumpyErrors {
  py::object get;
  py::object set;
  py::dict ignore;
};

const NumpyErrors& numpy_errors() {
  PYBIND11_CONSTINIT static py::gil_safe_call_once_and_store<NumpyErrors> storage;
  return storage
      .call_once_and_store_result([] {
        const auto numpy = py::module_::import("numpy");
        py::dict ignore;
        ignore["all"] = "ignore";
        return NumpyErrors{numpy.attr("geterr"), numpy.attr("seterr"), ignore};
      })
      .get_stored();
}

// A context of Python. Signal handlers, which may raise, run between any two steps of Python code:
// written in Python, it could be left half way. Here they run inside of NumPy's functions alone.
class DefaultFloatsContext {
 public:
  void enter() {
    found_errors_ = numpy_errors().get();
    try {
      numpy_errors().set(**numpy_errors().ignore);
    } catch (py::error_already_set&) {  // it may have been set all the same
      restore_errors();
      throw;
    }
    found_ = float_state();
    set_float_state(kDefaultFloatState);
  }

  void exit() {
    set_float_state(found_);
    restore_errors();
  }

 private:
  static constexpr int kMostTries = 1000;

  // Sets what was found, however often a handler raises meanwhile; then raises that error.
  void restore_errors() const {
    std::exception_ptr raised;
    for (int i = 0; i < kMostTries; ++i) {
      try {
        numpy_errors().set(**found_errors_);
        break;
      } catch (py::error_already_set&) {
        raised = std::current_exception();
      }
    }
    if (raised != nullptr) std::rethrow_exception(raised);
  }

  py::dict found_errors_;
  FloatState found_ = kDefaultFloatState;
};

}  // namespace

void register_floats(py::module_& m) {
  // An ordinary class, as the stub says: no metaclass of pybind11's.
  const py::handle type(reinterpret_cast<PyObject*>(&PyType_Type));
  py::class_<DefaultFloatsContext>(m, "DefaultFloats", py::metaclass(type))
      .def(py::init<>())
      .def("__enter__", &DefaultFloatsContext::enter)
      .def("__exit__", [](DefaultFloatsContext& context, const py::args&) { context.exit(); });
}

}  // namespace bitsift
