// SPDX-License-Identifier: Apache-2.0
// Files as arrays.

#include <cerrno>
#include <memory>
#include <system_error>

#include "base/mapped_file.hpp"
#include "bindings/arrays.hpp"
#include "bindings/register.hpp"

namespace bitsift {
namespace {

// The capsule has no buffer, so that NumPy lets nobody make the array writeable again.
py::array_t<std::uint8_t> map_file(int descriptor, std::size_t n_bytes) {
  require(n_bytes > 0, "there must be at least one byte");
  std::unique_ptr<MappedFile> file;
  try {
    file = std::make_unique<MappedFile>(descriptor, n_bytes);
  } catch (const std::system_error& error) {
    errno = error.code().value();
    PyErr_SetFromErrno(PyExc_OSError);
    throw py::error_already_set();
  }
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(file->data());
  py::capsule owner(file.get(), [](void* mapped) { delete static_cast<MappedFile*>(mapped); });
  file.release();
  py::array_t<std::uint8_t> array(static_cast<py::ssize_t>(n_bytes), bytes, owner);
  py::detail::array_proxy(array.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return array;
}

}  // namespace

void register_files(py::module_& m) {
  m.def("map_file", &map_file, py::arg("descriptor"), py::arg("n_bytes"));
}

}  // namespace bitsift
