// SPDX-License-Identifier: Apache-2.0
// Arguments from Python as arguments of the core.
//
// Python hands over arrays that it has checked and says what is wrong in the caller's words; the
// checks here only make sure that no call, however made, reads or writes outside an array. Arrays
// are converted first and the GIL is released second: a conversion may allocate Python objects.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/default_threads.hpp"
#include "base/matrix.hpp"
#include "base/metric.hpp"
#include "encoding/integers.hpp"
#include "kernels/dispatch.hpp"
#include "rescoring/candidates.hpp"
#include "search/queries.hpp"

namespace bitsift {

namespace py = pybind11;

inline const Kernels& kernels_named(const std::string& isa) {
  const Kernels* kernels = find_kernels(isa);
  if (kernels == nullptr) throw py::value_error("instruction set not available: " + isa);
  return *kernels;
}

inline void require(bool holds, const char* what) {
  if (!holds) throw py::value_error(what);
}

inline Metric metric_named(const std::string& name) {
  if (name == "cosine") return Metric::kCosine;
  if (name == "dot") return Metric::kDot;
  if (name == "l2") return Metric::kL2;
  throw py::value_error("unknown metric: " + name);
}

inline IntegerType integers_named(const std::string& name) {
  if (name == "int8") return IntegerType::kInt8;
  if (name == "uint8") return IntegerType::kUint8;
  if (name == "int4") return IntegerType::kInt4;
  if (name == "ternary") return IntegerType::kTernary;
  throw py::value_error("unknown type of integers: " + name);
}

template <class T>
bool is_aligned(const void* values) {
  return reinterpret_cast<std::uintptr_t>(values) % alignof(T) == 0;
}

// An array of any dtype of T's size; the caller has seen what kind of values they are.
template <class T>
Matrix<T> matrix_of(const py::array& array) {
  require(array.ndim() == 2, "the array must have two axes");
  require(array.itemsize() == sizeof(T), "the array has values of another size");
  require(array.shape(1) > 0, "the array must have at least one column");
  // The stride of an axis means nothing if no step is taken along it.
  require(array.shape(0) == 0 || array.shape(1) == 1 || array.strides(1) == sizeof(T),
          "rows must be contiguous");
  if constexpr (alignof(T) > 1) {
    constexpr auto kAlignment = static_cast<py::ssize_t>(alignof(T));
    require(
        is_aligned<T>(array.data()) && (array.shape(0) < 2 || array.strides(0) % kAlignment == 0),
        "the array must be aligned");
    require(array.dtype().byteorder() == '=', "the array must be in native byte order");
  }
  return {.data = static_cast<const T*>(array.data()),
          .n_rows = static_cast<std::size_t>(array.shape(0)),
          .n_columns = static_cast<std::size_t>(array.shape(1)),
          .stride = array.strides(0)};
}

template <class T>
using Vector = py::array_t<T, py::array::c_style>;

// The values of a contiguous array of any shape. pybind11 has seen to dtype and byte order.
template <class T>
const T* values_of(const Vector<T>& array) {
  require(is_aligned<T>(array.data()), "the array must be aligned");
  return array.data();
}

inline constexpr std::size_t kMaxThreads = 1024;  // MAX_THREADS in python/bitsift/core/limits.py

inline std::size_t threads_of(std::size_t threads) {
  return threads == 0 ? default_threads() : std::min(threads, kMaxThreads);
}

using StepPairs = std::vector<std::pair<std::size_t, std::size_t>>;

inline std::vector<Step> steps_of(const StepPairs& pairs) {
  std::vector<Step> steps;
  for (const auto& [n_results, n_candidates] : pairs) {
    require(steps.empty() ||
                (steps.back().n_results <= n_results && steps.back().n_candidates <= n_candidates),
            "steps must ascend");
    steps.push_back({.n_results = n_results, .n_candidates = n_candidates});
  }
  return steps;
}

template <class T>
py::array_t<T> empty(std::size_t n_rows, std::size_t n_columns) {
  return py::array_t<T>({static_cast<py::ssize_t>(n_rows), static_cast<py::ssize_t>(n_columns)});
}

// Codes and, if distances are weighted, the magnitude of each of their bits, which are still to be
// checked: see check_magnitudes.
inline Queries queries_of(const py::array_t<std::uint8_t>& codes,
                          const std::optional<Vector<std::uint8_t>>& magnitudes) {
  Queries queries = {.codes = matrix_of<std::uint8_t>(codes)};
  if (magnitudes) {
    queries.magnitudes = matrix_of<std::uint8_t>(*magnitudes);
    require(queries.magnitudes.n_rows == queries.codes.n_rows &&
                queries.magnitudes.n_columns == 8 * queries.codes.n_columns,
            "there must be one magnitude for each bit of the queries");
  }
  return queries;
}

}  // namespace bitsift
