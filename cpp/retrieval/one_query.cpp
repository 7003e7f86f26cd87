// SPDX-License-Identifier: Apache-2.0
#include "retrieval/one_query.hpp"

#include <memory>
#include <type_traits>
#include <vector>

#include "encoding/packing.hpp"
#include "rescoring/rescore.hpp"
#include "search/shared_scan.hpp"

namespace bitsift {
namespace {

void find_rows(const IndexedRows& rows, const std::uint8_t* code, std::size_t k,
               std::size_t n_threads, std::int32_t* distances, std::int64_t* found) {
  const Queries query = {.codes = {.data = code, .n_rows = 1, .n_columns = rows.codes.n_columns}};
  const ScanOptions options = {.k = k, .ids = rows.tie_ids, .n_threads = n_threads};
  shared_scan(*rows.kernels, rows.codes, query, options, distances, found);
}

// Turns row numbers into ids; -1 stays -1.
void replace_by_ids(const IndexedRows& rows, std::size_t n, std::int64_t* found) {
  if (rows.ids == nullptr) return;
  for (std::size_t i = 0; i < n; ++i) {
    if (found[i] >= 0) found[i] = rows.ids[found[i]];
  }
}

std::size_t row_bytes(const Originals& originals) {
  return std::visit(
      [](const auto& matrix) -> std::size_t {
        using T = std::decay_t<decltype(matrix)>;
        if constexpr (std::is_same_v<T, std::monostate>)
          return 0;
        else if constexpr (std::is_same_v<T, IntegerVectors>)
          return matrix.rows.n_columns;
        else
          return matrix.n_columns * sizeof(*matrix.data);
      },
      originals);
}

}  // namespace

bool encode_query(const IndexedRows& rows, const float* query, std::uint8_t* code) {
  Matrix<float> values = {.data = query, .n_rows = 1, .n_columns = rows.dim};
  std::unique_ptr<float[]> centred;
  if (rows.rule.centring) {
    centred = std::make_unique_for_overwrite<float[]>(rows.dim);
    centre_and_rotate(*rows.rule.centring, values, 1, centred.get());
    values.data = centred.get();
  }
  return pack(*rows.kernels, values, rows.rule.thresholds, 1, code);
}

void search_code(const IndexedRows& rows, const std::uint8_t* code, std::size_t k,
                 std::size_t n_threads, std::int32_t* distances, std::int64_t* ids) {
  find_rows(rows, code, k, n_threads, distances, ids);
  replace_by_ids(rows, k, ids);
}

void search_and_rescore(const IndexedRows& rows, const std::uint8_t* code, const float* query,
                        const Wanted& wanted, std::size_t n_threads, float* scores,
                        std::int64_t* ids) {
  const std::size_t n_candidates = wanted.n_candidates;
  const auto distances = std::make_unique_for_overwrite<std::int32_t[]>(n_candidates);
  const auto found = std::make_unique_for_overwrite<std::int64_t[]>(n_candidates);
  find_rows(rows, code, n_candidates, n_threads, distances.get(), found.get());
  const CandidateRows candidates = {
      .rows = {.data = found.get(), .n_rows = 1, .n_columns = n_candidates},
      .ids = rows.tie_ids,
      .k = wanted.k,
      .steps = wanted.steps};
  const Matrix<float> queries = {.data = query, .n_rows = 1, .n_columns = rows.dim};
  std::visit(
      [&](const auto& originals) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(originals)>, std::monostate>) {
          rescore(*rows.kernels, rows.metric, originals, queries, candidates, n_threads, scores,
                  ids);
        }
      },
      rows.originals);
  replace_by_ids(rows, wanted.k, ids);
}

bool is_for_one_thread(const IndexedRows& rows, std::size_t n_candidates) {
  return rows.codes.n_rows * rows.codes.n_columns <= kScanPieceBytes &&
         n_candidates * row_bytes(rows.originals) <= kRescorePieceBytes;
}

}  // namespace bitsift
