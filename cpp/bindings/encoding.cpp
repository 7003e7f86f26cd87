// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "encoding/correction.hpp"
#include "encoding/integers.hpp"
#include "encoding/packing.hpp"
#include "encoding/rotation.hpp"
#include "encoding/round_queries.hpp"

namespace bitsift {
namespace {

template <class Value, class Threshold>
bool pack_as(const Kernels& kernels, const py::array& values, const py::array& thresholds,
             std::size_t threads, std::uint8_t* codes) {
  const auto matrix = matrix_of<Value>(values);
  require(Vector<Threshold>::check_(thresholds),
          "thresholds must be contiguous, and float64 for float64 values, else float32");
  const auto row = py::reinterpret_borrow<Vector<Threshold>>(thresholds);
  require(row.ndim() == 1 && static_cast<std::size_t>(row.size()) == matrix.n_columns,
          "there must be one threshold for each column");
  const Threshold* data = values_of(row);
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
    finite = pack_as<Half, float>(kernels, values, thresholds, threads, out);
  } else if (kind == 'f' && values.itemsize() == 4) {
    finite = pack_as<float, float>(kernels, values, thresholds, threads, out);
  } else if (kind == 'f' && values.itemsize() == 8) {
    finite = pack_as<double, double>(kernels, values, thresholds, threads, out);
  } else {
    throw py::type_error("the array must be float16, float32, float64 or bool");
  }
  return py::make_tuple(codes, finite);
}

template <class Value>
py::array_t<std::uint8_t> encode_vectors(const py::array_t<Value>& values,
                                         const Vector<float>& ranges, const std::string& type_name,
                                         std::size_t threads) {
  const auto matrix = matrix_of<Value>(values);
  const IntegerType type = integers_named(type_name);
  const auto n_dims = static_cast<py::ssize_t>(matrix.n_columns);
  require(ranges.ndim() == 2 && ranges.shape(0) == 2 && ranges.shape(1) == n_dims,
          "there must be two bounds for each dimension");
  const float* lower = values_of(ranges);
  const float* upper = lower + n_dims;
  for (py::ssize_t i = 0; i < n_dims; ++i) {
    require(lower[i] < upper[i] && std::isfinite(lower[i]) && std::isfinite(upper[i]),
            "lower bounds must be below upper ones");
  }
  auto encoded = empty<std::uint8_t>(matrix.n_rows, bytes_for(type, matrix.n_columns));
  std::uint8_t* out = encoded.mutable_data();
  without_gil([&] { encode_integers(type, matrix, lower, upper, threads_of(threads), out); });
  return encoded;
}

py::tuple rotate_vectors(const py::array_t<float>& values, const Vector<float>& threshold,
                         const Vector<float>& flips, bool normalize, std::size_t threads) {
  const auto matrix = matrix_of<float>(values);
  const CentredRotation rotation = {
      .normalize = normalize, .threshold = values_of(threshold), .flips = matrix_of<float>(flips)};
  require(static_cast<std::size_t>(threshold.size()) == matrix.n_columns &&
              rotation.flips.n_columns == matrix.n_columns &&
              rotation.flips.n_rows % flips_per_round(matrix.n_columns) == 0,
          "threshold and flips must be as long as the vectors");
  auto rotated = empty<float>(matrix.n_rows, matrix.n_columns);
  float* out = rotated.mutable_data();
  bool finite = false;
  without_gil([&] { finite = centre_and_rotate(rotation, matrix, threads_of(threads), out); });
  return py::make_tuple(rotated, finite);
}

py::tuple factors_of_vectors(const py::array_t<float>& vectors,
                             const std::optional<Vector<float>>& threshold,
                             const std::string& metric_name, std::size_t threads) {
  const auto matrix = matrix_of<float>(vectors);
  require(!threshold || static_cast<std::size_t>(threshold->size()) == matrix.n_columns,
          "the threshold must be as long as the vectors");
  const Correction correction = {.metric = metric_named(metric_name),
                                 .threshold = threshold ? values_of(*threshold) : nullptr};
  auto factors = empty<std::uint16_t>(matrix.n_rows, correction.n_columns());
  std::uint16_t* out = factors.mutable_data();
  bool finite = false;
  without_gil([&] { finite = correction_factors(correction, matrix, threads_of(threads), out); });
  return py::make_tuple(factors, finite);
}

// Codes, magnitudes and, a row each, scales, norms, sums and products.
py::tuple rounded_queries(const py::array_t<double>& values, const Vector<float>& threshold,
                          std::size_t threads) {
  const auto matrix = matrix_of<double>(values);
  require(static_cast<std::size_t>(threshold.size()) == matrix.n_columns,
          "the threshold must be as long as the queries");
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
  const float* threshold_values = values_of(threshold);
  without_gil([&] { round_queries(matrix, threshold_values, threads_of(threads), out); });
  return py::make_tuple(codes, magnitudes, numbers);
}

}  // namespace

void register_encoding(py::module_& m) {
  m.def("pack", &pack_array, py::arg("values"), py::arg("thresholds"), py::arg("isa"),
        py::arg("threads"));
  m.def("encode_integers", &encode_vectors<float>, py::arg("values").noconvert(),
        py::arg("ranges").noconvert(), py::arg("integer_type"), py::arg("threads"));
  m.def("encode_integers", &encode_vectors<double>, py::arg("values").noconvert(),
        py::arg("ranges").noconvert(), py::arg("integer_type"), py::arg("threads"));
  m.def("flips_per_round", &flips_per_round, py::arg("n_dims"));
  m.def("centre_and_rotate", &rotate_vectors, py::arg("values").noconvert(),
        py::arg("threshold").noconvert(), py::arg("flips").noconvert(), py::kw_only(),
        py::arg("normalize"), py::arg("threads"));
  m.def("round_queries", &rounded_queries, py::arg("values").noconvert(),
        py::arg("threshold").noconvert(), py::arg("threads"));
  m.def("correction_factors", &factors_of_vectors, py::arg("vectors").noconvert(),
        py::arg("threshold").noconvert(), py::arg("metric"), py::arg("threads"));
}

}  // namespace bitsift
