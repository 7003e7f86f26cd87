// SPDX-License-Identifier: Apache-2.0
// Files as arrays, and what must hold of them.

#include <cerrno>
#include <memory>
#include <system_error>

#include "base/mapped_file.hpp"
#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "encoding/checksums.hpp"
#include "encoding/stored_rows.hpp"

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

Checksums new_checksums(std::size_t n_bytes, const std::string& isa) {
  require(n_bytes > 0, "there must be at least one byte");
  return {kernels_named(isa), n_bytes};
}

void add_bytes(Checksums& sums, const Vector<std::uint8_t>& data, std::size_t threads) {
  const std::uint8_t* bytes = data.data();
  const auto n = static_cast<std::size_t>(data.size());
  without_gil([&] { sums.add(bytes, n, threads_of(threads)); });
}

template <class Find>
std::optional<std::size_t> found(const Find& find) {
  std::optional<std::size_t> row;
  without_gil([&] { row = find(); });
  return row;
}

std::optional<std::size_t> not_finite_row(const py::array& rows, std::size_t threads) {
  require(rows.dtype().kind() == 'f', "rows must be floats");
  if (rows.itemsize() == 8) {
    const auto matrix = matrix_of<double>(rows);
    return found([&] { return first_not_finite(matrix, threads_of(threads)); });
  }
  if (rows.itemsize() == 2) {
    const auto matrix = matrix_of<Half>(rows);
    return found([&] { return first_not_finite(matrix, threads_of(threads)); });
  }
  const auto matrix = matrix_of<float>(rows);
  return found([&] { return first_not_finite(matrix, threads_of(threads)); });
}

std::optional<std::size_t> pad_bits_row(const py::array_t<std::uint8_t>& codes, std::uint8_t mask,
                                        std::size_t threads) {
  const auto matrix = matrix_of<std::uint8_t>(codes);
  return found([&] { return first_with_pad_bits(matrix, mask, threads_of(threads)); });
}

}  // namespace

void register_files(py::module_& m) {
  m.def("map_file", &map_file, py::arg("descriptor"), py::arg("n_bytes"));
  // An ordinary class, as the stub says: no metaclass of pybind11's.
  const py::handle type(reinterpret_cast<PyObject*>(&PyType_Type));
  py::class_<Checksums>(m, "Checksums", py::metaclass(type))
      .def(py::init(&new_checksums), py::arg("n_bytes"), py::arg("isa"))
      .def("add", &add_bytes, py::arg("data").noconvert(), py::arg("threads"))
      .def("values", &Checksums::values);
  m.def("first_not_finite", &not_finite_row, py::arg("rows"), py::arg("threads"));
  m.def("first_with_pad_bits", &pad_bits_row, py::arg("codes").noconvert(), py::arg("mask"),
        py::arg("threads"));
}

}  // namespace bitsift
