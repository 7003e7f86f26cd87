// SPDX-License-Identifier: Apache-2.0
#include "base/row_set.hpp"
#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "bindings/segments.hpp"
#include "search/all_pairs.hpp"
#include "search/self_join.hpp"
#include "search/shared_scan.hpp"
#include "search/topk.hpp"

namespace bitsift {
namespace {

py::tuple search_codes(const RowsArgument<py::array_t<std::uint8_t>>& codes,
                       const py::array_t<std::uint8_t>& queries,
                       const std::optional<Vector<std::uint8_t>>& magnitudes, std::size_t k,
                       const IdsArgument& ids, const RowSet* rows_in, const std::string& isa,
                       std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const auto documents = segments_of<std::uint8_t>(codes);
  const Queries wanted = queries_of(queries, magnitudes);
  require(documents.n_columns() == wanted.codes.n_columns,
          "codes and queries must be equally long");
  require(documents.n_columns() <= kMaxCodeBytes, "codes have at most 65536 bits");
  require(documents.n_rows() <= kMaxRows, "there are at most 2^40 codes");
  require(rows_in == nullptr || rows_in->n_rows() >= documents.n_rows(),
          "the set must be one of these rows");
  ScanOptions options = {
      .k = k, .ids = ids_of(ids, documents.n_rows()), .n_threads = threads_of(threads)};
  if (rows_in != nullptr && !rows_in->is_all()) options.mask = rows_in->mask();
  auto distances = empty<std::int32_t>(wanted.codes.n_rows, k);
  auto rows = empty<std::int64_t>(wanted.codes.n_rows, k);
  std::int32_t* distances_out = distances.mutable_data();
  std::int64_t* rows_out = rows.mutable_data();
  without_gil([&] {
    check_magnitudes(wanted, options.n_threads);
    shared_scan(kernels, documents, wanted, options, distances_out, rows_out);
  });
  return py::make_tuple(distances, rows);
}

// Calls `progress` now and then with the part of the work that is done.
py::tuple knn_graph(const py::array_t<std::uint8_t>& codes, std::size_t k,
                    const py::object& progress, const std::string& isa, std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const auto documents = matrix_of<std::uint8_t>(codes);
  require(documents.n_columns <= kMaxCodeBytes, "codes have at most 65536 bits");
  require(documents.n_rows <= kMaxRows, "there are at most 2^40 codes");
  auto distances = empty<std::int32_t>(documents.n_rows, k);
  auto rows = empty<std::int64_t>(documents.n_rows, k);
  std::int32_t* distances_out = distances.mutable_data();
  std::int64_t* rows_out = rows.mutable_data();
  JoinProgress done;
  ShowProgress show;
  if (!progress.is_none()) {
    show = [&done, function = progress.ptr()] {
      PyObject* result = PyObject_CallFunction(function, "d", done.part());
      Py_XDECREF(result);
      return result != nullptr;
    };
  }
  without_gil(
      [&] {
        self_join(kernels, documents, k, threads_of(threads), distances_out, rows_out, &done);
      },
      show);
  return py::make_tuple(distances, rows);
}

py::array_t<std::int32_t> hamming(const py::array_t<std::uint8_t>& a,
                                  const py::array_t<std::uint8_t>& b, const std::string& isa,
                                  std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const auto left = matrix_of<std::uint8_t>(a);
  const auto right = matrix_of<std::uint8_t>(b);
  require(left.n_columns == right.n_columns, "codes must be equally long");
  require(left.n_columns <= kMaxCodeBytes, "codes have at most 65536 bits");
  auto distances = empty<std::int32_t>(left.n_rows, right.n_rows);
  std::int32_t* out = distances.mutable_data();
  without_gil([&] { all_pairs(kernels, left, right, threads_of(threads), out); });
  return distances;
}

}  // namespace

void register_search(py::module_& m) {
  m.def("search", &search_codes, py::arg("codes").noconvert(), py::arg("queries").noconvert(),
        py::arg("magnitudes").noconvert(), py::kw_only(), py::arg("k"), py::arg("ids").noconvert(),
        py::arg("rows") = nullptr, py::arg("isa"), py::arg("threads"));
  m.def("knn_graph", &knn_graph, py::arg("codes").noconvert(), py::kw_only(), py::arg("k"),
        py::arg("progress"), py::arg("isa"), py::arg("threads"));
  m.def("hamming", &hamming, py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("isa"),
        py::arg("threads"));
}

}  // namespace bitsift
