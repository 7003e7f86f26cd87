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
  Matrix<std::uint8_t> codes;
  Queries queries;
  ScanOptions options;
  std::int32_t* distances;
  std::int64_t* rows;

  std::size_t n_queries() const { return queries.codes.n_rows; }
  std::size_t n_results() const { return n_queries() * options.k; }
  // Whether one scan can serve both.
  bool matches(const ScanTask& other) const;
};

// The rows of several matrices, concatenated.
class Gathered {
 public:
  void add(Matrix<std::uint8_t> rows);
  Matrix<std::uint8_t> matrix() const;

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t n_columns_ = 1;
};

// One scan for several tasks that match. It may end early, so that others join: the rest is scanned
// for all of them, and then the rows that these have missed, for them. Queries and results are
// copies: no memory of a task is touched during the scan.
class JointScan {
 public:
  // Returns the place of the task's first result.
  std::size_t add(const ScanTask& task);

  // Scans for the tasks that have been added. Returns false if `*others_wait` has become true early
  // enough: then more may be added, and it goes on when called again. nullptr: nobody waits.
  bool scan(const std::atomic<bool>* others_wait);

  // After the scan.
  void copy_results(std::size_t first, const ScanTask& task) const;

 private:
  // Queries that joined at one row.
  struct Part {
    std::size_t first_query;
    std::size_t first_row;
  };

  // Scans rows [begin, end) for the queries from `first_query` on, and merges what it finds into
  // their results. Returns the number of rows scanned.
  std::size_t scan_rows(std::size_t first_query, std::size_t begin, std::size_t end,
                        const EarlyEnd& early_end);

  ScanTask task_{};
  Gathered codes_;
  Gathered magnitudes_;
  std::size_t n_queries_ = 0;
  std::vector<Part> parts_;
  std::size_t n_scanned_ = 0;  // rows, for the first part
  std::vector<std::int32_t> distances_;
  std::vector<std::int64_t> rows_;
};

}  // namespace bitsift
