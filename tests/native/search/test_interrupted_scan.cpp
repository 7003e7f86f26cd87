// SPDX-License-Identifier: Apache-2.0
// Calls that share scans end at any moment: while they wait, while another scans for them, while
// they scan for others, after they or others have joined a scan. The others get their results, and
// no memory of an ended call is touched.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/platform.hpp"
#include "helpers/polled_call.hpp"
#include "helpers/random.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"
#include "search/shared_scan.hpp"

namespace bitsift::test {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kRows = 50000;
constexpr std::size_t kBytes = 96;    // 4.8 MB in all: worth a shared scan
constexpr std::size_t kNearest = 60;  // of 50,000: too many for others to join a scan that goes on
constexpr std::size_t kFewNearest = 5;

struct Enough {};

// Queries whose first byte is this one are slow to scan, or not scanned before this has ended.
std::array<std::atomic<bool>, 256> slow;
std::array<std::atomic<bool>, 256> held;
// They are being scanned.
std::array<std::atomic<bool>, 256> begun;

std::size_t scan_slowly(const std::uint8_t* const* queries, std::size_t n_queries, RowSpan rows,
                        const std::int64_t* limits, Hit* hits) noexcept {
  for (std::size_t i = 0; i < n_queries; ++i) {
    const std::uint8_t tag = queries[i][0];
    begun[tag] = true;
    if (slow[tag]) std::this_thread::sleep_for(milliseconds(5));
    while (held[tag]) std::this_thread::sleep_for(milliseconds(1));
  }
  return kScalarKernels.scan_rows(queries, n_queries, rows, limits, hits);
}

const Kernels kSlowKernels = [] {
  Kernels kernels = kScalarKernels;
  kernels.scan_rows = scan_slowly;
  return kernels;
}();

class Documents {
 public:
  Documents() : bytes_(Random(1).bytes(kRows * kBytes)) {}
  Matrix<std::uint8_t> codes() const { return {bytes_.data(), kRows, kBytes, kBytes}; }

 private:
  std::vector<std::uint8_t> bytes_;
};

const Documents& documents() {
  static const Documents made;
  return made;
}

// A thread that searches for one query of its own, whose first byte is `tag`. `on_poll` runs at
// each poll.
class Caller {
 public:
  explicit Caller(std::uint8_t tag, std::function<void()> on_poll = {}, std::size_t k = kNearest)
      : tag_(tag), k_(k) {
    begun[tag] = false;
    thread_ = std::thread([this, on_poll = std::move(on_poll)] {
      PolledCall call([&] {
        ++n_polls_;
        if (on_poll) on_poll();
      });
      try {
        is_right_ = search();
      } catch (const Enough&) {
        has_ended_ = true;
      }
    });
  }
  ~Caller() {
    if (thread_.joinable()) thread_.join();
  }

  // Until the caller scans or waits, and has polled.
  void wait_for_poll() const {
    while (n_polls_ == 0) std::this_thread::sleep_for(milliseconds(1));
  }
  void wait_for_scan() const {
    while (!begun[tag_]) std::this_thread::sleep_for(milliseconds(1));
  }
  bool is_right() {
    thread_.join();
    return is_right_ && !has_ended_;
  }
  bool has_ended() {
    thread_.join();
    return has_ended_;
  }
  // The memory of the query and of the results does not outlive the search.
  bool search() const {
    auto query = std::make_unique<std::vector<std::uint8_t>>(Random(tag_).bytes(kBytes));
    query->front() = tag_;
    const Queries queries{{query->data(), 1, kBytes, kBytes}};
    auto found = std::make_unique<Results<std::int32_t>>(
        Results<std::int32_t>{std::vector<std::int32_t>(k_), std::vector<std::int64_t>(k_)});
    shared_scan(kSlowKernels, documents().codes(), queries,
                {.k = k_, .n_threads = available_threads(), .method = ScanMethod::kRows},
                found->values.data(), found->rows.data());
    return *found == naive_search(documents().codes(), queries, nullptr, k_);
  }

