// SPDX-License-Identifier: Apache-2.0
// What this machine has, and how fast its memory and its instructions can be at best.

#include <algorithm>
#include <atomic>
#include <vector>

#include "base/default_threads.hpp"
#include "base/thread_pool.hpp"
#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "search/piece.hpp"
#include "search/scan.hpp"

namespace bitsift {
namespace {

constexpr std::size_t kRowPieceBytes = 1 << 20;

// Reads every byte: no scan of the array can be faster.
std::uint64_t read_all(const Vector<std::uint8_t>& array, const std::string& isa,
                       std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const std::uint8_t* bytes = array.data();
  const auto n_bytes = static_cast<std::size_t>(array.size());
  std::atomic<std::uint64_t> seen{0};
  without_gil([&] {
    for_each_piece(
        n_bytes, kScanPieceBytes, threads_of(threads), [&](std::size_t begin, std::size_t end) {
          seen.fetch_xor(kernels.read_all(bytes + begin, end - begin), std::memory_order_relaxed);
        });
  });
  return seen;
}

// Reads every byte of some rows of a matrix: no rescoring of them can be faster.
std::uint64_t read_rows(const py::array_t<std::uint8_t>& array, const Vector<std::int64_t>& rows,
                        const std::string& isa, std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const auto matrix = matrix_of<std::uint8_t>(array);
  const std::int64_t* numbers = values_of(rows);
  const auto n = static_cast<std::size_t>(rows.size());
  const auto n_rows = static_cast<std::int64_t>(matrix.n_rows);
  require(std::all_of(numbers, numbers + n, [&](auto row) { return 0 <= row && row < n_rows; }),
          "each number must be one of a row");
  std::atomic<std::uint64_t> seen{0};
  without_gil([&] {
    const std::size_t piece = 1 + kRowPieceBytes / std::max<std::size_t>(1, matrix.n_columns);
    for_each_piece(n, piece, threads_of(threads), [&](std::size_t begin, std::size_t end) {
      std::vector<const std::uint8_t*> pointers;
      for (std::size_t i = begin; i < end; ++i) {
        pointers.push_back(matrix.row(static_cast<std::size_t>(numbers[i])));
      }
      seen.fetch_xor(kernels.read_rows(pointers.data(), end - begin, 0, matrix.n_columns),
                     std::memory_order_relaxed);
    });
  });
  return seen;
}

// Runs the instructions that bound a kernel, about `n` times for each thread. Returns the number of
// pairs of bits that they compare.
double run_ceiling(const std::string& kernel, std::size_t n, const std::string& isa,
                   std::size_t threads) {
  const Kernels& kernels = kernels_named(isa);
  const BatchKernel* chosen = kernel == "batch"            ? &kernels.batch
                              : kernel == "weighted_batch" ? &kernels.weighted_batch
                              : kernel == "product"        ? kernels.product
                                                           : nullptr;
  require(chosen != nullptr,
          "the kernel must be batch, weighted_batch or, where the level has one, product");
  std::atomic<std::uint64_t> n_pairs{0};
  without_gil([&] {
    // In pieces, like a scan: others take over the work of a thread that is delayed.
    constexpr std::size_t kPieces = 16;
    const std::size_t n_threads = threads_of(threads);
    for_each_piece(n_threads * kPieces, 1, n_threads, [&](std::size_t, std::size_t) {
      n_pairs.fetch_add(chosen->ceiling(1 + n / kPieces), std::memory_order_relaxed);
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

void register_diagnostics(py::module_& m) {
  m.def("available_isas", &available_isas);
  m.def("known_isas", &all_isas);
  m.def("default_threads", &default_threads);
  m.def("set_default_threads", &set_default_threads, py::arg("n"));
  m.def("limit_default_threads", &limit_default_threads, py::arg("n"));
  m.def("read_all", &read_all, py::arg("array").noconvert(), py::arg("isa"), py::arg("threads"));
  m.def("read_rows", &read_rows, py::arg("array").noconvert(), py::arg("rows").noconvert(),
        py::arg("isa"), py::arg("threads"));
  m.def("run_ceiling", &run_ceiling, py::arg("kernel"), py::arg("n"), py::arg("isa"),
        py::arg("threads"));
}

}  // namespace bitsift
