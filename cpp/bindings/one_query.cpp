// SPDX-License-Identifier: Apache-2.0
// Searches of one query, with arguments of the usual types, in one call. For others they return
// None, and the Python layer searches in its general way.
#include "retrieval/one_query.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/live_rows.hpp"
#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "bindings/segments.hpp"
#include "bindings/usual_arguments.hpp"

namespace bitsift {
namespace {

// With more results, the time that Python takes for its checks does not count.
constexpr std::size_t kMostResults = 4096;

float as_float(double value) { return static_cast<float>(value); }
float as_float(Half value) { return to_float(value); }

void require_tuple_type(const py::type& type) {
  auto* object = reinterpret_cast<PyTypeObject*>(type.ptr());
  if (!PyType_HasFeature(object, Py_TPFLAGS_TUPLE_SUBCLASS)) {
    throw py::type_error("the type of results must be a tuple");
  }
}

// What every search gets.
struct Request {
  UsualQuery query;
  std::size_t k;
  std::size_t threads;

  static std::optional<Request> of(py::handle query, py::handle k, py::handle threads) {
    auto usual_query = UsualQuery::of(query);
    const auto usual_k = usual_size(k, kMostResults);
    const auto usual_threads = usual_size(threads, kMaxThreads);
    if (!usual_query || !usual_k || !usual_threads) return std::nullopt;
    return Request{*std::move(usual_query), *usual_k, *usual_threads};
  }

  // The operating system is asked for their number where more than one may be worth it.
  std::size_t n_threads(const IndexedRows& rows, std::size_t n_candidates) const {
    return is_for_one_thread(rows, n_candidates) ? 1 : threads_of(threads);
  }
};

// Room for scores and ids of `n` results, of as many axes as the query.
template <class Score>
class Results {
 public:
  Results(const Request& request, std::size_t n)
      : scores_(room<Score>(request, n)), ids_(room<std::int64_t>(request, n)) {}

  Score* scores() { return scores_.mutable_data(); }
  std::int64_t* ids() { return ids_.mutable_data(); }

  // As tuple.__new__(type, (scores, ids)) would make it, in less time.
  py::object as(py::handle type) {
    auto* tuple_type = reinterpret_cast<PyTypeObject*>(type.ptr());
    auto tuple = py::reinterpret_steal<py::object>(tuple_type->tp_alloc(tuple_type, 2));
    if (!tuple) throw py::error_already_set();
    PyTuple_SET_ITEM(tuple.ptr(), 0, scores_.release().ptr());
    PyTuple_SET_ITEM(tuple.ptr(), 1, ids_.release().ptr());
    return tuple;
  }
  // Of which the kind of scores has to be said.
  py::object as(py::handle type, const py::str& kind) {
    PYBIND11_CONSTINIT static py::gil_safe_call_once_and_store<py::object> name;
    auto result = as(type);
    name.call_once_and_store_result([] { return py::str("_kind"); });
    // The type's own way to set attributes refuses.
    if (PyObject_GenericSetAttr(result.ptr(), name.get_stored().ptr(), kind.ptr()) != 0) {
      throw py::error_already_set();
    }
    return result;
  }

 private:
  template <class T>
  static py::array_t<T> room(const Request& request, std::size_t n) {
    if (!request.query.is_single()) return empty<T>(1, n);
    return py::array_t<T>(static_cast<py::ssize_t>(n));
  }

