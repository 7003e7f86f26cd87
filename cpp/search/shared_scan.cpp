// SPDX-License-Identifier: Apache-2.0
// Calls that match (Task::matches) scan one at a time. Callers that arrive meanwhile wait. When the
// scan ends, the first of them leads: it waits a short time for others to join; then it scans for
// all, in order of arrival, up to kMostQueriesTogether queries. While no more than that wait, a
// caller waits for at most the running scan, the short time, and the scan that serves it. While
// more wait, the last to arrive wait for further scans.
//
// A call may end at any moment: interrupted, or for want of memory. It fails alone. Requests lie on
// the stacks of their calls and are linked, so to wait allocates nothing; Place takes a request out
// when its call ends, however it ends. A scan for several calls reads and writes memory that they
// share, none of a single call. If the leader's call ends amid the scan, those that it scanned for
// wait again, in front, and the next of them leads. A leader that polls for long, in a signal
// handler of Python's, is deposed: the handler may be waiting for the very threads that wait here.
#include "search/shared_scan.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/default_threads.hpp"
#include "base/interruption.hpp"
#include "base/linked_list.hpp"
#include "base/process_wide.hpp"

namespace bitsift {
namespace {

using Clock = Interruption::Clock;

// Calls with more queries are bound by arithmetic: a shared scan would gain nothing.
constexpr std::size_t kMostQueries = 16;
// Of all the calls that one scan serves.
constexpr std::size_t kMostQueriesTogether = 128;
// A shared scan copies its results: calls with more results scan alone.
constexpr std::size_t kMostResults = 4096;
// Scans of fewer bytes of codes end before another caller could join.
constexpr std::size_t kLeastBytes = std::size_t{1} << 22;
// Callers that shared a scan often return together. The next leader waits until as many have
// arrived, for 1 / kLingerShare of the time that the last scan took, and as long again after each
// arrival: those that slept wake late, one after the other. In all, at most kMostLingers times.
constexpr int kLingerShare = 8;
constexpr int kMostLingers = 3;
// A leader that has polled for so long is deposed.
constexpr std::chrono::milliseconds kLongPoll{100};

struct Task {
  const Kernels* kernels;
  Matrix<std::uint8_t> codes;
  Queries queries;
  ScanOptions options;
  std::int32_t* distances;
  std::int64_t* rows;

  std::size_t n_queries() const { return queries.codes.n_rows; }
  std::size_t n_results() const { return n_queries() * options.k; }
  // Whether one scan can serve both.
  bool matches(const Task& other) const {
    return kernels == other.kernels && codes.data == other.codes.data &&
           codes.n_rows == other.codes.n_rows && codes.n_columns == other.codes.n_columns &&
           codes.stride == other.codes.stride && options.ids == other.options.ids &&
           options.k == other.options.k && options.n_threads == other.options.n_threads &&
           options.method == other.options.method && options.costs == other.options.costs &&
           queries.weighted() == other.queries.weighted();
  }
  void scan() const { bitsift::scan(*kernels, codes, queries, options, distances, rows); }
};

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

// The queries of several tasks and room for their results. The calls share it, and each copies its
// own results.
class TasksTogether {
 public:
  // Returns the place of the task's first result.
  std::size_t add(const Task& task) {
    task_ = task;
    codes_.add(task.queries.codes);
    if (task.queries.weighted()) magnitudes_.add(task.queries.magnitudes);
    return std::exchange(n_results_, n_results_ + task.n_results());
  }
  // After the last task.
  void make_room() {
    distances_ = std::make_unique_for_overwrite<std::int32_t[]>(n_results_);
    rows_ = std::make_unique_for_overwrite<std::int64_t[]>(n_results_);
  }
  void scan() const {
    Task all = task_;
    all.queries.codes = codes_.matrix();
    if (all.queries.weighted()) all.queries.magnitudes = magnitudes_.matrix();
    all.distances = distances_.get();
    all.rows = rows_.get();
    all.scan();
  }
  void copy_results(std::size_t first, const Task& task) const {
    std::copy_n(distances_.get() + first, task.n_results(), task.distances);
    std::copy_n(rows_.get() + first, task.n_results(), task.rows);
  }

