// SPDX-License-Identifier: Apache-2.0
#include "bindings/segments.hpp"

#include "bindings/register.hpp"
#include "search/neighbor.hpp"

namespace bitsift {
namespace {

template <class T>
SegmentTable<T> matrices_of(const std::vector<py::array>& arrays) {
  std::vector<Matrix<T>> matrices;
  std::size_t n_rows = 0;
  for (const py::array& array : arrays) {
    require(array.dtype().kind() == arrays.front().dtype().kind(), "segments must be of one type");
    matrices.push_back(matrix_of<T>(array));
    require(matrices.back().n_columns == matrices.front().n_columns,
            "segments must be equally wide");
    n_rows += matrices.back().n_rows;
    require(n_rows <= kMaxRows, "there are at most 2^40 rows");
  }
  return SegmentTable<T>(std::move(matrices));
}

SegmentTable<std::int64_t> vectors_of(const std::vector<py::array>& arrays) {
  std::vector<py::array> columns;
  for (const py::array& array : arrays) {
    require(array.ndim() == 1 && array.dtype().kind() == 'i' && array.itemsize() == 8,
            "ids must be vectors of int64");
    const py::ssize_t n = array.shape(0);
    columns.emplace_back(array.dtype(), std::vector<py::ssize_t>{n, 1},
                         std::vector<py::ssize_t>{array.strides(0), 8}, array.data(), array);
  }
  return matrices_of<std::int64_t>(columns);
}

}  // namespace

ArraySegments::ArraySegments(std::vector<py::array> arrays)
    : arrays_(std::move(arrays)), table_(table_of(arrays_)) {}

ArraySegments::Table ArraySegments::table_of(const std::vector<py::array>& arrays) {
  require(!arrays.empty(), "there must be at least one segment");
  const py::array& first = arrays.front();
  if (first.ndim() == 1) return vectors_of(arrays);
  const char kind = first.dtype().kind();
  const py::ssize_t n_bytes = first.itemsize();
  if (n_bytes == 1) return matrices_of<std::uint8_t>(arrays);
  if (kind == 'f' && n_bytes == 4) return matrices_of<float>(arrays);
  if (kind == 'f' && n_bytes == 2) return matrices_of<Half>(arrays);
  if (kind == 'u' && n_bytes == 2) return matrices_of<std::uint16_t>(arrays);
  throw py::type_error("segments must be bytes, float32, float16, uint16, or vectors of int64");
}

void register_segments(py::module_& m) {
  // An ordinary class, as the stub says: no metaclass of pybind11's.
  const py::handle type(reinterpret_cast<PyObject*>(&PyType_Type));
  py::class_<ArraySegments>(m, "Segments", py::metaclass(type))
      .def(py::init<std::vector<py::array>>(), py::arg("arrays"))
      .def("__len__", &ArraySegments::n_rows)
      .def_property_readonly("arrays", &ArraySegments::arrays);
}

}  // namespace bitsift
