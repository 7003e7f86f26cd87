// SPDX-License-Identifier: Apache-2.0
// Rows from Python: one array, or several, one behind the other.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/segments.hpp"
#include "bindings/arrays.hpp"

namespace bitsift {

// Arrays with their rows one behind the other: equally wide, of one type. Never changes.
class ArraySegments {
 public:
  // Matrices of bytes, half or single precision or bfloat16, or vectors of int64.
  explicit ArraySegments(std::vector<py::array> arrays);

  std::size_t n_rows() const {
    return std::visit([](const auto& table) { return table.n_rows(); }, table_);
  }
  const std::vector<py::array>& arrays() const { return arrays_; }

  // nullptr: the values are of another type.
  template <class T>
  const SegmentTable<T>* table() const {
    return std::get_if<SegmentTable<T>>(&table_);
  }

 private:
  using Table = std::variant<SegmentTable<std::uint8_t>, SegmentTable<float>, SegmentTable<Half>,
                             SegmentTable<std::uint16_t>, SegmentTable<std::int64_t>>;

  static Table table_of(const std::vector<py::array>& arrays);

  std::vector<py::array> arrays_;  // keeps their memory alive
  Table table_;
};

// An argument that is either.
template <class Array>
using RowsArgument = std::variant<Array, const ArraySegments*>;
using IdsArgument = std::optional<RowsArgument<Vector<std::int64_t>>>;

template <class T, class Array>
Segments<T> segments_of(const RowsArgument<Array>& argument) {
  if (const auto* array = std::get_if<Array>(&argument)) return matrix_of<T>(*array);
  const auto* table = std::get<const ArraySegments*>(argument)->template table<T>();
  require(table != nullptr, "the segments have values of another type");
  return Segments<T>(table);
}

// Whether the values are floats of so many bytes.
inline bool are_floats(const RowsArgument<py::array>& argument, py::ssize_t n_bytes) {
  const auto* array = std::get_if<py::array>(&argument);
  if (array == nullptr) array = &std::get<const ArraySegments*>(argument)->arrays().front();
  return array->dtype().kind() == 'f' && array->itemsize() == n_bytes;
}

inline RowIds ids_of(const IdsArgument& ids, std::size_t n_rows) {
  if (!ids) return {};
  if (const auto* array = std::get_if<Vector<std::int64_t>>(&*ids)) {
    require(array->ndim() == 1 && static_cast<std::size_t>(array->size()) == n_rows,
            "there must be one id for each row");
    return values_of(*array);
  }
  const auto* table = std::get<const ArraySegments*>(*ids)->table<std::int64_t>();
  require(table != nullptr && table->n_rows() == n_rows, "there must be one id for each row");
  return RowIds(table);
}

}  // namespace bitsift
