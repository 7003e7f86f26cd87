// SPDX-License-Identifier: Apache-2.0
// Searches of one query with arguments of the usual types. Anything else gets None: the Python
// layer takes its general way then, which knows every type and words every error.
#include "retrieval/one_query.hpp"

#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "search/topk.hpp"

namespace bitsift {
namespace {

// More results than this take so long that checking arguments in Python costs nothing.
constexpr std::size_t kMostResults = 4096;

// An int, and nothing that merely can become one.
std::optional<std::size_t> size_of(py::handle number, std::size_t most) {
  if (!PyLong_CheckExact(number.ptr())) return std::nullopt;
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  if (overflow != 0 || value < 0 || static_cast<std::size_t>(value) > most) return std::nullopt;
  return static_cast<std::size_t>(value);
}

// One row of values that compiled code can read in place: an ndarray, no subclass, of shape (n,) or
// (1, n).
class Row {
 public:
  static std::optional<Row> of(py::handle array, py::handle array_type) {
    if (!py::type::handle_of(array).is(array_type)) return std::nullopt;
    Row row(py::reinterpret_borrow<py::array>(array));
    const py::ssize_t n_axes = row.array_.ndim();
    if (n_axes != 1 && !(n_axes == 2 && row.array_.shape(0) == 1)) return std::nullopt;
    const py::ssize_t stride = row.array_.strides(n_axes - 1);
    if (row.size() != 1 && stride != row.array_.itemsize()) return std::nullopt;
    return row;
  }

  bool is_single() const { return array_.ndim() == 1; }
  std::size_t size() const {
    return static_cast<std::size_t>(array_.shape(array_.ndim() - 1));
  }
  // The values, or nullptr if they are of another type.
  template <class T>
  const T* values(char kind) const {
    const py::dtype type = array_.dtype();
    const bool fits = type.kind() == kind && type.itemsize() == sizeof(T) &&
                      (sizeof(T) == 1 || type.byteorder() == '=') && is_aligned<T>(array_.data());
    return fits ? static_cast<const T*>(array_.data()) : nullptr;
  }

 private:
  explicit Row(py::array array) : array_(std::move(array)) {}

  py::array array_;
};

// Room for the results of one query, in the shape that the query came in.
template <class Score>
struct Results {
  Results(const Row& query, std::size_t k)
      : scores(room<Score>(query, k)), ids(room<std::int64_t>(query, k)) {}

  template <class T>
  static py::array_t<T> room(const Row& query, std::size_t k) {
    if (query.is_single()) return py::array_t<T>(static_cast<py::ssize_t>(k));
    return empty<T>(1, k);
  }
  // As tuple.__new__(type, (scores, ids)) makes it.
  py::object as(py::handle type) {
    auto* tuple_type = reinterpret_cast<PyTypeObject*>(type.ptr());
    auto tuple = py::reinterpret_steal<py::object>(tuple_type->tp_alloc(tuple_type, 2));
    if (!tuple) throw py::error_already_set();
    PyTuple_SET_ITEM(tuple.ptr(), 0, scores.release().ptr());
    PyTuple_SET_ITEM(tuple.ptr(), 1, ids.release().ptr());
    return tuple;
  }

