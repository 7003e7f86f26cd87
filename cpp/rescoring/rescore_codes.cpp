// SPDX-License-Identifier: Apache-2.0
// Row kernels take contiguous codes, but candidates lie anywhere. So the codes of a block of
// candidates are gathered while those of the next block are prefetched.
#include "rescoring/rescore_codes.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>

#include "base/platform.hpp"
#include "base/thread_pool.hpp"
#include "rescoring/ranking.hpp"
#include "search/query_batch.hpp"

namespace bitsift {
namespace {

constexpr std::size_t kRescorePieceBytes = 1 << 20;
constexpr std::size_t kRescorePiecePairs = 1 << 12;
constexpr std::size_t kBlockCodes = 64;

double from_bfloat16(std::uint16_t bits) {
  return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16));
}

float estimated_badness(const Estimate& estimate, std::size_t query, std::size_t row,
                        std::int32_t distance) {
  const std::uint16_t* factors = estimate.factors.row(row);
  const double second = estimate.factors.n_columns() > 1 ? from_bfloat16(factors[1]) : 0;
  const double product =
      estimate.scales[query] * (estimate.sums[query] - 2.0 * distance) * from_bfloat16(factors[0]);
  const double constant = estimate.constants[query];
  if (estimate.metric != Metric::kL2) return badness_of(-(constant + product + second));
  // An estimate of a square may be negative.
  return badness_of(std::sqrt(std::max(constant + second * second - 2 * product, 0.0)));
}

// Scores the candidates of one query.
class CodeScorer {
 public:
  CodeScorer(const Kernels& kernels, const Segments<std::uint8_t>& codes, const Queries& queries,
             std::size_t query, const Estimate* estimate)
      : kernels_(kernels),
        codes_(codes),
        query_(query),
        batch_(queries, query, query + 1),
        estimate_(estimate),
        block_(std::make_unique_for_overwrite<std::uint8_t[]>(kBlockCodes * codes.n_columns())) {}

  void score(const std::int64_t* candidates, std::size_t n, Scored* scored) {
    for (std::size_t begin = 0; begin < n; begin += kBlockCodes) {
      const std::size_t end = std::min(n, begin + kBlockCodes);
      prefetch_codes(candidates + end, std::min(n - end, kBlockCodes));
      score_block(candidates + begin, end - begin, scored + begin);
    }
  }

 private:
  void prefetch_codes(const std::int64_t* candidates, std::size_t n) const {
    for (std::size_t i = 0; i < n; ++i) {
      if (candidates[i] < 0) continue;
      prefetch(codes_.row(static_cast<std::size_t>(candidates[i])), codes_.n_columns());
    }
  }

  void score_block(const std::int64_t* candidates, std::size_t n, Scored* scored) {
    const std::size_t n_bytes = codes_.n_columns();
    std::size_t places[kBlockCodes];
    std::size_t n_codes = 0;
    for (std::size_t i = 0; i < n; ++i) {
      scored[i] = {0, candidates[i]};
      if (candidates[i] < 0) continue;
      std::memcpy(block_.get() + n_codes * n_bytes,
                  codes_.row(static_cast<std::size_t>(candidates[i])), n_bytes);
      places[n_codes++] = i;
    }
    if (n_codes == 0) return;
    Hit hits[kBlockCodes];
    kernels_.scan_rows_weighted(
        batch_.row(0), batch_.planes(0), batch_.plane_stride(),
        {block_.get(), static_cast<std::ptrdiff_t>(n_bytes), n_codes, n_bytes}, kAdmitAll, hits);
    for (std::size_t i = 0; i < n_codes; ++i) {
      Scored& one = scored[places[hits[i].row]];
      one.badness = estimate_ == nullptr
                        ? static_cast<float>(hits[i].distance)  // exact: it has 24 bits
                        : estimated_badness(*estimate_, query_, static_cast<std::size_t>(one.row),
                                            hits[i].distance);
    }
  }

  const Kernels& kernels_;
  Segments<std::uint8_t> codes_;
  std::size_t query_;
  QueryBatch batch_;
  const Estimate* estimate_;
  std::unique_ptr<std::uint8_t[]> block_;
};

}  // namespace

void rescore_codes(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                   const Queries& queries, const CandidateRows& candidates,
                   const Estimate* estimate, std::size_t n_threads, float* scores,
                   std::int64_t* rows) {
  check_candidates(candidates, codes.n_rows());
  const std::size_t n_queries = queries.codes.n_rows;
  const std::size_t n_candidates = candidates.rows.n_columns;
  const std::size_t n_pairs = n_queries * n_candidates;
  const auto scored = room_for_scores(n_pairs);
  const std::size_t piece =
      std::min(kRescorePiecePairs, 1 + kRescorePieceBytes / codes.n_columns());
  for_each_piece(n_pairs, piece, n_threads, [&](std::size_t begin, std::size_t end) {
    while (begin < end) {
      const std::size_t query = begin / n_candidates;
      const std::size_t first = begin % n_candidates;
      const std::size_t n = std::min(end - begin, n_candidates - first);
      CodeScorer(kernels, codes, queries, query, estimate)
          .score(candidates.rows.row(query) + first, n, scored.get() + begin);
      begin += n;
    }
  });
  const bool ascending = estimate == nullptr || estimate->metric == Metric::kL2;
  rank(scored.get(), n_queries, candidates, ascending, n_threads, scores, rows);
}

}  // namespace bitsift
