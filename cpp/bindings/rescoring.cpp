// SPDX-License-Identifier: Apache-2.0
#include <tuple>

#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "bindings/segments.hpp"
#include "rescoring/rescore.hpp"
#include "rescoring/rescore_codes.hpp"

namespace bitsift {
namespace {

// Candidates of each query, and the results that rescoring them leaves. Steps are pairs
// (n_results, n_candidates).
class Rescoring {
 public:
  Rescoring(std::size_t n_queries, const Vector<std::int64_t>& candidates, std::size_t k,
            const StepPairs& steps, bool keep_order, const IdsArgument& ids,
            std::size_t n_documents)
      : scores_(empty<float>(n_queries, k)),
        rows_(empty<std::int64_t>(n_queries, k)),
        steps_(steps_of(steps)),
        scores_out_(scores_.mutable_data()),
        rows_out_(rows_.mutable_data()) {
    require(candidates.ndim() == 2 && static_cast<std::size_t>(candidates.shape(0)) == n_queries,
            "there must be one row of candidates for each query");
    candidates_ = {
        .rows = {.data = values_of(candidates),
                 .n_rows = n_queries,
                 .n_columns = static_cast<std::size_t>(candidates.shape(1)),
                 .stride = candidates.shape(1) * static_cast<py::ssize_t>(sizeof(std::int64_t))},
        .ids = ids_of(ids, n_documents),
        .k = k,
        .steps = steps_,
        .keep_order = keep_order};
    require(!keep_order || candidates_.rows.n_columns == k, "k must be the number of candidates");
    require(steps_.empty() || steps_.back().n_results >= k, "the steps must give k results");
  }

  // Calls body(candidates, scores, rows) without the GIL.
  template <class Body>
  py::tuple run(Body&& body) {
    without_gil([&] { body(candidates_, scores_out_, rows_out_); });
    return py::make_tuple(scores_, rows_);
  }

