// SPDX-License-Identifier: Apache-2.0
// Sets of rows, and where ids are.

#include <string>

#include "base/id_index.hpp"
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

RowSet all_rows(std::size_t n_rows) {
  require(n_rows <= kMaxRows, "there are at most 2^40 rows");
  return RowSet(n_rows);
}

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

RowSet without(const RowSet& set, const Numbers& numbers) {
  require_rows(numbers, set.n_rows());
  return set.without(values_of(numbers), size_of(numbers));
}

RowSet extended_to(const RowSet& set, std::size_t n_rows) {
  require(n_rows <= kMaxRows, "there are at most 2^40 rows");
  return set.extended_to(n_rows);
}

py::array_t<std::int64_t> numbers_of(const RowSet& set) {
  py::array_t<std::int64_t> numbers(static_cast<py::ssize_t>(set.count()));
  std::int64_t* out = numbers.mutable_data();
  without_gil([&] {
    set.mask().for_each(0, set.n_rows(),
                        [&](std::size_t row) { *out++ = static_cast<std::int64_t>(row); });
  });
  return numbers;
}

IdentifiedRows identified(const Numbers& ids, const RowSet* set) {
  require(set == nullptr || set->n_rows() == size_of(ids), "there must be one id for each row");
  return {values_of(ids), size_of(ids), set == nullptr ? RowMask{} : set->mask()};
}

py::object enter(IdIndex& index, const Numbers& ids, const RowSet* set, const Numbers& new_ids) {
  const IdentifiedRows known = identified(ids, set);
  require(index.size() + size_of(new_ids) <= index.capacity(), "there must be room for the ids");
  std::optional<std::size_t> refused;
  without_gil([&] { refused = index.enter(known, values_of(new_ids), size_of(new_ids)); });
  return refused ? py::object(py::int_(*refused)) : py::none();
}

py::array_t<std::int64_t> find(const IdIndex& index, const Numbers& ids, const RowSet* set,
                               const Numbers& wanted) {
  const IdentifiedRows known = identified(ids, set);
  py::array_t<std::int64_t> rows(wanted.size());
  std::int64_t* out = rows.mutable_data();
  without_gil([&] { index.find(known, values_of(wanted), size_of(wanted), out); });
  return rows;
}

}  // namespace

void register_rows(py::module_& m) {
  py::class_<RowSet>(m, "RowSet")
      .def(py::init(&all_rows), py::arg("n_rows"))
      .def_static("of_values", &set_of_values, py::arg("values").noconvert())
      .def_static("of_numbers", &set_of_numbers, py::arg("numbers").noconvert(), py::arg("n_rows"))
      .def("__len__", &RowSet::count)
      .def("__and__", &RowSet::operator&, py::is_operator())
      .def_property_readonly("n_rows", &RowSet::n_rows)
      .def("without", &without, py::arg("numbers").noconvert())
      .def("extended_to", &extended_to, py::arg("n_rows"))
      .def("numbers", &numbers_of);
  py::class_<IdIndex>(m, "IdIndex")
      .def(py::init<std::size_t, std::uint64_t>(), py::arg("capacity"), py::arg("seed"))
      .def("__len__", &IdIndex::size)
      .def_property_readonly("capacity", &IdIndex::capacity)
      .def_property_readonly("version", &IdIndex::version)
      .def("enter", &enter, py::arg("ids").noconvert(), py::arg("rows").none(true),
           py::arg("new_ids").noconvert())
      .def("find", &find, py::arg("ids").noconvert(), py::arg("rows").none(true),
           py::arg("wanted").noconvert());
}

}  // namespace bitsift
