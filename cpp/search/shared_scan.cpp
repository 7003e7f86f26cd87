// SPDX-License-Identifier: Apache-2.0
// Calls that match (ScanTask::matches) scan one at a time. Callers that arrive in the first half of
// a scan join it (JointScan). Those that arrive later wait. When the scan ends, the first of them
// leads: it waits a short time for as many others as were about lately; then it scans for all, in
// order of arrival, up to kMostQueriesTogether queries. While no more than that wait, a caller
// waits for at most the running scan, the short time, and the scan that serves it. While more wait,
// the last to arrive wait for further scans.
//
// A call may end at any moment: interrupted, or for want of memory. It fails alone. Requests lie on
// the stacks of their calls and are linked, so to wait allocates nothing; Place takes a request out
// when its call ends, however it ends. A scan reads and writes memory that its calls share, none of
// a single call. If the leader's call ends amid the scan, those that it scanned for wait again, in
// front, and the next of them leads. A leader that polls for long, in a signal handler of Python's,
// is deposed: the handler may be waiting for the very threads that wait here.
#include "search/shared_scan.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>

#include "base/default_threads.hpp"
#include "base/interruption.hpp"
#include "base/linked_list.hpp"
#include "base/process_wide.hpp"
#include "search/joint_scan.hpp"

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
// A leader waits for others for 1 / kLingerShare of the time that the last scan took, but no longer
// than threads take to wake and to call. It waits as long again after each arrival: those that
// slept wake late, one after the other. In all, at most kMostLingers times.
constexpr int kLingerShare = 8;
constexpr std::chrono::microseconds kLongestLinger{250};
constexpr int kMostLingers = 3;
// A scan may have served one caller because the others were late. After so many of them in a row,
// the caller is alone.
constexpr int kScansOfOneAlone = 2;
// A leader that has polled for so long is deposed.
constexpr std::chrono::milliseconds kLongPoll{100};

// A call that waits for a scan. The mutex of ScanGroups protects all but the task.
struct Request {
  const ScanTask& task;
  const Interruption* call = Interruption::current();
  LinkedList<Request>* list = nullptr;  // the one that it is in
  // Set once it has served this call.
  std::shared_ptr<const JointScan> together = nullptr;
  std::size_t first_result = 0;
  bool lingers = false;  // it leads, and waits for others
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
  explicit ScanGroup(const ScanTask& key) : key_(key) {}

  bool is_of(const ScanTask& task) const { return key_.matches(task); }
  bool is_empty() const { return n_callers_ == 0; }

