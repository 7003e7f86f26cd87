// SPDX-License-Identifier: Apache-2.0
// Arguments of the types that they usually have, read in no time. Whatever is of another type, or
// wrong, comes out as nothing: the Python layer knows every type and words every error.
#pragma once

#include <pybind11/gil_safe_call_once.h>
#include <pybind11/numpy.h>

#include <optional>
#include <utility>

#include "bindings/arrays.hpp"
#include "search/topk.hpp"

namespace bitsift {

// An int from 0 to `most`, no other object that stands for one.
inline std::optional<std::size_t> usual_size(py::handle number, std::size_t most) {
  if (!PyLong_CheckExact(number.ptr())) return std::nullopt;
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  if (overflow != 0 || value < 0 || static_cast<std::size_t>(value) > most) return std::nullopt;
  return static_cast<std::size_t>(value);
}

// The level of that name, or nullptr if there is none or it is not available.
inline const Kernels* usual_kernels(py::handle name) {
  if (!PyUnicode_CheckExact(name.ptr())) return nullptr;
  py::ssize_t length = 0;
  const char* text = PyUnicode_AsUTF8AndSize(name.ptr(), &length);
  if (text == nullptr) {  // half a surrogate pair
    PyErr_Clear();
    return nullptr;
  }
  return find_kernels({text, static_cast<std::size_t>(length)});
}

// Whether it is a numpy.ndarray, and of no subclass: one may have a mask.
inline bool is_plain_array(py::handle object) {
  PYBIND11_CONSTINIT static py::gil_safe_call_once_and_store<py::object> storage;
  const py::object& plain =
      storage
          .call_once_and_store_result([] { return py::module_::import("numpy").attr("ndarray"); })
          .get_stored();
  return py::type::handle_of(object).is(plain);
}

// Whether the values of a row lie one behind the other.
inline bool has_contiguous_rows(const py::array& array) {
  const py::ssize_t last = array.ndim() - 1;
  return array.shape(last) == 1 || array.strides(last) == array.itemsize();
}

// Whether values are of kind `kind` and of T's size, aligned and in native byte order.
template <class T>
bool has_values(const py::array& array, char kind) {
  const py::dtype type = array.dtype();
  return type.kind() == kind && type.itemsize() == sizeof(T) &&
         (sizeof(T) == 1 || (type.byteorder() == '=' && is_aligned<T>(array.data())));
}

// A query: an array of shape (n,) or (1, n).
class UsualQuery {
 public:
  static std::optional<UsualQuery> of(py::handle object) {
    if (!is_plain_array(object)) return std::nullopt;
    UsualQuery query(py::reinterpret_borrow<py::array>(object));
    const py::ssize_t n_axes = query.array_.ndim();
    const bool is_one = n_axes == 1 || (n_axes == 2 && query.array_.shape(0) == 1);
    if (!is_one || !has_contiguous_rows(query.array_)) return std::nullopt;
    return query;
  }

  // Whether it has one axis.
  bool is_single() const { return array_.ndim() == 1; }
  std::size_t size() const { return static_cast<std::size_t>(array_.shape(array_.ndim() - 1)); }
  // The values, or nullptr if they are of another type.
  template <class T>
  const T* values(char kind) const {
    return has_values<T>(array_, kind) ? static_cast<const T*>(array_.data()) : nullptr;
  }

 private:
  explicit UsualQuery(py::array array) : array_(std::move(array)) {}

  py::array array_;
};

// Packed codes: a view of an array of shape (n, n_bytes).
inline std::optional<Matrix<std::uint8_t>> usual_codes(py::handle object) {
  if (!is_plain_array(object)) return std::nullopt;
  const auto array = py::reinterpret_borrow<py::array>(object);
  if (array.ndim() != 2 || !has_values<std::uint8_t>(array, 'u') || !has_contiguous_rows(array)) {
    return std::nullopt;
  }
  const auto n_rows = static_cast<std::size_t>(array.shape(0));
  const auto n_columns = static_cast<std::size_t>(array.shape(1));
  if (n_rows > kMaxRows || n_columns == 0 || n_columns > kMaxCodeBytes) return std::nullopt;
  return Matrix<std::uint8_t>{.data = static_cast<const std::uint8_t*>(array.data()),
                              .n_rows = n_rows,
                              .n_columns = n_columns,
                              .stride = array.strides(0)};
}

}  // namespace bitsift
