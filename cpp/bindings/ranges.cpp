// SPDX-License-Identifier: Apache-2.0
// All rows within a distance.

#include <algorithm>
#include <span>
#include <vector>

#include "base/row_set.hpp"
#include "base/thread_pool.hpp"
#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "bindings/segments.hpp"
#include "search/query_batch.hpp"
#include "search/range_scan.hpp"

namespace bitsift {
namespace {

// What both functions take.
struct Arguments {
  const Kernels& kernels;
  Segments<std::uint8_t> codes;
  Queries queries;
  std::span<const std::int64_t> limits;
  RangeOptions options;
};

// Of the rows from `begin` on.
Arguments arguments_of(const RowsArgument<py::array_t<std::uint8_t>>& codes,
                       const py::array_t<std::uint8_t>& queries,
                       const std::optional<Vector<std::uint8_t>>& magnitudes,
                       const Vector<std::int64_t>& limits, const IdsArgument& ids,
                       const RowSet* rows_in, std::size_t begin, const std::string& isa,
                       std::size_t threads) {
  const auto documents = segments_of<std::uint8_t>(codes);
  const Queries wanted = queries_of(queries, magnitudes);
  const std::size_t n_rows = documents.n_rows();
  require(documents.n_columns() == wanted.codes.n_columns,
          "codes and queries must be equally long");
  require(documents.n_columns() <= kMaxCodeBytes, "codes have at most 65536 bits");
  require(n_rows <= kMaxRows, "there are at most 2^40 codes");
  require(begin <= n_rows, "the first row must be one of the codes");
  require(rows_in == nullptr || rows_in->n_rows() >= n_rows, "the set must be one of these rows");
  const auto n_limits = static_cast<std::size_t>(limits.size());
  require(limits.ndim() == 1 && n_limits == wanted.codes.n_rows,
          "there must be one limit for each query");
  RangeOptions options = {
      .ids = ids_of(ids, n_rows).from(begin), .n_threads = threads_of(threads), .first_row = begin};
  if (rows_in != nullptr && !rows_in->is_all()) options.mask = rows_in->mask();
  return {.kernels = kernels_named(isa),
          .codes = documents.part(begin, n_rows),
          .queries = wanted,
          .limits = {values_of(limits), n_limits},
          .options = options};
}

// Writes what was found for each query behind that of the one before, and gives back its memory.
void write(FoundRows& found, const std::int64_t* lims, std::size_t first_row, std::size_t n_threads,
           std::int32_t* distances, std::int64_t* rows) {
  const auto first = static_cast<std::int64_t>(first_row);
  for_each_piece(found.size(), 1, n_threads, [&](std::size_t query, std::size_t) {
    const std::vector<Neighbor> neighbors = std::move(found[query]);
    std::int64_t i = lims[query];
    for (const Neighbor one : neighbors) {
      distances[i] = one.distance();
      rows[i++] = first + one.row();
    }
  });
}

py::tuple range_search(const RowsArgument<py::array_t<std::uint8_t>>& codes,
                       const py::array_t<std::uint8_t>& queries,
                       const std::optional<Vector<std::uint8_t>>& magnitudes,
                       const Vector<std::int64_t>& limits, const IdsArgument& ids,
                       const RowSet* rows_in, std::size_t begin, std::optional<std::size_t> most,
                       const std::string& isa, std::size_t threads) {
  const Arguments given =
      arguments_of(codes, queries, magnitudes, limits, ids, rows_in, begin, isa, threads);
  const std::size_t n_queries = given.queries.codes.n_rows;
  if (most) {
    require(n_queries <= kMaxBatchQueries && n_queries <= *most,
            "a part is of at most 256 queries, and of a row for each");
  }
  RangePart part;
  without_gil([&] {
    check_magnitudes(given.queries, given.options.n_threads);
    if (most) {
      part = range_scan_part(given.kernels, given.codes, given.queries, given.limits, *most,
                             given.options);
    } else {
      part = {.found = range_scan(given.kernels, given.codes, given.queries, given.limits,
                                  given.options),
              .n_rows = given.codes.n_rows()};
    }
  });
  py::array_t<std::int64_t> lims(static_cast<py::ssize_t>(n_queries) + 1);
  std::int64_t* lims_out = lims.mutable_data();
  lims_out[0] = 0;
  for (std::size_t i = 0; i < n_queries; ++i) {
    lims_out[i + 1] = lims_out[i] + static_cast<std::int64_t>(part.found[i].size());
  }
  py::array_t<std::int32_t> distances(lims_out[n_queries]);
  py::array_t<std::int64_t> rows(lims_out[n_queries]);
  std::int32_t* distances_out = distances.mutable_data();
  std::int64_t* rows_out = rows.mutable_data();
  without_gil([&] {
    write(part.found, lims_out, begin, given.options.n_threads, distances_out, rows_out);
  });
  return py::make_tuple(lims, distances, rows, begin + part.n_rows);
}

py::array_t<std::int64_t> count_in_range(const RowsArgument<py::array_t<std::uint8_t>>& codes,
                                         const py::array_t<std::uint8_t>& queries,
                                         const std::optional<Vector<std::uint8_t>>& magnitudes,
                                         const Vector<std::int64_t>& limits, const RowSet* rows_in,
                                         const std::string& isa, std::size_t threads) {
  const Arguments given =
      arguments_of(codes, queries, magnitudes, limits, {}, rows_in, 0, isa, threads);
  py::array_t<std::int64_t> counts(static_cast<py::ssize_t>(given.queries.codes.n_rows));
  std::int64_t* counts_out = counts.mutable_data();
  without_gil([&] {
    check_magnitudes(given.queries, given.options.n_threads);
    count_range(given.kernels, given.codes, given.queries, given.limits, given.options, counts_out);
  });
  return counts;
}

}  // namespace

void register_ranges(py::module_& m) {
  m.def("range_search", &range_search, py::arg("codes").noconvert(), py::arg("queries").noconvert(),
        py::arg("magnitudes").noconvert(), py::arg("limits").noconvert(), py::kw_only(),
        py::arg("ids").noconvert(), py::arg("rows") = nullptr, py::arg("begin") = 0,
        py::arg("most") = py::none(), py::arg("isa"), py::arg("threads"));
  m.def("count_in_range", &count_in_range, py::arg("codes").noconvert(),
        py::arg("queries").noconvert(), py::arg("magnitudes").noconvert(),
        py::arg("limits").noconvert(), py::kw_only(), py::arg("rows") = nullptr, py::arg("isa"),
        py::arg("threads"));
}

}  // namespace bitsift