  py::array_t<Score> scores;
  py::array_t<std::int64_t> ids;
};

using CentringArrays = std::tuple<Vector<float>, py::array_t<float>, bool>;
using OriginalArrays = std::tuple<py::array, std::optional<std::string>,
                                  std::optional<Vector<double>>, std::optional<Vector<double>>>;

class OneQuerySearch {
 public:
  OneQuerySearch(const py::array_t<std::uint8_t>& codes, std::size_t dim,
                 const Vector<float>& thresholds, const std::optional<CentringArrays>& centring,
                 const std::optional<OriginalArrays>& originals, const std::string& metric,
                 const std::optional<Vector<std::int64_t>>& ids,
                 const std::optional<Vector<std::int64_t>>& tie_ids, std::size_t oversampling,
                 const std::string& isa, const py::type& result_type)
      : array_type_(py::type::of(py::array())),
        result_type_(result_type),
        oversampling_(oversampling) {
    rows_.kernels = &kernels_named(isa);
    rows_.dim = dim;
    rows_.metric = metric_named(metric);
    rows_.codes = matrix_of<std::uint8_t>(keep(codes));
    require(rows_.codes.n_columns == (dim + 7) / 8 && rows_.codes.n_columns <= kMaxCodeBytes,
            "codes must have one bit for each dimension, at most 65536");
    require(rows_.codes.n_rows <= kMaxRows, "there are at most 2^40 codes");
    require(static_cast<std::size_t>(thresholds.size()) == dim,
            "there must be one threshold for each dimension");
    rows_.rule.thresholds = values_of(keep(thresholds));
    if (centring) set_centring(*centring);
    if (originals) set_originals(*originals);
    if (ids) keep(*ids);
    if (tie_ids) keep(*tie_ids);
    rows_.ids = ids_of(ids, rows_.codes.n_rows);
    rows_.tie_ids = ids_of(tie_ids, rows_.codes.n_rows);
  }

  // Scores and ids; or None.
  py::object search(py::handle query, py::handle k_given, py::handle threads_given) const {
    const auto k = size_of(k_given, kMostResults);
    const auto threads = size_of(threads_given, kMaxThreads);
    const auto row = Row::of(query, array_type_);
    if (!k || !threads || !row) return py::none();
    if (const auto* code = row->values<std::uint8_t>('u')) {
      return has_width(*row, code) ? by_code(*row, code, *k, *threads) : py::none();
    }
    if (row->size() != rows_.dim) return py::none();
    if (const auto* values = row->values<float>('f')) return by_values(*row, values, *k, *threads);
    if (const auto* values = row->values<double>('f')) return by_values(*row, values, *k, *threads);
    return py::none();
  }

 private:
  template <class Array>
  const Array& keep(const Array& array) {
    kept_.append(array);
    return array;
  }

  void set_centring(const CentringArrays& arrays) {
    const auto& [threshold, flips, normalize] = arrays;
    const auto signs = matrix_of<float>(keep(flips));
    require(static_cast<std::size_t>(threshold.size()) == rows_.dim &&
                signs.n_columns == rows_.dim && signs.n_rows % flips_per_round(rows_.dim) == 0,
            "threshold and flips must be as long as the vectors");
    rows_.rule.centring = {
        .normalize = normalize, .threshold = values_of(keep(threshold)), .flips = signs};
  }

  void set_originals(const OriginalArrays& arrays) {
    const auto& [stored, integer_type, base, step] = arrays;
    keep(stored);
    if (integer_type) {
      require(base && step && static_cast<std::size_t>(base->size()) == rows_.dim &&
                  static_cast<std::size_t>(step->size()) == rows_.dim,
              "there must be one base and one step for each dimension");
      const IntegerVectors vectors = {
          .rows = matrix_of<std::uint8_t>(stored),
          .type = integers_named(*integer_type),
          .dim = rows_.dim,
          .scale = {.base = values_of(keep(*base)), .step = values_of(keep(*step))}};
      require(vectors.rows.n_columns == bytes_for(vectors.type, rows_.dim),
              "originals must be as long as the vectors");
      set_originals(vectors, vectors.rows.n_rows);
    } else {
      require(stored.dtype().kind() == 'f', "originals must be float32 or float16");
      if (stored.itemsize() == 2) {
        set_float_originals(matrix_of<Half>(stored));
      } else {
        set_float_originals(matrix_of<float>(stored));
      }
    }
  }
  template <class Value>
  void set_float_originals(const Matrix<Value>& matrix) {
    require(matrix.n_columns == rows_.dim, "originals must be as long as the vectors");
    set_originals(matrix, matrix.n_rows);
  }
  template <class Vectors>
  void set_originals(const Vectors& vectors, std::size_t n_rows) {
    require(n_rows == rows_.codes.n_rows, "there must be one original for each code");
    rows_.originals = vectors;
  }

  // Whether a code has the bits of the index, pad bits zero.
  bool has_width(const Row& row, const std::uint8_t* code) const {
    const std::size_t n_bytes = rows_.codes.n_columns;
    const std::size_t n_pad = 8 * n_bytes - rows_.dim;
    return row.size() == n_bytes && (code[n_bytes - 1] & ((1u << n_pad) - 1)) == 0;
  }

