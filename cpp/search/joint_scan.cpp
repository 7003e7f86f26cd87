// SPDX-License-Identifier: Apache-2.0
#include "search/joint_scan.hpp"

#include <algorithm>
#include <limits>

#include "search/neighbor.hpp"

namespace bitsift {
namespace {

// Others join after at least this part of the rows, so that those who come one after the other join
// together.
constexpr std::size_t kLeastShare = 16;
// They join before this part has been scanned: those who were first wait while it is scanned again.
constexpr std::size_t kMostShare = 4;
// With fewer rows for each result, to begin again without limits costs too much.
constexpr std::size_t kRowsPerResult = 1000;

// Adds the rows found to the k results of a query. `found` are rows from `begin` on.
void merge(const std::int64_t* ids, std::size_t k, std::size_t begin,
           const std::int32_t* found_distances, const std::int64_t* found_rows,
           std::int32_t* distances, std::int64_t* rows, std::vector<Neighbor>& both) {
  both.clear();
  for (std::size_t i = 0; i < k && rows[i] >= 0; ++i) both.emplace_back(distances[i], rows[i]);
  const auto n_before = static_cast<std::ptrdiff_t>(both.size());
  for (std::size_t i = 0; i < k && found_rows[i] >= 0; ++i) {
    both.emplace_back(found_distances[i], found_rows[i] + static_cast<std::int64_t>(begin));
  }
  std::inplace_merge(both.begin(), both.begin() + n_before, both.end(), ByDistanceThenId{ids});
  for (std::size_t i = 0; i < k; ++i) {
    const bool is_row = i < both.size();
    distances[i] = is_row ? both[i].distance() : std::numeric_limits<std::int32_t>::max();
    rows[i] = is_row ? both[i].row() : -1;
  }
}

}  // namespace

bool ScanTask::matches(const ScanTask& other) const {
  return kernels == other.kernels && codes.data == other.codes.data &&
         codes.n_rows == other.codes.n_rows && codes.n_columns == other.codes.n_columns &&
         codes.stride == other.codes.stride && options.ids == other.options.ids &&
         options.mask.pages == other.options.mask.pages &&
         options.first_row == other.options.first_row && options.k == other.options.k &&
         options.n_threads == other.options.n_threads && options.method == other.options.method &&
         options.costs == other.options.costs && queries.weighted() == other.queries.weighted();
}

void Gathered::add(Matrix<std::uint8_t> rows) {
  n_columns_ = rows.n_columns;
  for (std::size_t i = 0; i < rows.n_rows; ++i) {
    bytes_.insert(bytes_.end(), rows.row(i), rows.row(i) + n_columns_);
  }
}

Matrix<std::uint8_t> Gathered::matrix() const {
  return {.data = bytes_.data(),
          .n_rows = bytes_.size() / n_columns_,
          .n_columns = n_columns_,
          .stride = static_cast<std::ptrdiff_t>(n_columns_)};
}

std::size_t JointScan::add(const ScanTask& task) {
  if (parts_.empty() || parts_.back().first_row != n_scanned_) {
    parts_.push_back({.first_query = n_queries_, .first_row = n_scanned_});
  }
  task_ = task;
  codes_.add(task.queries.codes);
  if (task.queries.weighted()) magnitudes_.add(task.queries.magnitudes);
  n_queries_ += task.n_queries();
  return (n_queries_ - task.n_queries()) * task.options.k;
}

bool JointScan::scan(const std::atomic<bool>* others_wait) {
  const std::size_t n_rows = task_.codes.n_rows;
  const std::size_t k = task_.options.k;
  distances_.resize(n_queries_ * k);
  rows_.resize(n_queries_ * k, -1);
  const std::size_t most = n_rows / kRowsPerResult < k ? 0 : n_rows / kMostShare;
  while (n_scanned_ < n_rows) {
    const bool is_early = n_scanned_ < most;
    n_scanned_ += scan_rows(0, n_scanned_, n_rows,
                            {.wanted = is_early ? others_wait : nullptr,
                             .least_rows = n_rows / kLeastShare,
                             .most_rows = is_early ? most - n_scanned_ : 0});
    if (n_scanned_ < n_rows) return false;
  }
  for (std::size_t i = 1; i < parts_.size(); ++i) {
    scan_rows(parts_[i].first_query, parts_[i - 1].first_row, parts_[i].first_row, {});
  }
  return true;
}

void JointScan::copy_results(std::size_t first, const ScanTask& task) const {
  std::copy_n(distances_.data() + first, task.n_results(), task.distances);
  std::copy_n(rows_.data() + first, task.n_results(), task.rows);
}

std::size_t JointScan::scan_rows(std::size_t first_query, std::size_t begin, std::size_t end,
                                 const EarlyEnd& early_end) {
  const std::size_t n_queries = n_queries_ - first_query;
  const std::size_t k = task_.options.k;
  Matrix<std::uint8_t> codes = task_.codes;
  codes.data = codes.row(begin);
  codes.n_rows = end - begin;
  Queries queries{codes_.matrix()};
  if (task_.queries.weighted()) queries.magnitudes = magnitudes_.matrix();
  queries = queries.part(first_query, n_queries_);
  ScanOptions options = task_.options;
  options.early_end = early_end;
  if (begin == 0 && first_query == 0) {
    return bitsift::scan(*task_.kernels, codes, queries, options, distances_.data(), rows_.data());
  }
  if (options.ids != nullptr) options.ids += begin;
  options.first_row += begin;
  std::vector<std::int32_t> distances(n_queries * k);
  std::vector<std::int64_t> rows(n_queries * k);
  const std::size_t n_scanned =
      bitsift::scan(*task_.kernels, codes, queries, options, distances.data(), rows.data());
  std::vector<Neighbor> both;
  for (std::size_t i = 0; i < n_queries; ++i) {
    const std::size_t result = (first_query + i) * k;
    merge(task_.options.ids, k, begin, distances.data() + i * k, rows.data() + i * k,
          distances_.data() + result, rows_.data() + result, both);
  }
  return n_scanned;
}

}  // namespace bitsift
