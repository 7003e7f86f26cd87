// SPDX-License-Identifier: Apache-2.0
// Calls that match (Request::matches) scan one at a time. Callers that arrive meanwhile wait. When
// the scan ends, the first of them waits a short time for others to join; then it scans for all, in
// order of arrival, up to kMostQueriesTogether queries. While no more than that wait, a caller
// waits for at most the running scan, the short time, and the scan that serves it. While more wait,
// the last to arrive wait for further scans.
#include "search/shared_scan.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <vector>

#include "base/platform.hpp"
#include "base/process_wide.hpp"

namespace bitsift {
namespace {

using Clock = std::chrono::steady_clock;

// Calls with more queries are bound by arithmetic: a shared scan would gain nothing.
constexpr std::size_t kMostQueries = 16;
// Of all the calls that one scan serves.
constexpr std::size_t kMostQueriesTogether = 128;
// A shared scan copies its results: calls with more results scan alone.
constexpr std::size_t kMostResults = 4096;
// Scans of fewer bytes of codes end before another caller could join.
constexpr std::size_t kLeastBytes = std::size_t{1} << 22;
// Callers that shared a scan often return together. The next leader waits until as many have
// arrived, for at most 1 / kLingerShare of the time that the last scan took.
constexpr int kLingerShare = 8;

struct Request {
  const Kernels* kernels;
  Matrix<std::uint8_t> codes;
  Queries queries;
  ScanOptions options;
  std::int32_t* distances;
  std::int64_t* rows;

  enum class State { kWaiting, kLeading, kDone } state = State::kWaiting;
  std::exception_ptr error = nullptr;

  // Whether one scan can serve both.
  bool matches(const Request& other) const {
    return kernels == other.kernels && codes.data == other.codes.data &&
           codes.n_rows == other.codes.n_rows && codes.n_columns == other.codes.n_columns &&
           codes.stride == other.codes.stride && options.ids == other.options.ids &&
           options.k == other.options.k && options.n_threads == other.options.n_threads &&
           options.method == other.options.method && options.costs == other.options.costs &&
           queries.weighted() == other.queries.weighted();
  }
};

void scan_alone(const Request& request) {
  scan(*request.kernels, request.codes, request.queries, request.options, request.distances,
       request.rows);
}

// The rows of several matrices, concatenated.
class Gathered {
 public:
  void add(Matrix<std::uint8_t> rows) {
    n_columns_ = rows.n_columns;
    for (std::size_t i = 0; i < rows.n_rows; ++i) {
      bytes_.insert(bytes_.end(), rows.row(i), rows.row(i) + n_columns_);
    }
  }
  Matrix<std::uint8_t> matrix() const {
    return {.data = bytes_.data(),
            .n_rows = bytes_.size() / n_columns_,
            .n_columns = n_columns_,
            .stride = static_cast<std::ptrdiff_t>(n_columns_)};
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t n_columns_ = 1;
};

void scan_together(const std::vector<Request*>& requests) {
  if (requests.size() == 1) return scan_alone(*requests.front());
  const bool weighted = requests.front()->queries.weighted();
  Gathered codes;
  Gathered magnitudes;
  for (const Request* request : requests) {
    codes.add(request->queries.codes);
    if (weighted) magnitudes.add(request->queries.magnitudes);
  }
  Request all = *requests.front();
  all.queries.codes = codes.matrix();
  if (weighted) all.queries.magnitudes = magnitudes.matrix();
  std::vector<std::int32_t> distances(all.queries.codes.n_rows * all.options.k);
  std::vector<std::int64_t> rows(distances.size());
  all.distances = distances.data();
  all.rows = rows.data();
  scan_alone(all);
  std::size_t begin = 0;
  for (const Request* request : requests) {
    const std::size_t n = request->queries.codes.n_rows * all.options.k;
    std::copy_n(all.distances + begin, n, request->distances);
    std::copy_n(all.rows + begin, n, request->rows);
    begin += n;
  }
}

// The calls that scan the same codes with the same options. The leader scans for all of them.
class ScanGroup {
 public:
  explicit ScanGroup(const Request& key) : key_(key) {}

