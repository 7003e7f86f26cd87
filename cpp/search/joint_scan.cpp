// SPDX-License-Identifier: Apache-2.0
#include "search/joint_scan.hpp"

#include <algorithm>
#include <limits>

#include "search/neighbor.hpp"

namespace bitsift {
namespace {

// Others join after 1 / kLeastShare of the rows, so that those who come one after the other join
// together, and before 1 / kMostShare. Later the first, who wait for the end, would lose more time
// than the others gain.
constexpr std::size_t kLeastShare = 16;
constexpr std::size_t kMostShare = 2;
// A scan that goes on begins without limits. With fewer rows for each result it would admit too
// many of them: nobody joins.
constexpr std::size_t kRowsPerResult = 1000;

void append(Matrix<std::uint8_t> rows, std::vector<std::uint8_t>& bytes) {
  for (std::size_t i = 0; i < rows.n_rows; ++i) {
    bytes.insert(bytes.end(), rows.row(i), rows.row(i) + rows.n_columns);
  }
}

Matrix<std::uint8_t> matrix_of(const std::vector<std::uint8_t>& bytes, std::size_t n_columns) {
  return {.data = bytes.data(),
          .n_rows = bytes.size() / n_columns,
          .n_columns = n_columns,
          .stride = static_cast<std::ptrdiff_t>(n_columns)};
}

// The k results of a query, in order: behind the last row, -1 and the largest int32.
struct Results {
  std::size_t k;
  std::int32_t* distances;
  std::int64_t* rows;
};

// Row `first_row` is row 0 of the results.
std::vector<Neighbor> neighbors_of(const Results& results, std::size_t first_row) {
  std::vector<Neighbor> neighbors;
  for (std::size_t i = 0; i < results.k && results.rows[i] >= 0; ++i) {
    neighbors.emplace_back(results.distances[i],
                           results.rows[i] + static_cast<std::int64_t>(first_row));
  }
  return neighbors;
}

void write(const std::vector<Neighbor>& neighbors, const Results& results) {
  const std::size_t n = std::min(results.k, neighbors.size());
  for (std::size_t i = 0; i < n; ++i) {
    results.distances[i] = neighbors[i].distance();
    results.rows[i] = neighbors[i].row();
  }
  std::fill(results.distances + n, results.distances + results.k,
            std::numeric_limits<std::int32_t>::max());
  std::fill(results.rows + n, results.rows + results.k, -1);
}

}  // namespace

bool ScanTask::matches(const ScanTask& other) const {
  return kernels == other.kernels && codes.is_same_as(other.codes) &&
         options.ids == other.options.ids && options.mask.pages == other.options.mask.pages &&
         options.first_row == other.options.first_row && options.k == other.options.k &&
         options.n_threads == other.options.n_threads && options.method == other.options.method &&
         options.costs == other.options.costs && queries.weighted() == other.queries.weighted();
}

std::size_t JointScan::add(const ScanTask& task) {
  if (parts_.empty() || parts_.back().first_row < n_scanned_) {
    parts_.push_back({.first_query = n_queries_, .first_row = n_scanned_});
  }
  task_ = task;
  append(task.queries.codes, codes_);
  if (task.queries.weighted()) append(task.queries.magnitudes, magnitudes_);
  const std::size_t first_query = n_queries_;
  n_queries_ += task.n_queries();
  return first_query * task.options.k;
}

bool JointScan::scan(const std::atomic<bool>* others_wait) {
  distances_.resize(n_queries_ * task_.options.k);
  rows_.resize(n_queries_ * task_.options.k, -1);
  const std::size_t n_rows = task_.codes.n_rows();
  n_scanned_ += scan_rows(0, n_scanned_, n_rows, early_end(others_wait));
  if (n_scanned_ < n_rows) return false;
  for (std::size_t i = 1; i < parts_.size(); ++i) {
    scan_rows(parts_[i].first_query, parts_[i - 1].first_row, parts_[i].first_row, {});
  }
  return true;
}

EarlyEnd JointScan::early_end(const std::atomic<bool>* others_wait) const {
  const std::size_t n_rows = task_.codes.n_rows();
  const std::size_t most = n_rows / kMostShare;
  if (n_scanned_ >= most || n_rows / kRowsPerResult < task_.options.k) return {};
  return {
      .wanted = others_wait, .least_rows = n_rows / kLeastShare, .most_rows = most - n_scanned_};
}

void JointScan::copy_results(std::size_t first, const ScanTask& task) const {
  std::copy_n(distances_.data() + first, task.n_results(), task.distances);
  std::copy_n(rows_.data() + first, task.n_results(), task.rows);
}

std::size_t JointScan::scan_rows(std::size_t first_query, std::size_t begin, std::size_t end,
                                 const EarlyEnd& early_end) {
  const std::size_t k = task_.options.k;
  const Segments<std::uint8_t> codes = task_.codes.part(begin, end);
  Queries queries{matrix_of(codes_, codes.n_columns())};
  if (task_.queries.weighted()) {
    queries.magnitudes = matrix_of(magnitudes_, task_.queries.magnitudes.n_columns);
  }
  queries = queries.part(first_query, n_queries_);
  ScanOptions options = task_.options;
  options.early_end = early_end;
  // Nobody has results yet.
  if (n_scanned_ == 0) {
    return bitsift::scan(*task_.kernels, codes, queries, options, distances_.data(), rows_.data());
  }
  options.ids = options.ids.from(begin);
  options.first_row += begin;
  const std::size_t n_queries = n_queries_ - first_query;
  std::vector<std::int32_t> distances(n_queries * k);
  std::vector<std::int64_t> rows(n_queries * k);
  const std::size_t n_scanned =
      bitsift::scan(*task_.kernels, codes, queries, options, distances.data(), rows.data());
  for (std::size_t i = 0; i < n_queries; ++i) {
    const std::size_t first = (first_query + i) * k;
    const Results results = {k, distances_.data() + first, rows_.data() + first};
    const auto before = neighbors_of(results, 0);
    const auto found = neighbors_of({k, distances.data() + i * k, rows.data() + i * k}, begin);
    std::vector<Neighbor> both(before.size() + found.size());
    std::merge(before.begin(), before.end(), found.begin(), found.end(), both.begin(),
               ByDistanceThenId{task_.options.ids});
    write(both, results);
  }
  return n_scanned;
}

}  // namespace bitsift
