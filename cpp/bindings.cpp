// SPDX-License-Identifier: Apache-2.0
// Conversion, the GIL, exceptions, nothing else.
//
// Python hands over arrays that it has checked and says what is wrong in the caller's words; the
// checks here only make sure that no call, however made, reads or writes outside an array. Arrays
// are converted first and the GIL is released second: a conversion may allocate Python objects.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

#include "concurrent_search.hpp"
#include "correction.hpp"
#include "integers.hpp"
#include "kernels/dispatch.hpp"
#include "matrix.hpp"
#include "packing.hpp"
#include "preparation.hpp"
#include "rescore.hpp"
#include "rescore_codes.hpp"
#include "round_queries.hpp"
#include "scan.hpp"
#include "self_join.hpp"
#include "thread_pool.hpp"
#include "topk.hpp"

namespace py = pybind11;

namespace bitsift {
namespace {

const Kernels& kernels_named(const std::string& isa) {
  const Kernels* kernels = find_kernels(isa);
  if (kernels == nullptr) throw py::value_error("instruction set not available: " + isa);
  return *kernels;
}

void require(bool holds, const char* what) {
  if (!holds) throw py::value_error(what);
}

template <class T>
Matrix<T> matrix_of(const py::array& array) {
  require(array.ndim() == 2, "the array must have two axes");
  require(array.itemsize() == sizeof(T), "the array has values of another size");
  require(array.shape(1) > 0, "the array must have at least one column");
  // Strides of an axis that is never stepped along mean nothing.
  require(array.shape(0) == 0 || array.shape(1) == 1 || array.strides(1) == sizeof(T),
          "rows must be contiguous");
  return {.data = static_cast<const T*>(array.data()),
          .n_rows = static_cast<std::size_t>(array.shape(0)),
          .n_columns = static_cast<std::size_t>(array.shape(1)),
          .stride = array.strides(0)};
}

// Runs body() with the GIL released. pybind11's gil_scoped_release takes the GIL again in a
// destructor; while the interpreter shuts down, Python up to 3.13 ends a daemon thread there by
// unwinding its stack, and from a destructor that would abort the process. The thread is stopped
// here instead, as newer versions of Python stop it.
template <class Body>
void without_gil(Body&& body) {
  std::exception_ptr error;
  PyThreadState* state = PyEval_SaveThread();
  try {
    body();
  } catch (...) {
    error = std::current_exception();
  }
  try {
    PyEval_RestoreThread(state);
  } catch (...) {
    for (;;) pause();
  }
  if (error != nullptr) std::rethrow_exception(error);
}

template <class T>
using Vector = py::array_t<T, py::array::c_style>;

const std::int64_t* ids_of(const std::optional<Vector<std::int64_t>>& ids, std::size_t n_rows) {
  if (!ids) return nullptr;
  require(ids->ndim() == 1 && static_cast<std::size_t>(ids->size()) == n_rows,
          "there must be one id for each row");
  return ids->data();
}

std::size_t threads_of(std::size_t threads) {
  constexpr std::size_t kMaxThreads = 1024;
  return threads == 0 ? available_threads() : std::min(threads, kMaxThreads);
}

template <class T>
py::array_t<T> empty(std::size_t n_rows, std::size_t n_columns) {
  return py::array_t<T>({static_cast<py::ssize_t>(n_rows), static_cast<py::ssize_t>(n_columns)});
}

template <class Value, class Threshold>
bool pack_as(const Kernels& kernels, const py::array& values, const Vector<Threshold>& thresholds,
             std::size_t threads, std::uint8_t* codes) {
  const auto matrix = matrix_of<Value>(values);
  require(thresholds.ndim() == 1 && static_cast<std::size_t>(thresholds.size()) == matrix.n_columns,
          "there must be one threshold for each column");
  const Threshold* data = thresholds.data();
  bool finite = false;
  without_gil([&] { finite = pack(kernels, matrix, data, threads, codes); });
  return finite;
}

py::tuple pack_array(const py::array& values, const py::array& thresholds, const std::string& isa,
                     std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const char kind = values.dtype().kind();
  require(values.ndim() == 2, "the array must have two axes");
  auto codes = empty<std::uint8_t>(static_cast<std::size_t>(values.shape(0)),
                                   (static_cast<std::size_t>(values.shape(1)) + 7) / 8);
  std::uint8_t* out = codes.mutable_data();
  threads = threads_of(threads);
  bool finite = true;
  if (kind == 'b') {
    const auto matrix = matrix_of<std::uint8_t>(values);
    without_gil([&] { pack(kernels, matrix, threads, out); });
  } else if (kind == 'f' && values.itemsize() == 2) {
    finite = pack_as<Half>(kernels, values, Vector<float>(thresholds), threads, out);
  } else if (kind == 'f' && values.itemsize() == 4) {
    finite = pack_as<float>(kernels, values, Vector<float>(thresholds), threads, out);
  } else if (kind == 'f' && values.itemsize() == 8) {
    finite = pack_as<double>(kernels, values, Vector<double>(thresholds), threads, out);
  } else {
    throw py::type_error("the array must be float16, float32, float64 or bool");
  }
  return py::make_tuple(codes, finite);
}

// Codes and, if distances are weighted, the magnitude of each of their bits.
Queries queries_of(const py::array_t<std::uint8_t>& codes,
                   const std::optional<Vector<std::uint8_t>>& magnitudes) {
  Queries queries = {.codes = matrix_of<std::uint8_t>(codes)};
  if (magnitudes) {
    queries.magnitudes = matrix_of<std::uint8_t>(*magnitudes);
    require(queries.magnitudes.n_rows == queries.codes.n_rows &&
                queries.magnitudes.n_columns == 8 * queries.codes.n_columns,
            "there must be one magnitude for each bit of the queries");
    const std::uint8_t* values = magnitudes->data();
    require(std::all_of(values, values + magnitudes->size(),
                        [](std::uint8_t m) { return m >> kMagnitudeBits == 0; }),
            "magnitudes are 0 to 127");
  }
  return queries;
}

py::tuple search_codes(const py::array_t<std::uint8_t>& codes,
                       const py::array_t<std::uint8_t>& queries, std::size_t k,
                       const std::optional<Vector<std::int64_t>>& ids, const std::string& isa,
                       std::size_t threads, const std::optional<Vector<std::uint8_t>>& magnitudes) {
  const Kernels& kernels = kernels_named(isa);
  const auto documents = matrix_of<std::uint8_t>(codes);
  const Queries wanted = queries_of(queries, magnitudes);
  require(documents.n_columns == wanted.codes.n_columns, "codes and queries must be equally long");
  require(documents.n_columns <= kMaxCodeBytes, "codes have at most 65536 bits");
  require(documents.n_rows <= kMaxRows, "there are at most 2^40 codes");
  const SearchOptions options = {
      .k = k, .ids = ids_of(ids, documents.n_rows), .n_threads = threads_of(threads)};
  auto distances = empty<std::int32_t>(wanted.codes.n_rows, k);
  auto rows = empty<std::int64_t>(wanted.codes.n_rows, k);
  std::int32_t* distances_out = distances.mutable_data();
  std::int64_t* rows_out = rows.mutable_data();
  without_gil(
      [&] { concurrent_search(kernels, documents, wanted, options, distances_out, rows_out); });
  return py::make_tuple(distances, rows);
}

// `progress` is called with the share that is done; signals are looked at as often.
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
  const Progress report = [&](double done) {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!progress.is_none()) progress(done);
  };
  without_gil([&] {
    self_join(kernels, documents, k, threads_of(threads), report, distances_out, rows_out);
  });
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

Metric metric_named(const std::string& name) {
  if (name == "cosine") return Metric::kCosine;
  if (name == "dot") return Metric::kDot;
  if (name == "l2") return Metric::kL2;
  throw py::value_error("unknown metric: " + name);
}

IntegerType integers_named(const std::string& name) {
  if (name == "int8") return IntegerType::kInt8;
  if (name == "uint8") return IntegerType::kUint8;
  if (name == "int4") return IntegerType::kInt4;
  if (name == "ternary") return IntegerType::kTernary;
  throw py::value_error("unknown type of integers: " + name);
}

// Candidates of each query, and the results that rescoring them leaves.
class Rescoring {
 public:
  Rescoring(std::size_t n_queries, const Vector<std::int64_t>& candidates, std::size_t k,
            const std::optional<Vector<std::int64_t>>& ids, std::size_t n_documents)
      : n_documents_(n_documents),
        scores_(empty<float>(n_queries, k)),
        rows_(empty<std::int64_t>(n_queries, k)),
        scores_out_(scores_.mutable_data()),
        rows_out_(rows_.mutable_data()) {
    require(candidates.ndim() == 2 && static_cast<std::size_t>(candidates.shape(0)) == n_queries,
            "there must be one row of candidates for each query");
    candidates_ = {
        .rows = {.data = candidates.data(),
                 .n_rows = n_queries,
                 .n_columns = static_cast<std::size_t>(candidates.shape(1)),
                 .stride = candidates.shape(1) * static_cast<py::ssize_t>(sizeof(std::int64_t))},
        .ids = ids_of(ids, n_documents),
        .k = k};
  }

