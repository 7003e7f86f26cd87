// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "search/scan.hpp"

namespace bitsift {

// The arguments of one call of scan().
struct ScanTask {
  const Kernels* kernels;
  Segments<std::uint8_t> codes;
  Queries queries;
  ScanOptions options;
  std::int32_t* distances;
  std::int64_t* rows;

  std::size_t n_queries() const { return queries.codes.n_rows; }
  std::size_t n_results() const { return n_queries() * options.k; }
  // Whether one scan can serve both.
  bool matches(const ScanTask& other) const;
};

// One scan for several tasks that match. Others may join in its first half: the rest of the rows is
// scanned for all of them, and then the rows that these have missed, for them. Queries and results
// are copies: the scan touches no memory of a task.
class JointScan {
 public:
  // Returns the place of the task's first result.
  std::size_t add(const ScanTask& task);

  // Scans for the tasks that have been added. Returns whether it has finished. If not,
  // `*others_wait` has become true: others may be added, and the next call goes on. nullptr: nobody
  // will join.
  bool scan(const std::atomic<bool>* others_wait);

  // After the scan.
  void copy_results(std::size_t first, const ScanTask& task) const;

 private:
  // Queries that joined before the same row.
  struct Part {
    std::size_t first_query;
    std::size_t first_row;
  };

  EarlyEnd early_end(const std::atomic<bool>* others_wait) const;
  // Scans rows [begin, end) for the queries from `first_query` on, and merges what it finds with
  // their results. Returns the number of rows scanned.
  std::size_t scan_rows(std::size_t first_query, std::size_t begin, std::size_t end,
                        const EarlyEnd& early_end);

  ScanTask task_{};  // one of them
  std::vector<std::uint8_t> codes_;
  std::vector<std::uint8_t> magnitudes_;
  std::size_t n_queries_ = 0;
  std::vector<Part> parts_;
  std::size_t n_scanned_ = 0;  // rows, for the first part
  std::vector<std::int32_t> distances_;
  std::vector<std::int64_t> rows_;
};

}  // namespace bitsift