 private:
  Task task_{};
  Gathered codes_;
  Gathered magnitudes_;
  std::size_t n_results_ = 0;
  std::unique_ptr<std::int32_t[]> distances_;
  std::unique_ptr<std::int64_t[]> rows_;
};

// A call that waits for a scan. The mutex of ScanGroups protects all but the task.
struct Request {
  const Task& task;
  const Interruption* call = Interruption::current();
  LinkedList<Request>* list = nullptr;  // the one that it is in
  // Set once a scan for several calls has served this one.
  std::shared_ptr<const TasksTogether> together = nullptr;
  std::size_t first_result = 0;
  Request* previous = nullptr;
  Request* next = nullptr;

  bool is_polling(Clock::duration time) const {
    return call != nullptr && call->has_polled_for(time);
  }
  void move_to(LinkedList<Request>* target, Request* before = nullptr) {
    if (list != nullptr) list->remove(*this);
    list = target;
    if (list != nullptr) list->insert(*this, before);
  }
};

// The calls that scan the same codes with the same options. The leader scans for all of them.
class ScanGroup {
 public:
  explicit ScanGroup(const Task& key) : key_(key) {}

  bool is_of(const Task& task) const { return key_.matches(task); }
  bool is_empty() const { return n_callers_ == 0; }

  // Returns when the request has been served. `lock` protects every member.
  void serve(Request& request, std::unique_lock<std::mutex>& lock) {
    const Place place(*this, request, lock);
    std::size_t n_expected = n_last_;
    while (request.together == nullptr) {
      if (leader_ == nullptr) leader_ = &request;
      if (leader_ != &request) {
        arrival_.notify_one();
        wait(request, lock);
        n_expected = waiting_.size() + n_last_;
        continue;
      }
      linger(request, n_expected, lock);
      if (leader_ == &request) return lead(request, lock);
    }
  }

 private:
  // The place of a request in its group.
  class Place {
   public:
    Place(ScanGroup& group, Request& request, const std::unique_lock<std::mutex>& lock)
        : group_(group), request_(request), lock_(lock) {
      request.move_to(&group.waiting_);
      ++group.n_callers_;
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
      if (!lock_.owns_lock()) return;  // in a forked child, which has forgotten the group
      request_.move_to(nullptr);
      --group_.n_callers_;
      if (group_.leader_ == &request_) group_.change_leader();
    }

   private:
    ScanGroup& group_;
    Request& request_;
    const std::unique_lock<std::mutex>& lock_;
  };

  // Those for whom the leader has been scanning wait again, in front. The first whose caller is not
  // polling leads; if there is none, the next one to come back.
  void change_leader() {
    Request* const front = waiting_.first();
    while (served_.first() != nullptr) served_.first()->move_to(&waiting_, front);
    leader_ = waiting_.first();
    while (leader_ != nullptr && leader_->is_polling(Clock::duration::zero())) {
      leader_ = leader_->next;
    }
    turn_.notify_all();
  }

  // Returns when the request has been served or has to lead, or sooner.
  void wait(const Request& request, std::unique_lock<std::mutex>& lock) {
    const bool is_ready = turn_.wait_for(lock, Interruption::kBetweenPolls, [&] {
      return request.together != nullptr || leader_ == &request || leader_ == nullptr;
    });
    if (is_ready) return;
    if (leader_->is_polling(kLongPoll)) change_leader();
    const Unlocked unlocked(lock);
    check_after_wait();
    unlocked.check_not_forked();
  }

  // Waits until so many wait, for parts of the time that the last scan took, or until another
  // leads.
  void linger(const Request& request, std::size_t n_expected, std::unique_lock<std::mutex>& lock) {
    const Clock::duration time = last_time_ / kLingerShare;
    if (time <= Clock::duration::zero()) return;
    const auto start = Clock::now();
    auto end = start + time;
    std::size_t n_arrived = waiting_.size();
    const auto is_over = [&] { return waiting_.size() >= n_expected || leader_ != &request; };
    const auto is_news = [&] { return is_over() || waiting_.size() > n_arrived; };
    while (!is_over()) {
      if (arrival_.wait_until(lock, std::min(end, Clock::now() + Interruption::kBetweenPolls),
                              is_news)) {
        n_arrived = waiting_.size();
        end = std::min(Clock::now() + time, start + kMostLingers * time);
        continue;
      }
      if (Clock::now() >= end) return;
      const Unlocked unlocked(lock);
      check_after_wait();
      unlocked.check_not_forked();
    }
  }

