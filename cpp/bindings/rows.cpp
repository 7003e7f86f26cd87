// SPDX-License-Identifier: Apache-2.0
// Sets of rows.

#include <string>

#include "base/row_set.hpp"
#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "search/neighbor.hpp"

namespace bitsift {
namespace {

using Numbers = Vector<std::int64_t>;

// Checks that no number is beyond the rows; negative ones stand for no row.
void require_rows(const Numbers& numbers, std::size_t n_rows) {
  const std::int64_t* values = values_of(numbers);
  const auto most = static_cast<std::int64_t>(n_rows);
  for (py::ssize_t i = 0; i < numbers.size(); ++i) {
    require(values[i] < most, "each number must be one of a row");
  }
}

std::size_t size_of(const Numbers& numbers) { return static_cast<std::size_t>(numbers.size()); }

RowSet set_of_values(const Vector<bool>& values) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(values_of(values));
  const auto n = static_cast<std::size_t>(values.size());
  std::optional<RowSet> made;
  without_gil([&] { made = RowSet::of_values(bytes, n); });
  return *std::move(made);
}

RowSet set_of_numbers(const Numbers& numbers, std::size_t n_rows) {
  require(n_rows <= kMaxRows, "there are at most 2^40 rows");
  require_rows(numbers, n_rows);
  std::optional<RowSet> made;
  without_gil([&] { made = RowSet::of_numbers(values_of(numbers), size_of(numbers), n_rows); });
  return *std::move(made);
}

RowSet extended_to(const RowSet& set, std::size_t n_rows) {
  require(n_rows <= kMaxRows, "there are at most 2^40 rows");
  return set.extended_to(n_rows);
}

Numbers numbers_of(const RowSet& set, std::size_t begin, std::size_t end) {
  require(begin <= end && end <= set.n_rows(), "the rows must be those of the set");
  const RowMask mask = set.mask();
  Numbers numbers(static_cast<py::ssize_t>(mask.count(begin, end)));
  std::int64_t* out = numbers.mutable_data();
  mask.for_each(begin, end, [&](std::size_t row) { *out++ = static_cast<std::int64_t>(row); });
  return numbers;
}

}  // namespace

void register_rows(py::module_& m) {
  // An ordinary class, as the stub says: no metaclass of pybind11's.
  const py::handle type(reinterpret_cast<PyObject*>(&PyType_Type));
  py::class_<RowSet>(m, "RowSet", py::metaclass(type))
      .def_static("of_values", &set_of_values, py::arg("values").noconvert())
      .def_static("of_numbers", &set_of_numbers, py::arg("numbers").noconvert(), py::arg("n_rows"))
      .def("__len__", &RowSet::count)
      .def("numbers", &numbers_of, py::arg("begin"), py::arg("end"))
      .def("extended_to", &extended_to, py::arg("n_rows"));
}

}  // namespace bitsift
