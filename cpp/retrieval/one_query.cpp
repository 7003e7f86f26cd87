// SPDX-License-Identifier: Apache-2.0
#include "retrieval/one_query.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <type_traits>
#include <vector>

#include "encoding/packing.hpp"
#include "encoding/round_queries.hpp"
#include "rescoring/rescore.hpp"
#include "search/piece.hpp"
#include "search/shared_scan.hpp"

namespace bitsift {
namespace {

void find_rows(const IndexedRows& rows, const Queries& query, std::size_t k, std::size_t n_threads,
               std::int32_t* distances, std::int64_t* found) {
  const ScanOptions options = {
      .k = k, .ids = rows.tie_ids, .n_threads = n_threads, .mask = rows.mask};
  shared_scan(*rows.kernels, rows.codes, query, options, distances, found);
}

// Turns row numbers into ids; -1 stays -1.
void replace_by_ids(const IndexedRows& rows, std::size_t n, std::int64_t* found) {
  if (rows.ids.are_numbers()) return;
  for (std::size_t i = 0; i < n; ++i) {
    if (found[i] >= 0) found[i] = rows.ids[static_cast<std::size_t>(found[i])];
  }
}

std::size_t row_bytes(const Originals& originals) {
  return std::visit(
      [](const auto& matrix) -> std::size_t {
        using T = std::decay_t<decltype(matrix)>;
        if constexpr (std::is_same_v<T, std::monostate>)
          return 0;
        else if constexpr (std::is_same_v<T, IntegerVectors>)
          return matrix.rows.n_columns();
        else
          return matrix.n_columns() * sizeof(*matrix.row(0));
      },
      originals);
}

Queries queries_of(const std::uint8_t* code, std::size_t n_bytes) {
  return {.codes = {.data = code, .n_rows = 1, .n_columns = n_bytes}};
}

// The values whose signs are the bits of a query; for the dot product without the threshold, as its
// product with a query is the same for all documents. `centred` is the query as it was packed.
std::vector<double> compared_values(const IndexedRows& rows, const float* query,
                                    const float* centred) {
  std::vector<double> values(rows.dim);
  const float* thresholds = rows.rule.thresholds;
  const bool is_dot = rows.metric == Metric::kDot;
  if (!rows.rule.centring) {
    for (std::size_t i = 0; i < rows.dim; ++i) {
      values[i] = static_cast<double>(query[i]);
      if (!is_dot) values[i] -= static_cast<double>(thresholds[i]);
    }
    return values;
  }
  std::unique_ptr<float[]> rotated;
  if (is_dot) {
    auto rotation = *rows.rule.centring;
    rotation.threshold = thresholds;  // zeros, with which centred values are compared
    rotated = std::make_unique_for_overwrite<float[]>(rows.dim);
    centre_and_rotate(rotation, {.data = query, .n_rows = 1, .n_columns = rows.dim}, 1,
                      rotated.get());
    centred = rotated.get();
  }
  std::copy(centred, centred + rows.dim, values.begin());
  return values;
}

void round_query(const IndexedRows& rows, const std::vector<double>& values,
                 ScannedQuery& scanned) {
  double product = 0;
  scanned.magnitudes.resize(8 * scanned.code.size());
  round_queries({.data = values.data(), .n_rows = 1, .n_columns = rows.dim}, rows.rule.thresholds,
                1,
                {.codes = scanned.code.data(),
                 .magnitudes = scanned.magnitudes.data(),
                 .scales = &scanned.scale,
                 .norms = &scanned.norm,
                 .sums = &scanned.sum,
                 .products = &product});
}

// As `RoundedQueries.scores` of the Python layer does.
float score_of(const IndexedRows& rows, const ScannedQuery& scanned, std::int32_t distance) {
  const auto dim = static_cast<double>(rows.dim);
  const double product = scanned.scale * (scanned.sum - 2.0 * distance);
  double score = product;
  if (rows.metric == Metric::kL2) {
    score = std::sqrt(std::max(scanned.norm * scanned.norm + dim - 2 * product, 0.0));
  } else if (rows.metric == Metric::kCosine) {
    score = scanned.norm > 0 ? product / (scanned.norm * std::sqrt(dim)) : 0;
  }
  return static_cast<float>(score) + 0.0f;  // adding zero turns -0.0 into 0.0
}

}  // namespace

Queries ScannedQuery::queries() const {
  Queries queries = queries_of(code.data(), code.size());
  if (!magnitudes.empty()) {
    queries.magnitudes = {.data = magnitudes.data(), .n_rows = 1, .n_columns = magnitudes.size()};
  }
  return queries;
}

bool encode_query(const IndexedRows& rows, const float* query, ScannedQuery& scanned) {
  Matrix<float> values = {.data = query, .n_rows = 1, .n_columns = rows.dim};
  std::unique_ptr<float[]> centred;
  if (rows.rule.centring) {
    centred = std::make_unique_for_overwrite<float[]>(rows.dim);
    centre_and_rotate(*rows.rule.centring, values, 1, centred.get());
    values.data = centred.get();
  }
  scanned.code.resize((rows.dim + 7) / 8);
  if (!pack(*rows.kernels, values, rows.rule.thresholds, 1, scanned.code.data())) return false;
  if (rows.is_asymmetric) {
    round_query(rows, compared_values(rows, query, values.data), scanned);
  }
  return true;
}

void search_code(const IndexedRows& rows, const std::uint8_t* code, std::size_t k,
                 std::size_t n_threads, std::int32_t* distances, std::int64_t* ids) {
  find_rows(rows, queries_of(code, rows.codes.n_columns()), k, n_threads, distances, ids);
  replace_by_ids(rows, k, ids);
}

void search_by_scores(const IndexedRows& rows, const ScannedQuery& scanned, std::size_t k,
                      std::size_t n_threads, float* scores, std::int64_t* ids) {
  const auto distances = std::make_unique_for_overwrite<std::int32_t[]>(k);
  find_rows(rows, scanned.queries(), k, n_threads, distances.get(), ids);
  for (std::size_t i = 0; i < k; ++i) scores[i] = score_of(rows, scanned, distances[i]);
  replace_by_ids(rows, k, ids);
}

void search_and_rescore(const IndexedRows& rows, const ScannedQuery& scanned, const float* query,
                        const Wanted& wanted, std::size_t n_threads, float* scores,
                        std::int64_t* ids) {
  const std::size_t n_candidates = wanted.n_candidates;
  const auto distances = std::make_unique_for_overwrite<std::int32_t[]>(n_candidates);
  const auto found = std::make_unique_for_overwrite<std::int64_t[]>(n_candidates);
  find_rows(rows, scanned.queries(), n_candidates, n_threads, distances.get(), found.get());
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
  return rows.codes.n_rows() * rows.codes.n_columns() <= kScanPieceBytes &&
         n_candidates * row_bytes(rows.originals) <= kRescorePieceBytes;
}

}  // namespace bitsift