  // Calls body(candidates, scores, rows) without the GIL.
  template <class Body>
  py::tuple run(Body&& body) {
    without_gil([&] {
      const auto n_rows = static_cast<std::int64_t>(n_documents_);
      for (std::size_t i = 0; i < candidates_.rows.n_rows * candidates_.rows.n_columns; ++i) {
        if (candidates_.rows.data[i] >= n_rows) throw std::out_of_range("a candidate is not a row");
      }
      body(candidates_, scores_out_, rows_out_);
    });
    return py::make_tuple(scores_, rows_);
  }

 private:
  std::size_t n_documents_;
  py::array_t<float> scores_;
  py::array_t<std::int64_t> rows_;
  float* scores_out_;
  std::int64_t* rows_out_;
  CandidateRows candidates_;
};

py::tuple rescore_floats(const py::array& originals, const py::array_t<float>& queries,
                         const Vector<std::int64_t>& candidates, std::size_t k,
                         const std::string& metric_name,
                         const std::optional<Vector<std::int64_t>>& ids, const std::string& isa,
                         std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const Metric metric = metric_named(metric_name);
  const auto wanted = matrix_of<float>(queries);
  const auto rescored = [&](auto matrix) {
    require(matrix.n_columns == wanted.n_columns, "originals and queries must be equally long");
    return Rescoring(wanted.n_rows, candidates, k, ids, matrix.n_rows)
        .run([&](const CandidateRows& rows_in, float* scores, std::int64_t* rows) {
          rescore(kernels, metric, matrix, wanted, rows_in, threads_of(threads), scores, rows);
        });
  };
  if (originals.dtype().kind() == 'f' && originals.itemsize() == 2) {
    return rescored(matrix_of<Half>(originals));
  }
  if (originals.dtype().kind() == 'f' && originals.itemsize() == 4) {
    return rescored(matrix_of<float>(originals));
  }
  throw py::type_error("originals must be float32 or float16");
}

py::tuple rescore_integers(const py::array& originals, const std::string& type_name,
                           const Vector<double>& base, const Vector<double>& step,
                           const py::array_t<float>& queries,
                           const Vector<std::int64_t>& candidates, std::size_t k,
                           const std::string& metric_name,
                           const std::optional<Vector<std::int64_t>>& ids, const std::string& isa,
                           std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const Metric metric = metric_named(metric_name);
  const auto wanted = matrix_of<float>(queries);
  const std::size_t dim = wanted.n_columns;
  const IntegerVectors vectors = {.rows = matrix_of<std::uint8_t>(originals),
                                  .type = integers_named(type_name),
                                  .dim = dim,
                                  .scale = {.base = base.data(), .step = step.data()}};
  require(vectors.rows.n_columns == bytes_for(vectors.type, dim),
          "originals and queries must be equally long");
  require(base.ndim() == 1 && step.ndim() == 1 && static_cast<std::size_t>(base.size()) == dim &&
              static_cast<std::size_t>(step.size()) == dim,
          "there must be one base and one step for each dimension");
  return Rescoring(wanted.n_rows, candidates, k, ids, vectors.rows.n_rows)
      .run([&](const CandidateRows& rows_in, float* scores, std::int64_t* rows) {
        rescore(kernels, metric, vectors, wanted, rows_in, threads_of(threads), scores, rows);
      });
}

// The metric; factors; and for each query a scale, a sum and a constant.
using EstimateArrays = std::tuple<std::string, Vector<std::uint16_t>, Vector<double>>;

py::tuple rescore_bits(const py::array_t<std::uint8_t>& codes,
                       const py::array_t<std::uint8_t>& queries,
                       const Vector<std::uint8_t>& magnitudes,
                       const Vector<std::int64_t>& candidates, std::size_t k,
                       const std::optional<EstimateArrays>& estimate_arrays,
                       const std::optional<Vector<std::int64_t>>& ids, const std::string& isa,
                       std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const auto documents = matrix_of<std::uint8_t>(codes);
  const Queries wanted = queries_of(queries, magnitudes);
  require(documents.n_columns == wanted.codes.n_columns, "codes and queries must be equally long");
  require(documents.n_columns <= kMaxCodeBytes, "codes have at most 65536 bits");
  const std::size_t n_queries = wanted.codes.n_rows;
  std::optional<Estimate> estimate;
  if (estimate_arrays) {
    const auto& [metric_name, factors, numbers] = *estimate_arrays;
    const auto n = static_cast<py::ssize_t>(n_queries);
    require(numbers.ndim() == 2 && numbers.shape(0) == 3 && numbers.shape(1) == n,
            "there must be three numbers for each query");
    estimate = {.metric = metric_named(metric_name),
                .factors = matrix_of<std::uint16_t>(factors),
                .scales = numbers.data(),
                .sums = numbers.data() + n,
                .constants = numbers.data() + 2 * n};
    const std::size_t n_columns = estimate->factors.n_columns;
    require(estimate->factors.n_rows == documents.n_rows && (n_columns == 1 || n_columns == 2),
            "there must be one or two factors for each code");
  }
  return Rescoring(n_queries, candidates, k, ids, documents.n_rows)
      .run([&](const CandidateRows& rows_in, float* scores, std::int64_t* rows) {
        rescore_codes(kernels, documents, wanted, rows_in, estimate ? &*estimate : nullptr,
                      threads_of(threads), scores, rows);
      });
}

py::array_t<std::uint8_t> encode_vectors(const py::array_t<float>& values,
                                         const Vector<float>& ranges, const std::string& type_name,
                                         std::size_t threads) {
  const auto matrix = matrix_of<float>(values);
  const IntegerType type = integers_named(type_name);
  const auto n_dims = static_cast<py::ssize_t>(matrix.n_columns);
  require(ranges.ndim() == 2 && ranges.shape(0) == 2 && ranges.shape(1) == n_dims,
          "there must be two bounds for each dimension");
  auto encoded = empty<std::uint8_t>(matrix.n_rows, bytes_for(type, matrix.n_columns));
  std::uint8_t* out = encoded.mutable_data();
  const float* lower = ranges.data();
  without_gil(
      [&] { encode_integers(type, matrix, lower, lower + n_dims, threads_of(threads), out); });
  return encoded;
}

py::tuple prepare_vectors(const py::array_t<float>& values, bool normalize,
                          const Vector<float>& centre, const Vector<float>& flips,
                          std::size_t threads) {
  const auto matrix = matrix_of<float>(values);
  const Preparation preparation = {
      .normalize = normalize, .centre = centre.data(), .flips = matrix_of<float>(flips)};
  require(static_cast<std::size_t>(centre.size()) == matrix.n_columns &&
              preparation.flips.n_columns == matrix.n_columns &&
              preparation.flips.n_rows % flips_per_round(matrix.n_columns) == 0,
          "centre and flips must be as long as the vectors");
  auto prepared = empty<float>(matrix.n_rows, matrix.n_columns);
  float* out = prepared.mutable_data();
  bool finite = false;
  without_gil([&] { finite = prepare(preparation, matrix, threads_of(threads), out); });
  return py::make_tuple(prepared, finite);
}

py::tuple factors_of_vectors(const py::array_t<float>& vectors, const std::string& metric_name,
                             const std::optional<Vector<float>>& centre, std::size_t threads) {
  const auto matrix = matrix_of<float>(vectors);
  require(!centre || static_cast<std::size_t>(centre->size()) == matrix.n_columns,
          "the centre must be as long as the vectors");
  const Correction correction = {.metric = metric_named(metric_name),
                                 .centre = centre ? centre->data() : nullptr};
  auto factors = empty<std::uint16_t>(matrix.n_rows, correction.n_columns());
  std::uint16_t* out = factors.mutable_data();
  bool finite = false;
  without_gil([&] { finite = correction_factors(correction, matrix, threads_of(threads), out); });
  return py::make_tuple(factors, finite);
}

// Codes, magnitudes and, a row each, scales, norms, sums and products.
py::tuple rounded_queries(const py::array_t<double>& values, const Vector<float>& centre,
                          std::size_t threads) {
  const auto matrix = matrix_of<double>(values);
  require(static_cast<std::size_t>(centre.size()) == matrix.n_columns,
          "the centre must be as long as the queries");
  const std::size_t n = matrix.n_rows;
  const std::size_t n_bytes = (matrix.n_columns + 7) / 8;
  auto codes = empty<std::uint8_t>(n, n_bytes);
  auto magnitudes = empty<std::uint8_t>(n, 8 * n_bytes);
  auto numbers = empty<double>(4, n);
  double* first = numbers.mutable_data();
  const RoundedQueries out = {.codes = codes.mutable_data(),
                              .magnitudes = magnitudes.mutable_data(),
                              .scales = first,
                              .norms = first + n,
                              .sums = first + 2 * n,
                              .products = first + 3 * n};
  const float* centre_values = centre.data();
  without_gil([&] { round_queries(matrix, centre_values, threads_of(threads), out); });
  return py::make_tuple(codes, magnitudes, numbers);
}

// Reads every byte, on so many threads: the most that a scan of them could reach.
std::uint64_t read_all(const Vector<std::uint8_t>& array, const std::string& isa,
                       std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const std::uint8_t* bytes = array.data();
  const auto n_bytes = static_cast<std::size_t>(array.size());
  std::atomic<std::uint64_t> seen{0};
  without_gil([&] {
    for_each_piece(
        n_bytes, kBytesPerPiece, threads_of(threads), [&](std::size_t begin, std::size_t end) {
          seen.fetch_xor(kernels.read_all(bytes + begin, end - begin), std::memory_order_relaxed);
        });
  });
  return seen;
}

// Runs what bounds a kernel, about `n` times for each thread; returns how many pairs of bits that
// was.
double run_roof(const std::string& kernel, const std::string& isa, std::size_t n,
                std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  require(kernel == "batch" || kernel == "product", "the kernel must be batch or product");
  const BatchKernel& chosen = kernel == "batch" ? kernels.batch : kernels.product;
  std::atomic<std::uint64_t> n_pairs{0};
  without_gil([&] {
    // In pieces, as a scan is: a thread that is held up leaves its work to the others.
    constexpr std::size_t kPieces = 16;
    const std::size_t n_threads = threads_of(threads);
    for_each_piece(n_threads * kPieces, 1, n_threads, [&](std::size_t, std::size_t) {
      n_pairs.fetch_add(chosen.roof(1 + n / kPieces), std::memory_order_relaxed);
    });
  });
  return static_cast<double>(n_pairs);
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Kernels* kernels : available_kernels()) names.emplace_back(kernels->name);
  return names;
}