  std::size_t threads_for(std::size_t threads, std::size_t n_candidates) const {
    return is_for_one_thread(rows_, n_candidates) ? 1 : threads_of(threads);
  }

  py::object by_code(const Row& query, const std::uint8_t* code, std::size_t k,
                     std::size_t threads) const {
    Results<std::int32_t> results(query, k);
    std::int32_t* distances = results.scores.mutable_data();
    std::int64_t* ids = results.ids.mutable_data();
    threads = threads_for(threads, 0);
    without_gil([&] { search_code(rows_, code, k, threads, distances, ids); });
    return results.as(result_type_);
  }

  template <class Value>
  py::object by_values(const Row& query, const Value* values, std::size_t k,
                       std::size_t threads) const {
    if (!rows_.has_originals()) {
      Results<std::int32_t> results(query, k);
      std::int32_t* distances = results.scores.mutable_data();
      std::int64_t* ids = results.ids.mutable_data();
      threads = threads_for(threads, 0);
      const bool finite = with_code(values, [&](const float*, const std::uint8_t* code) {
        search_code(rows_, code, k, threads, distances, ids);
      });
      return finite ? results.as(result_type_) : py::none();
    }
    Results<float> results(query, k);
    float* scores = results.scores.mutable_data();
    std::int64_t* ids = results.ids.mutable_data();
    const std::size_t n_candidates = std::min(k * oversampling_, rows_.codes.n_rows);
    threads = threads_for(threads, n_candidates);
    const bool finite = with_code(values, [&](const float* floats, const std::uint8_t* code) {
      search_and_rescore(rows_, code, floats, k, n_candidates, threads, scores, ids);
    });
    return finite ? results.as(result_type_) : py::none();
  }

  // Calls body(values, code) without the GIL, unless a value is not finite; returns whether it did.
  template <class Value, class Body>
  bool with_code(const Value* values, Body&& body) const {
    bool finite = false;
    without_gil([&] {
      const float* floats = nullptr;
      std::unique_ptr<float[]> narrowed;
      if constexpr (std::is_same_v<Value, float>) {
        floats = values;
      } else {
        narrowed = std::make_unique_for_overwrite<float[]>(rows_.dim);
        std::copy(values, values + rows_.dim, narrowed.get());
        floats = narrowed.get();
      }
      const auto code = std::make_unique_for_overwrite<std::uint8_t[]>(rows_.codes.n_columns);
      finite = encode_query(rows_, floats, code.get());
      if (finite) body(floats, code.get());
    });
    return finite;
  }

  py::object array_type_;
  py::object result_type_;  // a subclass of tuple
  py::list kept_;  // the arrays that rows_ points into
  std::size_t oversampling_;
  IndexedRows rows_{};
};

}  // namespace

void register_one_query(py::module_& m) {
  m.def(
      "one_query_search",
      [](const py::array_t<std::uint8_t>& codes, std::size_t dim, const Vector<float>& thresholds,
         const std::optional<CentringArrays>& centring,
         const std::optional<OriginalArrays>& originals, const std::string& metric,
         const std::optional<Vector<std::int64_t>>& ids,
         const std::optional<Vector<std::int64_t>>& tie_ids, std::size_t oversampling,
         const std::string& isa, const py::type& result_type) {
        return py::cpp_function(
            [search = std::make_unique<const OneQuerySearch>(codes, dim, thresholds, centring,
                                                             originals, metric, ids, tie_ids,
                                                             oversampling, isa, result_type)](
                py::handle query, py::handle k, py::handle threads) {
              return search->search(query, k, threads);
            });
      },
      py::arg("codes").noconvert(), py::kw_only(), py::arg("dim"), py::arg("thresholds"),
      py::arg("centring"), py::arg("originals"), py::arg("metric"), py::arg("ids").noconvert(),
      py::arg("tie_ids").noconvert(), py::arg("oversampling"), py::arg("isa"),
      py::arg("result_type"));
}

}  // namespace bitsift
