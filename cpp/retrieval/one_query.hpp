// SPDX-License-Identifier: Apache-2.0
// The search of one query as it usually comes, from its values to ids, in one call: for few rows,
// calls from Python for each step would take longer than the steps. The Python layer's ladder does
// the same steps for every other search.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/matrix.hpp"
#include "base/metric.hpp"
#include "base/row_mask.hpp"
#include "encoding/rotation.hpp"
#include "kernels/kernels.hpp"
#include "rescoring/candidates.hpp"
#include "search/queries.hpp"

namespace bitsift {

// How the values of a vector become its code.
struct CodeRule {
  std::optional<CentredRotation> centring;  // done first
  const float* thresholds;                  // a bit is set where a value is above its threshold
};

using Originals = std::variant<std::monostate, Segments<float>, Segments<Half>, IntegerVectors>;

// All that a search reads of an index.
struct IndexedRows {
  const Kernels* kernels;
  std::size_t dim;
  CodeRule rule;
  bool is_asymmetric;  // whether the scan compares the values of a query with codes, or its code
  Segments<std::uint8_t> codes;
  Originals originals;  // those that rescore; none if the index keeps none
  Metric metric;
  RowIds ids;
  RowIds tie_ids;     // what orders rows of equal scores
  RowMask mask = {};  // the rows that take part

  bool has_originals() const { return originals.index() != 0; }
};

// What the scan compares with codes: the code of a query, or its values rounded.
struct ScannedQuery {
  std::vector<std::uint8_t> code;
  std::vector<std::uint8_t> magnitudes;  // none: the code alone
  double scale = 0;                      // of `RoundedQueries`, as the next two
  double norm = 0;
  double sum = 0;

  Queries queries() const;
};

// Encodes a query, or rounds it if the scan is asymmetric. Returns false if one of its values is
// not finite, also if it only became so while it was centred and rotated.
bool encode_query(const IndexedRows& rows, const float* query, ScannedQuery& scanned);

// How many results a search gives, and from how many candidates: both at most the rows that take
// part.
struct Wanted {
  std::size_t k;
  std::size_t n_candidates;
  std::span<const Step> steps;  // of `CandidateRows`
};

// Writes the Hamming distances and ids of the k nearest rows, of at least k.
void search_code(const IndexedRows& rows, const std::uint8_t* code, std::size_t k,
                 std::size_t n_threads, std::int32_t* distances, std::int64_t* ids);

// Writes the asymmetric scores and ids of the k nearest rows, of at least k: the metric between the
// rounded query and the signs of a row's bits.
void search_by_scores(const IndexedRows& rows, const ScannedQuery& scanned, std::size_t k,
                      std::size_t n_threads, float* scores, std::int64_t* ids);

// Rescores the nearest rows by their originals, which there must be. Writes scores and ids.
void search_and_rescore(const IndexedRows& rows, const ScannedQuery& scanned, const float* query,
                        const Wanted& wanted, std::size_t n_threads, float* scores,
                        std::int64_t* ids);

// Whether a search is worth one thread only, whatever the number that it may have.
bool is_for_one_thread(const IndexedRows& rows, std::size_t n_candidates);

}  // namespace bitsift