 private:
  py::array_t<float> scores_;
  py::array_t<std::int64_t> rows_;
  std::vector<Step> steps_;
  float* scores_out_;
  std::int64_t* rows_out_;
  CandidateRows candidates_;
};

py::tuple rescore_floats(const RowsArgument<py::array>& originals,
                         const py::array_t<float>& queries, const Vector<std::int64_t>& candidates,
                         std::size_t k, const std::string& metric_name, const StepPairs& steps,
                         bool keep_order, const IdsArgument& ids, const std::string& isa,
                         std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const Metric metric = metric_named(metric_name);
  const auto wanted = matrix_of<float>(queries);
  const auto rescored = [&](const auto& matrix) {
    require(matrix.n_columns() == wanted.n_columns, "originals and queries must be equally long");
    return Rescoring(wanted.n_rows, candidates, k, steps, keep_order, ids, matrix.n_rows())
        .run([&](const CandidateRows& rows_in, float* scores, std::int64_t* rows) {
          rescore(kernels, metric, matrix, wanted, rows_in, threads_of(threads), scores, rows);
        });
  };
  if (are_floats(originals, 2)) return rescored(segments_of<Half>(originals));
  if (are_floats(originals, 4)) return rescored(segments_of<float>(originals));
  throw py::type_error("originals must be float32 or float16");
}

py::tuple rescore_integers(const RowsArgument<py::array>& originals,
                           const py::array_t<float>& queries,
                           const Vector<std::int64_t>& candidates, const Vector<double>& base,
                           const Vector<double>& step, const std::string& type_name, std::size_t k,
                           const std::string& metric_name, const StepPairs& steps, bool keep_order,
                           const IdsArgument& ids, const std::string& isa, std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const Metric metric = metric_named(metric_name);
  const auto wanted = matrix_of<float>(queries);
  const std::size_t dim = wanted.n_columns;
  const IntegerVectors vectors = {.rows = segments_of<std::uint8_t>(originals),
                                  .type = integers_named(type_name),
                                  .dim = dim,
                                  .scale = {.base = values_of(base), .step = values_of(step)}};
  require(vectors.rows.n_columns() == bytes_for(vectors.type, dim),
          "originals and queries must be equally long");
  require(base.ndim() == 1 && step.ndim() == 1 && static_cast<std::size_t>(base.size()) == dim &&
              static_cast<std::size_t>(step.size()) == dim,
          "there must be one base and one step for each dimension");
  return Rescoring(wanted.n_rows, candidates, k, steps, keep_order, ids, vectors.rows.n_rows())
      .run([&](const CandidateRows& rows_in, float* scores, std::int64_t* rows) {
        rescore(kernels, metric, vectors, wanted, rows_in, threads_of(threads), scores, rows);
      });
}

// The metric; factors; and for each query a scale, a sum and a constant.
using EstimateArrays = std::tuple<std::string, RowsArgument<Vector<std::uint16_t>>, Vector<double>>;

py::tuple rescore_bits(const RowsArgument<py::array_t<std::uint8_t>>& codes,
                       const py::array_t<std::uint8_t>& queries,
                       const Vector<std::uint8_t>& magnitudes,
                       const Vector<std::int64_t>& candidates,
                       const std::optional<EstimateArrays>& estimate_arrays, std::size_t k,
                       const StepPairs& steps, bool keep_order, const IdsArgument& ids,
                       const std::string& isa, std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const auto documents = segments_of<std::uint8_t>(codes);
  const Queries wanted = queries_of(queries, magnitudes);
  require(documents.n_columns() == wanted.codes.n_columns,
          "codes and queries must be equally long");
  require(documents.n_columns() <= kMaxCodeBytes, "codes have at most 65536 bits");
  const std::size_t n_queries = wanted.codes.n_rows;
  std::optional<Estimate> estimate;
  if (estimate_arrays) {
    const auto& [metric_name, factors, numbers] = *estimate_arrays;
    const auto n = static_cast<py::ssize_t>(n_queries);
    require(numbers.ndim() == 2 && numbers.shape(0) == 3 && numbers.shape(1) == n,
            "there must be three numbers for each query");
    const double* first = values_of(numbers);
    estimate = {.metric = metric_named(metric_name),
                .factors = segments_of<std::uint16_t>(factors),
                .scales = first,
                .sums = first + n,
                .constants = first + 2 * n};
    const std::size_t n_columns = estimate->factors.n_columns();
    require(estimate->factors.n_rows() == documents.n_rows() && (n_columns == 1 || n_columns == 2),
            "there must be one or two factors for each code");
  }
  return Rescoring(n_queries, candidates, k, steps, keep_order, ids, documents.n_rows())
      .run([&](const CandidateRows& rows_in, float* scores, std::int64_t* rows) {
        check_magnitudes(wanted, threads_of(threads));
        rescore_codes(kernels, documents, wanted, rows_in, estimate ? &*estimate : nullptr,
                      threads_of(threads), scores, rows);
      });
}

}  // namespace

void register_rescoring(py::module_& m) {
  m.def("rescore", &rescore_floats, py::arg("originals"), py::arg("queries").noconvert(),
        py::arg("candidates").noconvert(), py::kw_only(), py::arg("k"), py::arg("metric"),
        py::arg("steps") = StepPairs{}, py::arg("keep_order") = false, py::arg("ids").noconvert(),
        py::arg("isa"), py::arg("threads"));
  m.def("rescore_integers", &rescore_integers, py::arg("originals"), py::arg("queries").noconvert(),
        py::arg("candidates").noconvert(), py::arg("base").noconvert(), py::arg("step").noconvert(),
        py::kw_only(), py::arg("integer_type"), py::arg("k"), py::arg("metric"),
        py::arg("steps") = StepPairs{}, py::arg("keep_order") = false, py::arg("ids").noconvert(),
        py::arg("isa"), py::arg("threads"));
  m.def("rescore_codes", &rescore_bits, py::arg("codes").noconvert(),
        py::arg("queries").noconvert(), py::arg("magnitudes").noconvert(),
        py::arg("candidates").noconvert(), py::kw_only(), py::arg("estimate"), py::arg("k"),
        py::arg("steps") = StepPairs{}, py::arg("keep_order") = false, py::arg("ids").noconvert(),
        py::arg("isa"), py::arg("threads"));
}

}  // namespace bitsift
