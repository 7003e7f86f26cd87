// SPDX-License-Identifier: Apache-2.0
// Sets of rows, and where ids are.

#include <memory>

#include "base/id_index.hpp"
#include "base/live_rows.hpp"
#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "search/neighbor.hpp"

namespace bitsift {
namespace {

using Numbers = Vector<std::int64_t>;

std::size_t size_of(const Numbers& numbers) { return static_cast<std::size_t>(numbers.size()); }

void require_size(std::size_t n_rows) {
  require(n_rows <= kMaxRows, "there are at most 2^40 rows");
}

// Checks that no number is beyond the rows; negative ones stand for no row.
void require_rows(const Numbers& numbers, std::size_t n_rows) {
  const std::int64_t* values = values_of(numbers);
  const auto most = static_cast<std::int64_t>(n_rows);
  for (py::ssize_t i = 0; i < numbers.size(); ++i) {
    require(values[i] < most, "each number must be one of a row");
  }
}

const std::uint8_t* bytes_of(const Vector<bool>& values) {
  return reinterpret_cast<const std::uint8_t*>(values_of(values));
}

// Makes a set without the GIL.
template <class Make>
RowSet made_by(Make&& make) {
  std::optional<RowSet> made;
  without_gil([&] { made = make(); });
  return *std::move(made);
}

RowSet set_of_values(const Vector<bool>& values) {
  const std::uint8_t* bytes = bytes_of(values);
  return made_by([&] { return RowSet::of_values(bytes, static_cast<std::size_t>(values.size())); });
}

RowSet set_of_numbers(const Numbers& numbers, std::size_t n_rows) {
  require_size(n_rows);
  require_rows(numbers, n_rows);
  return made_by([&] { return RowSet::of_numbers(values_of(numbers), size_of(numbers), n_rows); });
}

RowSet with_numbers(const RowSet& set, const Numbers& numbers) {
  require_rows(numbers, set.n_rows());
  return made_by([&] { return set.with(values_of(numbers), size_of(numbers)); });
}

RowSet common(const RowSet& set, const RowSet& other) {
  return made_by([&] { return set & other; });
}

RowSet selected(const RowSet& set, const Vector<bool>& values) {
  require(static_cast<std::size_t>(values.size()) == set.count(), "there must be one value a row");
  const std::uint8_t* bytes = bytes_of(values);
  return made_by([&] { return set.selected(bytes); });
}

RowSet extended_to(const RowSet& set, std::size_t n_rows) {
  require_size(n_rows);
  return set.extended_to(n_rows);
}

py::array_t<std::int64_t> numbers_of(const RowSet& set, std::size_t begin,
                                     std::optional<std::size_t> given_end) {
  const std::size_t end = given_end.value_or(set.n_rows());
  require(begin <= end && end <= set.n_rows(), "the rows must be those of the set");
  const RowMask mask = set.mask();
  const bool is_whole = begin == 0 && end == set.n_rows();
  const std::size_t n = is_whole ? set.count() : mask.count(begin, end);
  py::array_t<std::int64_t> numbers(static_cast<py::ssize_t>(n));
  std::int64_t* out = numbers.mutable_data();
  without_gil([&] {
    mask.for_each(begin, end, [&](std::size_t row) { *out++ = static_cast<std::int64_t>(row); });
  });
  return numbers;
}

// The same numbers, with -1 in place of those that are not in the set.
py::array_t<std::int64_t> kept(const RowSet& set, const Numbers& numbers) {
  const std::int64_t* values = values_of(numbers);
  py::array_t<std::int64_t> some(numbers.size());
  std::int64_t* out = some.mutable_data();
  for (py::ssize_t i = 0; i < numbers.size(); ++i) {
    const bool is_in = values[i] >= 0 && set.contains(static_cast<std::size_t>(values[i]));
    out[i] = is_in ? values[i] : -1;
  }
  return some;
}

std::shared_ptr<LiveRows> all_live(std::size_t n_rows) {
  require_size(n_rows);
  return std::make_shared<LiveRows>(n_rows);
}

// With the GIL, so that no other thread holds the lock of the rows when the process forks.
std::size_t remove_rows(LiveRows& live, const Numbers& numbers) {
  require_rows(numbers, live.n_rows());
  return live.remove(values_of(numbers), size_of(numbers));
}

bool remove_row(LiveRows& live, std::int64_t row) {
  require(row < static_cast<std::int64_t>(live.n_rows()), "the number must be one of a row");
  return live.remove(&row, 1) == 1;
}

std::shared_ptr<RowSet> current(const LiveRows& live) {
  return std::const_pointer_cast<RowSet>(live.current());  // Python has no way to change it
}

std::shared_ptr<LiveRows> live_extended_to(const LiveRows& live, std::size_t n_rows) {
  require_size(n_rows);
  return live.extended_to(n_rows);
}

IdentifiedRows identified(const Numbers& ids, const RowSet* set) {
  require(set == nullptr || set->n_rows() >= size_of(ids), "there must be one id for each row");
  return {values_of(ids), size_of(ids), set == nullptr ? RowMask{} : set->mask()};
}

std::unique_ptr<IdIndex> index_of(const Numbers& ids, std::size_t capacity, std::uint64_t seed) {
  require_size(capacity);
  require(size_of(ids) <= capacity, "there must be room for the ids");
  std::unique_ptr<IdIndex> index;
  without_gil([&] {
    index = std::make_unique<IdIndex>(capacity, seed);
    index->build(values_of(ids), size_of(ids));
  });
  return index;
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

std::int64_t find_one(const IdIndex& index, const Numbers& ids, std::int64_t id) {
  return index.find_one(identified(ids, nullptr), id);
}

}  // namespace

void register_rows(py::module_& m) {
  // Ordinary classes, as the stubs say: no metaclass of pybind11's.
  const py::handle type(reinterpret_cast<PyObject*>(&PyType_Type));
  py::class_<RowSet, std::shared_ptr<RowSet>>(m, "RowSet", py::metaclass(type))
      .def_static("of_values", &set_of_values, py::arg("values").noconvert())
      .def_static("of_numbers", &set_of_numbers, py::arg("numbers").noconvert(), py::arg("n_rows"))
      .def("__len__", &RowSet::count)
      .def("__and__", &common)
      .def_property_readonly("n_rows", &RowSet::n_rows)
      .def("with_numbers", &with_numbers, py::arg("numbers").noconvert())
      .def("selected", &selected, py::arg("values").noconvert())
      .def("extended_to", &extended_to, py::arg("n_rows"))
      .def("numbers", &numbers_of, py::arg("begin") = 0, py::arg("end") = py::none())
      .def("kept", &kept, py::arg("numbers").noconvert());
  py::class_<LiveRows, std::shared_ptr<LiveRows>>(m, "LiveRows", py::metaclass(type))
      .def(py::init(&all_live), py::arg("n_rows"))
      .def("__len__", &LiveRows::count)
      .def_property_readonly("n_rows", &LiveRows::n_rows)
      .def("current", &current)
      .def("remove", &remove_rows, py::arg("numbers").noconvert())
      .def("remove_one", &remove_row, py::arg("number"))
      .def("extended_to", &live_extended_to, py::arg("n_rows"));
  py::class_<IdIndex>(m, "IdIndex", py::metaclass(type))
      .def(py::init(&index_of), py::arg("ids").noconvert(), py::arg("capacity"), py::arg("seed"))
      .def("__len__", &IdIndex::size)
      .def_property_readonly("capacity", &IdIndex::capacity)
      .def_property_readonly("version", &IdIndex::version)
      .def("enter", &enter, py::arg("ids").noconvert(), py::arg("rows").none(true),
           py::arg("new_ids").noconvert())
      .def("find", &find, py::arg("ids").noconvert(), py::arg("rows").none(true),
           py::arg("wanted").noconvert())
      .def("find_one", &find_one, py::arg("ids").noconvert(), py::arg("id"));
}

}  // namespace bitsift