  // Scans for the leader and for requests that wait, up to kMostQueriesTogether queries.
  void lead(Request& leader, std::unique_lock<std::mutex>& lock) {
    const auto together = gather(leader);
    leader.move_to(nullptr);
    const auto start = Clock::now();
    {
      const Unlocked unlocked(lock);
      if (together == nullptr) {
        leader.task.scan();
      } else {
        together->scan();
      }
      unlocked.check_not_forked();
    }
    leader.together = together;
    if (leader_ != &leader) return;  // deposed
    last_time_ = Clock::now() - start;
    n_last_ = 1 + served_.size();
    while (served_.first() != nullptr) {
      served_.first()->together = together;
      served_.first()->move_to(nullptr);
    }
  }

  // Moves requests to served_. Returns the leader's task and theirs; nullptr if there are none.
  std::shared_ptr<TasksTogether> gather(Request& leader) {
    if (waiting_.size() == 1) return nullptr;
    auto together = std::make_shared<TasksTogether>();
    leader.first_result = together->add(leader.task);
    std::size_t n_queries = leader.task.n_queries();
    for (Request *request = waiting_.first(), *next; request != nullptr; request = next) {
      next = request->next;
      if (request == &leader) continue;
      n_queries += request->task.n_queries();
      if (n_queries > kMostQueriesTogether) break;
      request->first_result = together->add(request->task);
      request->move_to(&served_);
    }
    together->make_room();
    return together;
  }

  Task key_;
  LinkedList<Request> waiting_;  // in order of arrival; the leader too, until it scans
  LinkedList<Request> served_;   // for whom the leader scans
  Request* leader_ = nullptr;
  std::size_t n_callers_ = 0;
  std::size_t n_last_ = 0;  // callers that the last scan served
  Clock::duration last_time_{};
  std::condition_variable turn_;     // a request has been served, or the leader has changed
  std::condition_variable arrival_;  // for a leader that lingers
};

class ScanGroups {
 public:
  void serve(const Task& task) {
    Request request{task};
    {
      std::unique_lock lock(mutex_);
      group_of(task).serve(request, lock);
    }
    if (request.together != nullptr) request.together->copy_results(request.first_result, task);
  }

 private:
  // Empty groups are kept for a while: their callers may come back.
  static constexpr std::size_t kMostEmpty = 8;

  ScanGroup& group_of(const Task& task) {
    for (ScanGroup& group : groups_) {
      if (group.is_of(task)) return group;
    }
    if (groups_.size() >= kMostEmpty)
      groups_.remove_if([](ScanGroup& group) { return group.is_empty(); });
    return groups_.emplace_back(task);
  }

  std::mutex mutex_;
  std::list<ScanGroup> groups_;
};

// A call from a signal handler scans alone: what it interrupted may be waiting here, or leading.
bool is_nested() {
  const Interruption* call = Interruption::current();
  return call != nullptr && call->is_nested();
}

}  // namespace

void shared_scan(const Kernels& kernels, Matrix<std::uint8_t> codes, const Queries& queries,
                 const ScanOptions& options, std::int32_t* distances, std::int64_t* rows) {
  const std::size_t n_queries = queries.codes.n_rows;
  // A call for fewer threads than there are leaves the rest to other callers and scans alone.
  const bool is_shared = n_queries > 0 && n_queries <= kMostQueries && options.k <= kMostResults &&
                         codes.n_rows * codes.n_columns >= kLeastBytes &&
                         options.n_threads >= default_threads() && !is_nested();
  const Task task = {&kernels, codes, queries, options, distances, rows};
  if (is_shared) {
    process_wide<ScanGroups>().serve(task);
  } else {
    task.scan();
  }
}

}  // namespace bitsift