std::vector<std::string> all_isas() { return {known_isas().begin(), known_isas().end()}; }

}  // namespace
}  // namespace bitsift

PYBIND11_MODULE(native, m, py::mod_gil_not_used()) {
  using namespace bitsift;  // NOLINT: this function only registers
  m.doc() = "The compiled core. Arguments are checked by the Python layer.";
  m.attr("__version__") = BITSIFT_VERSION;
  m.def("available_isas", &available_isas);
  m.def("known_isas", &all_isas);
  m.def("available_threads", &available_threads);
  m.def("pack", &pack_array, py::arg("values"), py::arg("thresholds"), py::arg("isa"),
        py::arg("threads"));
  m.def("search", &search_codes, py::arg("codes").noconvert(), py::arg("queries").noconvert(),
        py::arg("k"), py::arg("ids").noconvert(), py::arg("isa"), py::arg("threads"),
        py::arg("magnitudes").noconvert() = py::none());
  m.def("knn_graph", &knn_graph, py::arg("codes").noconvert(), py::arg("k"), py::arg("progress"),
        py::arg("isa"), py::arg("threads"));
  m.def("read_all", &read_all, py::arg("array").noconvert(), py::arg("isa"), py::arg("threads"));
  m.def("run_roof", &run_roof, py::arg("kernel"), py::arg("isa"), py::arg("n"), py::arg("threads"));
  m.def("hamming", &hamming, py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("isa"),
        py::arg("threads"));
  m.def("rescore", &rescore_floats, py::arg("originals"), py::arg("queries").noconvert(),
        py::arg("candidates").noconvert(), py::arg("k"), py::arg("metric"),
        py::arg("ids").noconvert(), py::arg("isa"), py::arg("threads"));
  m.def("rescore_integers", &rescore_integers, py::arg("originals"), py::arg("type"),
        py::arg("base").noconvert(), py::arg("step").noconvert(), py::arg("queries").noconvert(),
        py::arg("candidates").noconvert(), py::arg("k"), py::arg("metric"),
        py::arg("ids").noconvert(), py::arg("isa"), py::arg("threads"));
  m.def("rescore_codes", &rescore_bits, py::arg("codes").noconvert(),
        py::arg("queries").noconvert(), py::arg("magnitudes").noconvert(),
        py::arg("candidates").noconvert(), py::arg("k"), py::arg("estimate"),
        py::arg("ids").noconvert(), py::arg("isa"), py::arg("threads"));
  m.def("encode", &encode_vectors, py::arg("values").noconvert(), py::arg("ranges").noconvert(),
        py::arg("type"), py::arg("threads"));
  m.def("flips_per_round", &flips_per_round, py::arg("n_dims"));
  m.def("prepare", &prepare_vectors, py::arg("values").noconvert(), py::arg("normalize"),
        py::arg("centre").noconvert(), py::arg("flips").noconvert(), py::arg("threads"));
  m.def("round_queries", &rounded_queries, py::arg("values").noconvert(),
        py::arg("centre").noconvert(), py::arg("threads"));
  m.def("correction_factors", &factors_of_vectors, py::arg("vectors").noconvert(),
        py::arg("metric"), py::arg("centre").noconvert(), py::arg("threads"));
}
