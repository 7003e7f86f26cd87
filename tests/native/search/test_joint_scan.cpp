// SPDX-License-Identifier: Apache-2.0
// Tasks join a scan that goes on, and each gets the results of a scan of its own.
#include "search/joint_scan.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "helpers/levels.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"

namespace bitsift::test {
namespace {

using Found = Results<std::int32_t>;

constexpr std::size_t kRows = 40000;
constexpr std::size_t kBytes = 40;
constexpr std::size_t kMostNearest = 40;  // others join a scan for no more results of 40,000 rows

// Codes with a gap between rows, queries and everything else that tasks are made of.
class Data {
 public:
  Data() {
    for (auto& m : magnitudes_) m = static_cast<std::uint8_t>(random_.below(32));
  }

  Matrix<std::uint8_t> codes() const { return {code_bytes_.data(), kRows, kBytes, kBytes + 3}; }
  const std::int64_t* ids() const { return ids_.data(); }
  Queries queries(std::size_t begin, std::size_t n, bool weighted) const {
    Queries queries = {{query_bytes_.data() + begin * kBytes, n, kBytes, kBytes}};
    if (weighted) {
      queries.magnitudes = {magnitudes_.data() + begin * 8 * kBytes, n, 8 * kBytes, 8 * kBytes};
    }
    return queries;
  }

  static constexpr std::size_t kQueries = 6;

 private:
  Random random_{1};
  // Few bits: many rows are equally far.
  std::vector<std::uint8_t> code_bytes_ = [this] {
    auto bytes = random_.bytes(kRows * (kBytes + 3));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(byte & random_.byte());
    return bytes;
  }();
  std::vector<std::uint8_t> query_bytes_ = random_.bytes(kQueries * kBytes);
  std::vector<std::uint8_t> magnitudes_ = std::vector<std::uint8_t>(kQueries * 8 * kBytes);
  std::vector<std::int64_t> ids_ = random_.ids(kRows);
};

// Tasks of 1, 2 and 3 queries, each with room for its results.
class Tasks {
 public:
  Tasks(const Kernels& kernels, const Data& data, bool weighted, const ScanOptions& options) {
    for (std::size_t n = 1, begin = 0; begin < Data::kQueries; begin += n++) {
      Found& room = found_.emplace_back(Found{std::vector<std::int32_t>(n * options.k, -5),
                                              std::vector<std::int64_t>(n * options.k, -5)});
      tasks_.push_back({&kernels, data.codes(), data.queries(begin, n, weighted), options,
                        room.values.data(), room.rows.data()});
    }
  }

  // The others join when the scan for the first ends early: all at once, or one at each early end.
  // Returns how often it ended early.
  int scan(bool one_by_one) {
    std::atomic<bool> others_wait{true};
    JointScan joint;
    std::vector<std::size_t> places = {joint.add(tasks_[0])};
    int n_early = 0;
    while (!joint.scan(places.size() < tasks_.size() ? &others_wait : nullptr)) {
      ++n_early;
      do {
        places.push_back(joint.add(tasks_[places.size()]));
      } while (!one_by_one && places.size() < tasks_.size());
    }
    for (std::size_t i = 0; i < places.size(); ++i) joint.copy_results(places[i], tasks_[i]);
    return n_early;
  }

  // The results of the tasks, one after the other.
  Found found() const {
    Found all;
    for (const Found& one : found_) {
      all.values.insert(all.values.end(), one.values.begin(), one.values.end());
      all.rows.insert(all.rows.end(), one.rows.begin(), one.rows.end());
    }
    return all;
  }

 private:
  std::vector<ScanTask> tasks_;
  std::vector<Found> found_;
};

TEST_CASE("tasks join") {
  const Data data;
  for (const bool weighted : {false, true}) {
    for (const std::int64_t* ids : {static_cast<const std::int64_t*>(nullptr), data.ids()}) {
      const Queries all = data.queries(0, Data::kQueries, weighted);
      const Found wanted = naive_search(data.codes(), all, ids, kMostNearest);
      for (const std::size_t k : Sizes{1, 10, kMostNearest}) {
        Found nearest;
        for (std::size_t i = 0; i < Data::kQueries; ++i) {
          const Found one = wanted.part(i, i + 1, kMostNearest).part(0, k, 1);
          nearest.values.insert(nearest.values.end(), one.values.begin(), one.values.end());
          nearest.rows.insert(nearest.rows.end(), one.rows.begin(), one.rows.end());
        }
        for (const Kernels* kernels : available_kernels()) {
          for (const std::size_t n_threads : Sizes{1, 2, 7}) {
            CAPTURE(kernels->name);
            CAPTURE(k);
            CAPTURE(n_threads);
            Tasks tasks(*kernels, data, weighted, {.k = k, .ids = ids, .n_threads = n_threads});
            // Several threads may have taken all pieces of the rest at once.
            const bool one_by_one = n_threads == 1;
            CHECK(tasks.scan(one_by_one) == (one_by_one ? 2 : 1));
            CHECK(tasks.found() == nearest);
          }
        }
      }
    }
  }
}

TEST_CASE("nobody joins: nobody waits, or there are few rows for each result") {
  const Data data;
  const std::atomic<bool> nobody_waits{false};
  const std::atomic<bool> others_wait{true};
  for (const std::size_t k : {kMostNearest, kMostNearest + 1, kRows + 1}) {
    const Queries query = data.queries(0, 1, false);
    Found found{std::vector<std::int32_t>(k), std::vector<std::int64_t>(k)};
    const ScanTask task = {available_kernels().back(), data.codes(),     query, {.k = k},
                           found.values.data(),        found.rows.data()};
    JointScan joint;
    const std::size_t place = joint.add(task);
    CHECK(joint.scan(k > kMostNearest ? &others_wait : &nobody_waits));
    joint.copy_results(place, task);
    CHECK(found == naive_search(data.codes(), query, nullptr, k));
  }
}

}  // namespace
}  // namespace bitsift::test