  py::array_t<Score> scores_;
  py::array_t<std::int64_t> ids_;
};

py::object search_by_code(const IndexedRows& rows, const Request& request, const std::uint8_t* code,
                          std::size_t k, py::handle result_type) {
  Results<std::int32_t> results(request, k);
  std::int32_t* distances = results.scores();
  std::int64_t* ids = results.ids();
  const std::size_t n_threads = request.n_threads(rows, 0);
  without_gil([&] { search_code(rows, code, k, n_threads, distances, ids); });
  return results.as(result_type);
}

// Searches the caller's codes.
py::object search_one(py::handle codes, py::handle query, py::handle k, py::handle isa,
                      py::handle threads, const py::type& result_type) {
  require_tuple_type(result_type);
  const auto documents = usual_codes(codes);
  const auto request = Request::of(query, k, threads);
  if (!documents || !request || request->query.size() != documents->n_columns) return py::none();
  const auto* code = request->query.values<std::uint8_t>('u');
  if (code == nullptr) return py::none();
  const Kernels* kernels = isa.is_none() ? available_kernels().back() : usual_kernels(isa);
  if (kernels == nullptr) return py::none();
  IndexedRows rows{};
  rows.kernels = kernels;
  rows.codes = *documents;
  return search_by_code(rows, *request, code, std::min(request->k, rows.codes.n_rows()),
                        result_type);
}

// threshold, flips, normalize
using CentringArrays = std::tuple<Vector<float>, py::array_t<float>, bool>;
// stored, and for integers their type, base and step
using OriginalArrays = std::tuple<RowsArgument<py::array>, std::optional<std::string>,
                                  std::optional<Vector<double>>, std::optional<Vector<double>>>;
using Codes = RowsArgument<py::array_t<std::uint8_t>>;

// How many candidates are rescored: some for each result, or by steps (n_results, n_candidates).
using Candidates = std::variant<std::size_t, StepPairs>;

// The candidates of one search.
struct SearchPlan {
  std::size_t k;
  std::size_t n_candidates;
  std::vector<Step> steps;  // none: all results from all candidates

  Wanted wanted() const { return {.k = k, .n_candidates = n_candidates, .steps = steps}; }
};

class CandidateRule {
 public:
  explicit CandidateRule(const Candidates& candidates) {
    if (const auto* oversampling = std::get_if<std::size_t>(&candidates)) {
      oversampling_ = *oversampling;
      return;
    }
    steps_ = steps_of(std::get<StepPairs>(candidates));
  }

  // For k results of so many rows, as `steps_by_position` of the Python layer has it. Nothing if
  // there are fewer steps than so many results need.
  std::optional<SearchPlan> of(std::size_t k, std::size_t n_rows) const {
    k = std::min(k, n_rows);
    if (oversampling_ > 0 || k == 0) {
      return SearchPlan{.k = k, .n_candidates = std::min(k * oversampling_, n_rows), .steps = {}};
    }
    SearchPlan plan = {.k = k, .n_candidates = 0, .steps = {}};
    for (Step step : steps_) {
      step.n_candidates = std::min(step.n_candidates, n_rows);
      if (step.n_results >= k || step.n_candidates == n_rows) {
        step.n_results = k;
        plan.n_candidates = step.n_candidates;
        plan.steps.push_back(step);
        return plan;
      }
      plan.steps.push_back(step);
    }
    return std::nullopt;
  }

 private:
  std::size_t oversampling_ = 0;
  std::vector<Step> steps_;
};

// Searches the live rows of an index. Never changes, so any number of threads may use it.
class OneQuerySearch {
 public:
  OneQuerySearch(const Codes& codes, std::size_t dim, const Vector<float>& thresholds,
                 const std::optional<CentringArrays>& centring,
                 const std::optional<OriginalArrays>& originals, const std::string& metric,
                 const IdsArgument& ids, const IdsArgument& tie_ids, const Candidates& candidates,
                 bool is_asymmetric, const std::shared_ptr<LiveRows>& live, const std::string& isa,
                 const py::type& result_type)
      : arrays_(py::make_tuple(codes, thresholds, centring, originals, ids, tie_ids)),
        result_type_(result_type),
        kind_(metric),
        candidates_(candidates),
        live_(live) {
    require_tuple_type(result_type);
    rows_.kernels = &kernels_named(isa);
    rows_.dim = dim;
    rows_.is_asymmetric = is_asymmetric;
    rows_.rule.thresholds = values_of(thresholds);
    rows_.codes = segments_of<std::uint8_t>(codes);
    rows_.metric = metric_named(metric);
    rows_.ids = ids_of(ids, rows_.codes.n_rows());
    rows_.tie_ids = ids_of(tie_ids, rows_.codes.n_rows());
    require(rows_.codes.n_columns() == (dim + 7) / 8 && rows_.codes.n_columns() <= kMaxCodeBytes,
            "codes must have one bit for each dimension, at most 65536");
    require(rows_.codes.n_rows() <= kMaxRows, "there are at most 2^40 codes");
    require(live_ == nullptr || live_->n_rows() == rows_.codes.n_rows(),
            "the live rows must be those of the codes");
    require_values(thresholds, "there must be one threshold for each dimension");
    if (centring) rows_.rule.centring = centred_rotation(*centring);
    if (originals) rows_.originals = originals_of(*originals);
  }