  // Returns when the request has been served. `lock` protects every member.
  void serve(Request& request, std::unique_lock<std::mutex>& lock) {
    const Place place(*this, request, lock);
    last_arrival_ = Clock::now();
    others_wait_.store(true, std::memory_order_relaxed);
    while (request.together == nullptr) {
      // The last to arrive is awake: it takes the lead from one that waits for it.
      if (leader_ == nullptr || (leader_->lingers && are_all_here())) leader_ = &request;
      if (leader_ != &request) {
        wait(request, lock);
      } else if (linger(request, lock)) {
        lead(request, lock);
      }
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

  // Those for whom the leader has been scanning wait again, in front, and another leads.
  void change_leader() {
    Request* const front = waiting_.first();
    while (served_.first() != nullptr) served_.first()->move_to(&waiting_, front);
    choose_leader();
    turn_.notify_all();
  }

  // The first whose caller is not polling leads; if there is none, the next one to come back.
  void choose_leader() {
    leader_ = waiting_.first();
    while (leader_ != nullptr && leader_->is_polling(Clock::duration::zero())) {
      leader_ = leader_->next;
    }
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

  bool are_all_here() const {
    return waiting_.size() >= std::min(n_expected_, kMostQueriesTogether);
  }

  // Waits a short time for those that are expected, too short to poll. Returns whether the request
  // still leads.
  bool linger(Request& request, std::unique_lock<std::mutex>& lock) {
    const auto time = std::min<Clock::duration>(last_time_ / kLingerShare, kLongestLinger);
    const auto start = Clock::now();
    const auto leads_no_more = [&] { return leader_ != &request; };
    request.lingers = true;
    for (auto end = start, later = start + time; end < later && !are_all_here();) {
      end = later;
      if (turn_.wait_until(lock, end, leads_no_more)) break;
      later = std::min(last_arrival_ + time, start + kMostLingers * time);
    }
    request.lingers = false;
    return !leads_no_more();
  }

  // Scans for the leader, for requests that wait, and for those that arrive early enough.
  void lead(Request& leader, std::unique_lock<std::mutex>& lock) {
    const auto together = std::make_shared<JointScan>();
    leader.move_to(nullptr);
    leader.first_result = together->add(leader.task);
    std::size_t room = kMostQueriesTogether - leader.task.n_queries();
    const auto start = Clock::now();
    for (bool is_done = false; !is_done;) {
      const bool leads = leader_ == &leader;  // it has not been deposed
      if (leads) gather(*together, room);
      const Unlocked unlocked(lock);
      is_done = together->scan(leads ? &others_wait_ : nullptr);
      unlocked.check_not_forked();
    }
    leader.together = together;
    if (leader_ != &leader) return;
    last_time_ = Clock::now() - start;
    note_callers(1 + served_.size() + waiting_.size());
    while (served_.first() != nullptr) {
      served_.first()->together = together;
      served_.first()->move_to(nullptr);
    }
    choose_leader();
    // Those that wake need the mutex.
    lock.unlock();
    turn_.notify_all();
    lock.lock();
  }

  // Moves requests that wait to served_, while there is room for their queries.
  void gather(JointScan& together, std::size_t& room) {
    others_wait_.store(false, std::memory_order_relaxed);
    for (Request *request = waiting_.first(), *next; request != nullptr; request = next) {
      next = request->next;
      if (request->task.n_queries() > room) return;
      room -= request->task.n_queries();
      request->first_result = together.add(request->task);
      request->move_to(&served_);
    }
  }

  // Notes how many callers were about when a scan ended: those that it served, and those that wait.
  void note_callers(std::size_t n) {
    if (n > 1) {
      n_scans_of_one_ = 0;
      n_expected_ = std::max(n, n_expected_ - 1);
    } else if (++n_scans_of_one_ >= kScansOfOneAlone) {
      n_expected_ = 1;
    }
  }

  ScanTask key_;
  LinkedList<Request> waiting_;  // in order of arrival; the leader too, until it scans
  LinkedList<Request> served_;   // for whom the leader scans
  Request* leader_ = nullptr;
  std::size_t n_callers_ = 0;
  std::size_t n_expected_ = 1;   // callers that are likely to come
  int n_scans_of_one_ = 0;       // in a row, with nobody waiting
  Clock::duration last_time_{};  // of a scan
  Clock::time_point last_arrival_{};
  std::atomic<bool> others_wait_{false};  // some have arrived since the leader last looked
  std::condition_variable turn_;          // a request has been served, or the leader has changed
};

class ScanGroups {
 public:
  void serve(const ScanTask& task) {
    Request request{task};
    {
      std::unique_lock lock(mutex_);
      group_of(task).serve(request, lock);
    }
    request.together->copy_results(request.first_result, task);
  }

 private:
  // Empty groups are kept for a while: their callers may come back.
  static constexpr std::size_t kMostEmpty = 8;

  ScanGroup& group_of(const ScanTask& task) {
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

void shared_scan(const Kernels& kernels, const Segments<std::uint8_t>& codes,
                 const Queries& queries, const ScanOptions& options, std::int32_t* distances,
                 std::int64_t* rows) {
  const std::size_t n_queries = queries.codes.n_rows;
  // A call for fewer threads than there are leaves the rest to other callers and scans alone.
  const bool is_shared = n_queries > 0 && n_queries <= kMostQueries && options.k <= kMostResults &&
                         codes.n_rows() * codes.n_columns() >= kLeastBytes &&
                         options.n_threads >= default_threads() && !is_nested();
  const ScanTask task = {&kernels, codes, queries, options, distances, rows};
  if (is_shared) {
    process_wide<ScanGroups>().serve(task);
  } else {
    scan(kernels, codes, queries, options, distances, rows);
  }
}

}  // namespace bitsift