 private:
  std::uint8_t tag_;
  std::size_t k_;
  std::atomic<int> n_polls_{0};
  std::atomic<bool> is_right_{false};
  std::atomic<bool> has_ended_{false};
  std::thread thread_;
};

// A caller whose polls throw once the test says so.
class EndingCaller : public Caller {
 public:
  explicit EndingCaller(std::uint8_t tag, std::size_t k = kNearest)
      : EndingCaller(tag, k, std::make_shared<std::atomic<bool>>(false)) {}
  void end() { *ends_ = true; }

 private:
  EndingCaller(std::uint8_t tag, std::size_t k, std::shared_ptr<std::atomic<bool>> ends)
      : Caller(
            tag,
            [ends] {
              if (*ends) throw Enough();
            },
            k),
        ends_(std::move(ends)) {}

  std::shared_ptr<std::atomic<bool>> ends_;
};

TEST_CASE("a call that waits ends; the scan goes on") {
  slow[1] = true;
  Caller leader(1);
  leader.wait_for_poll();
  EndingCaller waiting(2);
  Caller other(3);
  waiting.wait_for_poll();
  other.wait_for_poll();
  waiting.end();
  CHECK(waiting.has_ended());
  slow[1] = false;
  CHECK(leader.is_right());
  CHECK(other.is_right());
}

TEST_CASE("a call that another one scans for ends; the scan goes on") {
  slow[1] = slow[2] = true;
  Caller first(1);
  first.wait_for_poll();
  Caller leader(2);
  leader.wait_for_poll();
  EndingCaller served(3);
  Caller other(4);
  served.wait_for_poll();
  other.wait_for_poll();
  slow[1] = false;
  CHECK(first.is_right());  // now the second scans for all three
  std::this_thread::sleep_for(milliseconds(20));
  served.end();
  CHECK(served.has_ended());
  slow[2] = false;
  CHECK(leader.is_right());
  CHECK(other.is_right());
}

TEST_CASE("a call that scans for others ends; another scans for them") {
  slow[1] = slow[2] = true;
  Caller first(1);
  first.wait_for_poll();
  EndingCaller leader(2);
  leader.wait_for_poll();
  std::vector<std::unique_ptr<Caller>> others;
  for (std::uint8_t tag = 3; tag < 8; ++tag) {
    others.push_back(std::make_unique<Caller>(tag));
    others.back()->wait_for_poll();
  }
  slow[1] = false;
  CHECK(first.is_right());
  std::this_thread::sleep_for(milliseconds(20));
  leader.end();
  CHECK(leader.has_ended());
  slow[2] = false;
  for (auto& other : others) CHECK(other->is_right());
}

TEST_CASE("a poll waits for the calls that its own call scans for") {
  slow[1] = slow[2] = true;
  std::atomic<bool> others_are_done{false};
  Caller first(1);
  first.wait_for_poll();
  Caller leader(2, [&] {
    if (slow[1]) return;  // it does not lead yet
    while (!others_are_done) std::this_thread::sleep_for(milliseconds(1));
    slow[2] = false;
  });
  leader.wait_for_poll();
  Caller second(3);
  Caller third(4);
  second.wait_for_poll();
  third.wait_for_poll();
  slow[1] = false;
  CHECK(first.is_right());
  CHECK(second.is_right());
  CHECK(third.is_right());
  others_are_done = true;
  CHECK(leader.is_right());
}

TEST_CASE("a poll waits for others while its own call waits") {
  slow[1] = true;
  std::atomic<bool> others_are_done{false};
  Caller first(1);
  first.wait_for_poll();
  Caller polling(2, [&] {
    while (!others_are_done) std::this_thread::sleep_for(milliseconds(1));
  });
  polling.wait_for_poll();
  Caller other(3);
  other.wait_for_poll();
  slow[1] = false;
  CHECK(first.is_right());
  CHECK(other.is_right());
  others_are_done = true;
  CHECK(polling.is_right());
}

TEST_CASE("a poll searches the same codes, of a leader and of one that waits") {
  slow[1] = true;
  std::atomic<int> n_right{0};
  std::atomic<int> n_searches{0};
  const auto search = [&] {
    if (n_searches++ >= 4) {
      slow[1] = false;
      return;
    }
    PolledCall nested;
    const auto query = Random(9).bytes(kBytes);
    const Queries queries{{query.data(), 1, kBytes, kBytes}};
    Results<std::int32_t> found{std::vector<std::int32_t>(kNearest),
                                std::vector<std::int64_t>(kNearest)};
    shared_scan(kSlowKernels, documents().codes(), queries,
                {.k = kNearest, .n_threads = available_threads(), .method = ScanMethod::kRows},
                found.values.data(), found.rows.data());
    n_right += found == naive_search(documents().codes(), queries, nullptr, kNearest);
  };
  Caller leader(1, search);
  leader.wait_for_poll();
  Caller waiting(2, search);
  CHECK(leader.is_right());
  CHECK(waiting.is_right());
  CHECK(n_right == 4);
}

// Two callers that join the scan of `leader`, whose tag is 1 and whose scan is held. Their scan is
// slow as long as slow[2].
class JoiningCallers {
 public:
  explicit JoiningCallers(const Caller& leader) {
    leader.wait_for_scan();
    ending.emplace(std::uint8_t{2}, kFewNearest);
    going_on.emplace(std::uint8_t{3}, nullptr, kFewNearest);
    ending->wait_for_poll();
    going_on->wait_for_poll();
    slow[2] = true;
    held[1] = false;
    ending->wait_for_scan();
  }