  py::object search(py::handle query, py::handle k, py::handle threads) const {
    const auto request = Request::of(query, k, threads);
    if (!request) return py::none();
    // With the GIL, so that no other thread holds the lock of the rows when the process forks.
    const auto live = live_ == nullptr ? nullptr : live_->current();
    if (live == nullptr) return search_rows(rows_, *request, rows_.codes.n_rows());
    IndexedRows rows = rows_;
    rows.mask = live->mask();
    return search_rows(rows, *request, live->count());
  }

 private:
  template <class T>
  void require_values(const Vector<T>& array, const char* what) const {
    require(static_cast<std::size_t>(array.size()) == rows_.dim, what);
  }

  CentredRotation centred_rotation(const CentringArrays& arrays) const {
    const auto& [threshold, flips, normalize] = arrays;
    const auto signs = matrix_of<float>(flips);
    require_values(threshold, "the threshold must be as long as the vectors");
    require(signs.n_columns == rows_.dim && signs.n_rows % flips_per_round(rows_.dim) == 0,
            "flips must be as long as the vectors");
    return {.normalize = normalize, .threshold = values_of(threshold), .flips = signs};
  }

  Originals originals_of(const OriginalArrays& arrays) const {
    const auto& [stored, integer_type, base, step] = arrays;
    if (!integer_type) {
      if (are_floats(stored, 2)) return checked(segments_of<Half>(stored), rows_.dim);
      require(are_floats(stored, 4), "originals must be float32 or float16");
      return checked(segments_of<float>(stored), rows_.dim);
    }
    require(base && step, "integers must have a base and a step");
    require_values(*base, "there must be one base for each dimension");
    require_values(*step, "there must be one step for each dimension");
    const IntegerType type = integers_named(*integer_type);
    return IntegerVectors{
        .rows = checked(segments_of<std::uint8_t>(stored), bytes_for(type, rows_.dim)),
        .type = type,
        .dim = rows_.dim,
        .scale = {.base = values_of(*base), .step = values_of(*step)}};
  }
  template <class T>
  Segments<T> checked(const Segments<T>& originals, std::size_t n_columns) const {
    require(originals.n_columns() == n_columns, "originals must be as long as the vectors");
    require(originals.n_rows() == rows_.codes.n_rows(), "there must be one original for each code");
    return originals;
  }

  // Whether these bytes are a code of the index, whose pad bits are zero.
  bool is_code(const std::uint8_t* bytes, std::size_t n_bytes) const {
    const std::size_t n_pad = 8 * n_bytes - rows_.dim;
    return n_bytes == rows_.codes.n_columns() && (bytes[n_bytes - 1] & ((1u << n_pad) - 1)) == 0;
  }

  // Searches rows of which `n_rows` take part.
  py::object search_rows(const IndexedRows& rows, const Request& request,
                         std::size_t n_rows) const {
    const UsualQuery& row = request.query;
    if (const auto* code = row.values<std::uint8_t>('u')) {
      if (!is_code(code, row.size())) return py::none();
      return search_by_code(rows, request, code, std::min(request.k, n_rows), result_type_);
    }
    if (row.size() != rows.dim) return py::none();
    if (const auto* values = row.values<float>('f')) {
      return search_by_values(rows, request, n_rows, values);
    }
    if (const auto* values = row.values<double>('f')) {
      return search_by_values(rows, request, n_rows, values);
    }
    if (const auto* values = row.values<Half>('f')) {
      return search_by_values(rows, request, n_rows, values);
    }
    return py::none();
  }

  template <class Value>
  py::object search_by_values(const IndexedRows& rows, const Request& request, std::size_t n_rows,
                              const Value* values) const {
    if (rows.has_originals()) return search_and_rescore_values(rows, request, n_rows, values);
    const std::size_t k = std::min(request.k, n_rows);
    return rows.is_asymmetric ? score_values(rows, request, k, values)
                              : search_values(rows, request, k, values);
  }

