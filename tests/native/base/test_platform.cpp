// SPDX-License-Identifier: Apache-2.0
#include "base/platform.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "base/process_wide.hpp"

namespace bitsift::test {
namespace {

// Returns what body() returns in a forked child.
template <class Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

int n_calls = 0;

TEST_CASE("there is at least one thread") { CHECK(available_threads() >= 1); }

TEST_CASE("a forked child is told, its parent is not") {
  call_in_forked_child([] { ++n_calls; });
  CHECK(in_child([] { return n_calls; }) == 1);
  CHECK(n_calls == 0);
}

TEST_CASE("a process has one object of a type, and a forked child makes its own") {
  struct Number {
    int value = 7;
  };
  Number* seen[4] = {};
  std::vector<std::thread> threads;
  for (Number*& one : seen) threads.emplace_back([&one] { one = &process_wide<Number>(); });
  for (std::thread& thread : threads) thread.join();
  for (const Number* one : seen) CHECK(one == seen[0]);
  seen[0]->value = 8;
  CHECK(in_child([] { return process_wide<Number>().value; }) == 7);
  CHECK(process_wide<Number>().value == 8);
}

}  // namespace
}  // namespace bitsift::test