  std::optional<EndingCaller> ending;
  std::optional<Caller> going_on;
};

TEST_CASE("a call that has joined a scan ends; the scan goes on") {
  held[1] = true;
  Caller leader(1, nullptr, kFewNearest);
  JoiningCallers joined(leader);
  joined.ending->end();
  CHECK(joined.ending->has_ended());
  slow[2] = false;
  CHECK(leader.is_right());
  CHECK(joined.going_on->is_right());
}

TEST_CASE("a call whose scan others have joined ends; another scans for them") {
  held[1] = true;
  EndingCaller leader(1, kFewNearest);
  JoiningCallers joined(leader);
  leader.end();
  CHECK(leader.has_ended());
  slow[2] = false;
  CHECK(joined.ending->is_right());
  CHECK(joined.going_on->is_right());
}

TEST_CASE("a poll waits for the calls that have joined the scan of its own call") {
  held[1] = true;
  std::atomic<bool> others_are_done{false};
  const auto on_poll = [&] {
    if (!begun[2]) return;  // they have not joined yet
    slow[2] = false;
    while (!others_are_done) std::this_thread::sleep_for(milliseconds(1));
  };
  Caller leader(1, on_poll, kFewNearest);
  JoiningCallers joined(leader);
  CHECK(joined.ending->is_right());
  CHECK(joined.going_on->is_right());
  others_are_done = true;
  CHECK(leader.is_right());
}

TEST_CASE("calls end at random among calls that go on") {
  for (int round = 0; round < 10; ++round) {
    std::vector<std::unique_ptr<EndingCaller>> ending;
    std::vector<std::unique_ptr<Caller>> going_on;
    slow[1] = true;
    for (std::uint8_t tag = 1; tag < 5; ++tag) {
      ending.push_back(std::make_unique<EndingCaller>(tag));
      going_on.push_back(std::make_unique<Caller>(static_cast<std::uint8_t>(100 + tag)));
    }
    std::this_thread::sleep_for(milliseconds(40 + 10 * round));
    for (auto& caller : ending) caller->end();
    slow[1] = false;
    for (auto& caller : going_on) CHECK(caller->is_right());
  }
}

}  // namespace
}  // namespace bitsift::test