  template <class Value>
  py::object search_values(const IndexedRows& rows, const Request& request, std::size_t k,
                           const Value* values) const {
    Results<std::int32_t> results(request, k);
    std::int32_t* distances = results.scores();
    std::int64_t* ids = results.ids();
    const std::size_t n_threads = request.n_threads(rows, 0);
    const bool is_finite = with_encoded(values, [&](const float*, const ScannedQuery& scanned) {
      search_code(rows, scanned.code.data(), k, n_threads, distances, ids);
    });
    return is_finite ? results.as(result_type_) : py::none();
  }

  template <class Value>
  py::object score_values(const IndexedRows& rows, const Request& request, std::size_t k,
                          const Value* values) const {
    Results<float> results(request, k);
    float* scores = results.scores();
    std::int64_t* ids = results.ids();
    const std::size_t n_threads = request.n_threads(rows, 0);
    const bool is_finite = with_encoded(values, [&](const float*, const ScannedQuery& scanned) {
      search_by_scores(rows, scanned, k, n_threads, scores, ids);
    });
    return is_finite ? results.as(result_type_, kind_) : py::none();
  }

  template <class Value>
  py::object search_and_rescore_values(const IndexedRows& rows, const Request& request,
                                       std::size_t n_rows, const Value* values) const {
    const auto plan = candidates_.of(request.k, n_rows);
    if (!plan) return py::none();
    Results<float> results(request, plan->k);
    float* scores = results.scores();
    std::int64_t* ids = results.ids();
    const std::size_t n_threads = request.n_threads(rows, plan->n_candidates);
    const bool is_finite =
        with_encoded(values, [&](const float* query, const ScannedQuery& scanned) {
          search_and_rescore(rows, scanned, query, plan->wanted(), n_threads, scores, ids);
        });
    return is_finite ? results.as(result_type_, kind_) : py::none();
  }

  // Calls body(query, scanned query) without the GIL, if all values are finite in float32; returns
  // whether they are.
  template <class Value, class Body>
  bool with_encoded(const Value* values, Body&& body) const {
    bool is_finite = false;
    without_gil([&] {
      std::unique_ptr<float[]> narrowed;
      const float* query;
      if constexpr (std::is_same_v<Value, float>) {
        query = values;
      } else {
        narrowed = std::make_unique_for_overwrite<float[]>(rows_.dim);
        std::transform(values, values + rows_.dim, narrowed.get(),
                       [](Value x) { return as_float(x); });
        query = narrowed.get();
      }
      ScannedQuery scanned;
      is_finite = encode_query(rows_, query, scanned);
      if (is_finite) body(query, scanned);
    });
    return is_finite;
  }

  py::tuple arrays_;  // keeps alive what rows_ points to
  py::type result_type_;
  py::str kind_;
  CandidateRule candidates_;
  std::shared_ptr<const LiveRows> live_;  // nullptr: all rows
  IndexedRows rows_{};
};

// A function, not an object with a method: calls take less time.
py::cpp_function one_query_search(const Codes& codes, std::size_t dim,
                                  const Vector<float>& thresholds,
                                  const std::optional<CentringArrays>& centring,
                                  const std::optional<OriginalArrays>& originals,
                                  const std::string& metric, const IdsArgument& ids,
                                  const IdsArgument& tie_ids, const Candidates& candidates,
                                  bool asymmetric, const std::shared_ptr<LiveRows>& live,
                                  const std::string& isa, const py::type& result_type) {
  auto prepared = std::make_unique<const OneQuerySearch>(
      codes, dim, thresholds, centring, originals, metric, ids, tie_ids, candidates, asymmetric,
      live, isa, result_type);
  return py::cpp_function(
      [prepared = std::move(prepared)](py::handle query, py::handle k, py::handle threads) {
        return prepared->search(query, k, threads);
      });
}

}  // namespace

void register_one_query(py::module_& m) {
  m.def("search_one", &search_one);
  m.def("one_query_search", &one_query_search, py::arg("codes").noconvert(), py::kw_only(),
        py::arg("dim"), py::arg("thresholds").noconvert(), py::arg("centring").noconvert(),
        py::arg("originals").noconvert(), py::arg("metric"), py::arg("ids").noconvert(),
        py::arg("tie_ids").noconvert(), py::arg("candidates"), py::arg("asymmetric"),
        py::arg("live").none(true), py::arg("isa"), py::arg("result_type"));
}

}  // namespace bitsift