  bool is_of(const Request& request) const { return key_.matches(request); }
  bool is_empty() const { return n_callers_ == 0; }

  // Returns when the request has been served. `lock` protects every member.
  void serve(Request& request, std::unique_lock<std::mutex>& lock) {
    waiting_.push_back(&request);
    ++n_callers_;
    if (is_running_) {
      arrival_.notify_one();
      turn_.wait(lock, [&] { return request.state != Request::State::kWaiting; });
      if (request.state == Request::State::kLeading) {
        linger(waiting_.size() + n_last_, last_time_ / kLingerShare, lock);
        lead(lock);
      }
    } else {
      is_running_ = true;
      linger(n_last_, last_time_ / kLingerShare, lock);
      lead(lock);
    }
    --n_callers_;
  }

 private:
  void linger(std::size_t n_expected, Clock::duration time, std::unique_lock<std::mutex>& lock) {
    if (time <= Clock::duration::zero()) return;
    arrival_.wait_for(lock, time, [&] { return waiting_.size() >= n_expected; });
  }

  // Scans for the waiting requests, up to kMostQueriesTogether queries; then makes the first
  // request that is left the leader.
  void lead(std::unique_lock<std::mutex>& lock) {
    std::size_t n_queries = 0;
    const auto last = std::find_if_not(waiting_.begin(), waiting_.end(), [&](Request* request) {
      n_queries += request->queries.codes.n_rows;
      return n_queries <= kMostQueriesTogether;
    });
    const std::vector<Request*> served(waiting_.begin(), last);
    waiting_.erase(waiting_.begin(), last);

    lock.unlock();
    const auto start = Clock::now();
    std::exception_ptr error;
    try {
      scan_together(served);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();

    last_time_ = Clock::now() - start;
    n_last_ = served.size();
    for (Request* request : served) {
      request->error = error;
      request->state = Request::State::kDone;
    }
    is_running_ = !waiting_.empty();
    if (is_running_) waiting_.front()->state = Request::State::kLeading;
    turn_.notify_all();
  }

  Request key_;
  std::vector<Request*> waiting_;  // in order of arrival
  std::size_t n_callers_ = 0;
  bool is_running_ = false;
  std::size_t n_last_ = 0;  // callers that the last scan served
  Clock::duration last_time_{};
  std::condition_variable turn_;     // a request has changed its state
  std::condition_variable arrival_;  // for a leader that lingers
};

class ScanGroups {
 public:
  void serve(Request& request) {
    std::unique_lock lock(mutex_);
    group_of(request).serve(request, lock);
    lock.unlock();
    if (request.error != nullptr) std::rethrow_exception(request.error);
  }

 private:
  // Empty groups are kept for a while: their callers may come back.
  static constexpr std::size_t kMostEmpty = 8;

  ScanGroup& group_of(const Request& request) {
    for (ScanGroup& group : groups_) {
      if (group.is_of(request)) return group;
    }
    if (groups_.size() >= kMostEmpty)
      groups_.remove_if([](ScanGroup& group) { return group.is_empty(); });
    return groups_.emplace_back(request);
  }

  std::mutex mutex_;
  std::list<ScanGroup> groups_;
};

}  // namespace

void shared_scan(const Kernels& kernels, Matrix<std::uint8_t> codes, const Queries& queries,
                 const ScanOptions& options, std::int32_t* distances, std::int64_t* rows) {
  const std::size_t n_queries = queries.codes.n_rows;
  // A call for fewer threads than there are leaves the rest to other callers and scans alone.
  const bool is_shared = n_queries > 0 && n_queries <= kMostQueries && options.k <= kMostResults &&
                         codes.n_rows * codes.n_columns >= kLeastBytes &&
                         options.n_threads >= available_threads();
  Request request = {&kernels, codes, queries, options, distances, rows};
  if (is_shared) {
    process_wide<ScanGroups>().serve(request);
  } else {
    scan_alone(request);
  }
}

}  // namespace bitsift
