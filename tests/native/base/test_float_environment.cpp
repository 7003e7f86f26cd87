// SPDX-License-Identifier: Apache-2.0
#include "base/float_environment.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cfenv>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/thread_pool.hpp"

namespace bitsift::test {
namespace {

// What compilers must compute where it stands, and not before.
double quotient(double a, double b) {
  volatile double x = a;
  volatile double y = b;
  volatile double result = x / y;
  return result;
}

double product(double a, double b) {
  volatile double x = a;
  volatile double y = b;
  volatile double result = x * y;
  return result;
}

// Environments that other libraries set.
std::vector<FloatState> hostile() {
#if defined(__x86_64__)
  return {0x9FC0, 0x3F80, 0x5F80, 0x7F80, 0xFFC0};  // flush to zero; down, up, to zero; all
#elif defined(__aarch64__)
  return {1 << 24, 2 << 22, 1 << 22, 3 << 22, 7 << 22};
#else
  return {FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
#endif
}

// Sets an environment for a test; at its end, the default one is back.
class Hostile {
 public:
  explicit Hostile(FloatState state) { set_float_state(state); }
  ~Hostile() { set_float_state(kDefaultFloatState); }
  Hostile(const Hostile&) = delete;
  Hostile& operator=(const Hostile&) = delete;
};

constexpr double kSmallest = std::numeric_limits<double>::denorm_min();

// By bits: where subnormal numbers count as zero, a comparison takes them for equal to it.
bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

bool is_default() {
  return same(quotient(1, 10), 0x1.999999999999ap-4) &&
         same(quotient(-1, 10), -0x1.999999999999ap-4) &&
         same(quotient(1, 3), 0x1.5555555555555p-2) && same(product(kSmallest, 1), kSmallest) &&
         same(product(0x1p-1022, 0.5), 0x1p-1023);
}

TEST_CASE("the default environment rounds to nearest and keeps subnormal numbers") {
  CHECK(is_default());
  for (const FloatState state : hostile()) {
    const Hostile hostile(state);
    bool inside = false;
    const bool before = is_default();
    const FloatState found = float_state();
    {
      const DefaultFloats floats;
      inside = is_default();
    }
    const FloatState after = float_state();
    const bool outside = is_default();
    set_float_state(kDefaultFloatState);
    CHECK_FALSE(before);
    CHECK(inside);
    CHECK_FALSE(outside);
    CHECK(after == found);  // flags included
  }
}

TEST_CASE("flags that the caller has are kept, and none is added") {
  const FloatState none = float_state();
  {
    const DefaultFloats floats;
    CHECK(quotient(1, 3) > 0);  // inexact
  }
  CHECK(float_state() == none);
  CHECK(quotient(1, 3) > 0);
  const FloatState inexact = float_state();
  {
    const DefaultFloats floats;
    CHECK(float_state() == kDefaultFloatState);
    CHECK(product(0x1p1023, 2) > 1);  // overflows
  }
  CHECK(float_state() == inexact);
}

TEST_CASE("an exception gives back what was found") {
  for (const FloatState state : hostile()) {
    const Hostile hostile(state);
    const FloatState found = float_state();
    try {
      const DefaultFloats floats;
      throw std::runtime_error("x");
    } catch (const std::runtime_error&) {
    }
    CHECK(float_state() == found);
  }
}

TEST_CASE("threads of the pool do not inherit the environment of the thread that makes them") {
  for (const FloatState state : hostile()) {
    const Hostile hostile(state);
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t n_here = 0;
    std::vector<bool> seen;
    const std::thread::id caller = std::this_thread::get_id();
    run_on_threads(3, [&] {
      const bool mine = is_default();
      std::unique_lock lock(mutex);
      if (std::this_thread::get_id() != caller) seen.push_back(mine);
      ++n_here;
      changed.notify_all();
      changed.wait(lock, [&] { return n_here == 3; });
    });
    set_float_state(kDefaultFloatState);
    CHECK(seen == std::vector<bool>{true, true});
  }
}

}  // namespace
}  // namespace bitsift::test
