// SPDX-License-Identifier: Apache-2.0
// On a machine with AMX this checks the processor, or rather that the emulator is held to what the
// processor does.

#include "helpers/amx_emulator.hpp"

#include <doctest/doctest.h>
#include <immintrin.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/ucontext.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "helpers/guarded_pages.hpp"
#include "helpers/random.hpp"

#if !defined(__AMX_TILE__) || !defined(__AMX_INT8__)
#error "this file is compiled with -mamx-tile -mamx-int8"
#endif

namespace bitsift::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

// Once per process, as the kernels' tests do: the test cases that follow find it enabled.
Amx amx() {
  static const Amx how = enable_amx();
  return how;
}

struct alignas(64) Config {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t n_rows[16] = {};

  constexpr Config& tile(std::size_t t, std::size_t rows, std::size_t bytes) {
    n_rows[t] = static_cast<std::uint8_t>(rows);
    row_bytes[t] = static_cast<std::uint16_t>(bytes);
    return *this;
  }
  friend bool operator==(const Config&, const Config&) = default;
};
static_assert(sizeof(Config) == 64);

// The compiler knows little of what these instructions read and write.
inline void settle_memory() { __asm__ volatile("" ::: "memory"); }

void load_config(const Config& config) {
  settle_memory();
  _tile_loadconfig(&config);
}

Config stored_config() {
  Config config;
  std::memset(static_cast<void*>(&config), 0xA5, sizeof config);
  settle_memory();
  _tile_storeconfig(&config);
  settle_memory();
  return config;
}

Config zero_config() {
  Config config;
  config.palette = 0;
  return config;
}

// The intrinsics want the tile's number in letters.
template <int kTile>
void load(const void* from, std::int64_t stride) {
  settle_memory();
  if constexpr (kTile == 0) _tile_loadd(0, from, stride);
  if constexpr (kTile == 1) _tile_loadd(1, from, stride);
  if constexpr (kTile == 2) _tile_loadd(2, from, stride);
  if constexpr (kTile == 5) _tile_loadd(5, from, stride);
  if constexpr (kTile == 6) _tile_loadd(6, from, stride);
  if constexpr (kTile == 7) _tile_loadd(7, from, stride);
}

template <int kTile>
void store(void* to, std::int64_t stride) {
  if constexpr (kTile == 0) _tile_stored(0, to, stride);
  if constexpr (kTile == 1) _tile_stored(1, to, stride);
  if constexpr (kTile == 2) _tile_stored(2, to, stride);
  if constexpr (kTile == 5) _tile_stored(5, to, stride);
  if constexpr (kTile == 6) _tile_stored(6, to, stride);
  if constexpr (kTile == 7) _tile_stored(7, to, stride);
}

template <int kTile>
Bytes content(std::size_t rows, std::size_t row_bytes) {
  Bytes bytes(rows * row_bytes);
  store<kTile>(bytes.data(), static_cast<std::int64_t>(row_bytes));
  return bytes;
}

// What instructions do, and on which tiles.
struct Dpbssd {
  using A = std::int8_t;
  using B = std::int8_t;
  static constexpr int kC = 0, kA = 1, kB = 2;
  static void run() { _tile_dpbssd(0, 1, 2); }
};
struct Dpbsud {
  using A = std::int8_t;
  using B = std::uint8_t;
  static constexpr int kC = 7, kA = 6, kB = 5;
  static void run() { _tile_dpbsud(7, 6, 5); }
};
struct Dpbusd {
  using A = std::uint8_t;
  using B = std::int8_t;
  static constexpr int kC = 2, kA = 7, kB = 0;
  static void run() { _tile_dpbusd(2, 7, 0); }
};
struct Dpbuud {
  using A = std::uint8_t;
  using B = std::uint8_t;
  static constexpr int kC = 5, kA = 0, kB = 7;
  static void run() { _tile_dpbuud(5, 0, 7); }
};

template <class Product>
Bytes naive_product(const Bytes& c, const Bytes& a, const Bytes& b, std::size_t m_size,
                    std::size_t k_size, std::size_t n_size) {
  Bytes result(c.size());
  for (std::size_t m = 0; m < m_size; ++m) {
    for (std::size_t n = 0; n < n_size; ++n) {
      std::int32_t before;
      std::memcpy(&before, &c[(m * n_size + n) * 4], 4);
      std::int64_t sum = before;
      for (std::size_t k = 0; k < k_size; ++k) {
        for (std::size_t i = 0; i < 4; ++i) {
          const auto x = static_cast<typename Product::A>(a[(m * k_size + k) * 4 + i]);
          const auto y = static_cast<typename Product::B>(b[(k * n_size + n) * 4 + i]);
          sum += std::int64_t{x} * y;
        }
      }
      const auto wrapped = static_cast<std::uint32_t>(sum);
      std::memcpy(&result[(m * n_size + n) * 4], &wrapped, 4);
    }
  }
  return result;
}

template <class Product>
Bytes tile_product(const Bytes& c, const Bytes& a, const Bytes& b, std::size_t m_size,
                   std::size_t k_size, std::size_t n_size) {
  Config config;
  config.tile(Product::kC, m_size, n_size * 4);
  config.tile(Product::kA, m_size, k_size * 4);
  config.tile(Product::kB, k_size, n_size * 4);
  load_config(config);
  load<Product::kC>(c.data(), static_cast<std::int64_t>(n_size * 4));
  load<Product::kA>(a.data(), static_cast<std::int64_t>(k_size * 4));
  load<Product::kB>(b.data(), static_cast<std::int64_t>(n_size * 4));
  Product::run();
  Bytes result = content<Product::kC>(m_size, n_size * 4);
  // The sources are as they were.
  const bool kept = content<Product::kA>(m_size, k_size * 4) == a &&
                    content<Product::kB>(k_size, n_size * 4) == b;
  _tile_release();
  return kept ? result : Bytes();
}

// The extremes, or anything.
Bytes operand(Random& random, std::size_t n, bool extreme) {
  static constexpr std::uint8_t kExtremes[] = {0, 1, 127, 128, 255};
  Bytes bytes = random.bytes(n);
  if (extreme) {
    for (std::uint8_t& byte : bytes) byte = kExtremes[byte % 5];
  }
  return bytes;
}

// How many bytes apart rows may be.
constexpr std::int64_t kStrides[] = {64, 65, 17, 4, 0, -4, -64, -100, 4096};

struct Child {
  int status;           // as of waitpid()
  std::string message;  // what it wrote to stderr
};

// In a process of its own, where an uncaught signal is nobody's but the kernel's. Exits with 0 if
// `work` returns.
template <class Work>
Child run_in_child(Work work) {
  int ends[2];
  if (pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  const pid_t pid = fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) {
    alarm(60);  // a handler that nobody gets out of
    const rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(ends[1], STDERR_FILENO);
    struct sigaction by_default = {};
    by_default.sa_handler = SIG_DFL;
    for (const int signal : {SIGILL, SIGABRT, SIGSEGV}) sigaction(signal, &by_default, nullptr);
    work();
    _exit(0);
  }
  close(ends[1]);
  Child child{};
  char buffer[256];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
    child.message.append(buffer, static_cast<std::size_t>(n));
  }
  close(ends[0]);
  waitpid(pid, &child.status, 0);
  return child;
}

bool exited(const Child& child, int code) {
  return WIFEXITED(child.status) && WEXITSTATUS(child.status) == code;
}

bool died(const Child& child, int signal) {
  return WIFSIGNALED(child.status) && WTERMSIG(child.status) == signal;
}

// The processor's way: a signal. The emulator's: it says why.
template <class Work>
void check_fault(const char* message, int signal, Work work) {
  CAPTURE(message);
  const Child child = run_in_child(work);
  CAPTURE(child.message);
  if (amx() == Amx::kEmulated) {
    CHECK(died(child, SIGABRT));
    CHECK(child.message.find(message) != std::string::npos);
  } else {
    CHECK(died(child, signal));
  }
}

TEST_CASE("instructions are emulated where the processor has none, and only there") {
  const Amx how = amx();
  const std::uint64_t before = emulated_instructions();
  load_config(Config().tile(3, 16, 64));
  _tile_zero(3);
  _tile_release();
  CHECK(emulated_instructions() - before == (how == Amx::kEmulated ? 3 : 0));
  CHECK(enable_amx() == how);
}

TEST_CASE("the emulator outlives a test case, and the handlers that doctest sets for it") {
  // Each is a handler set anew.
  SUBCASE("once") { amx(); }
  SUBCASE("and again") { amx(); }
  _tile_release();
  CHECK(stored_config() == zero_config());
}

TEST_CASE_TEMPLATE("products of all shapes and values", Product, Dpbssd, Dpbsud, Dpbusd, Dpbuud) {
  amx();
  Random random(1);
  for (const std::size_t m : {1, 2, 7, 16}) {
    for (const std::size_t k : {1, 3, 15, 16}) {
      for (const std::size_t n : {1, 5, 16}) {
        for (const bool extreme : {false, true}) {
          CAPTURE(m);
          CAPTURE(k);
          CAPTURE(n);
          CAPTURE(extreme);
          const Bytes c = random.bytes(m * n * 4);
          const Bytes a = operand(random, m * k * 4, extreme);
          const Bytes b = operand(random, k * n * 4, extreme);
          REQUIRE(tile_product<Product>(c, a, b, m, k, n) ==
                  naive_product<Product>(c, a, b, m, k, n));
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("sums wrap around", Product, Dpbssd, Dpbsud, Dpbusd, Dpbuud) {
  amx();
  constexpr std::uint8_t kValues[] = {1, 128, 255};
  for (const std::uint32_t start : {0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
    for (const std::uint8_t a_value : kValues) {
      for (const std::uint8_t b_value : kValues) {
        CAPTURE(start);
        CAPTURE(a_value);
        CAPTURE(b_value);
        Bytes c(4);
        std::memcpy(c.data(), &start, 4);
        const Bytes a(64, a_value);
        const Bytes b(64, b_value);
        CHECK(tile_product<Product>(c, a, b, 1, 16, 1) ==
              naive_product<Product>(c, a, b, 1, 16, 1));
      }
    }
  }
}

TEST_CASE("loads read the rows that are there and no byte more") {
  amx();
  Random random(2);
  GuardedPages pages(16 * 4096 + 64);
  for (const std::size_t rows : {1, 2, 15, 16}) {
    for (const std::size_t row_bytes : {1, 3, 4, 60, 63, 64}) {
      load_config(Config().tile(1, rows, row_bytes).tile(2, rows, row_bytes));
      for (const std::int64_t stride : kStrides) {
        CAPTURE(rows);
        CAPTURE(row_bytes);
        CAPTURE(stride);
        const auto step = static_cast<std::size_t>(stride < 0 ? -stride : stride);
        const std::size_t span = (rows - 1) * step + row_bytes;
        for (const Side side : kSides) {
          auto* memory = pages.place<std::uint8_t>(span, side);
          random.fill(memory, span);
          const std::uint8_t* first = stride < 0 ? memory + (rows - 1) * step : memory;
          Bytes wanted;
          for (std::size_t row = 0; row < rows; ++row) {
            const std::uint8_t* begin = first + static_cast<std::int64_t>(row) * stride;
            wanted.insert(wanted.end(), begin, begin + row_bytes);
          }
          load<1>(first, stride);
          REQUIRE(content<1>(rows, row_bytes) == wanted);
          settle_memory();
          _tile_stream_loadd(2, first, stride);
          REQUIRE(content<2>(rows, row_bytes) == wanted);
        }
      }
    }
  }
  _tile_release();
}

TEST_CASE("stores write the rows that are there and no byte more") {
  amx();
  Random random(3);
  GuardedPages pages(16 * 4096 + 64);
  for (const std::size_t rows : {1, 2, 15, 16}) {
    for (const std::size_t row_bytes : {1, 3, 4, 60, 63, 64}) {
      load_config(Config().tile(6, rows, row_bytes));
      const Bytes data = random.bytes(rows * row_bytes);
      load<6>(data.data(), static_cast<std::int64_t>(row_bytes));
      for (const std::int64_t stride : kStrides) {
        CAPTURE(rows);
        CAPTURE(row_bytes);
        CAPTURE(stride);
        const auto step = static_cast<std::size_t>(stride < 0 ? -stride : stride);
        const std::size_t span = (rows - 1) * step + row_bytes;
        for (const Side side : kSides) {
          auto* memory = pages.place<std::uint8_t>(span, side);
          Bytes wanted(memory, memory + span);
          const std::size_t first = stride < 0 ? (rows - 1) * step : 0;
          // Rows may overlap: the last one wins.
          for (std::size_t row = 0; row < rows; ++row) {
            const auto at =
                static_cast<std::int64_t>(first) + static_cast<std::int64_t>(row) * stride;
            std::copy_n(data.begin() + static_cast<std::int64_t>(row * row_bytes), row_bytes,
                        wanted.begin() + at);
          }
          store<6>(memory + first, stride);
          REQUIRE(Bytes(memory, memory + span) == wanted);
          REQUIRE(pages.untouched());
        }
      }
    }
  }
  _tile_release();
}

TEST_CASE("zeroing, configuration and release") {
  amx();
  Random random(4);
  const Bytes data = random.bytes(16 * 64);
  const Config config = Config().tile(0, 16, 64).tile(1, 3, 8).tile(7, 1, 1);
  const Bytes zeros(16 * 64);
  load_config(config);
  CHECK(stored_config() == config);
  CHECK(content<0>(16, 64) == zeros);

  load<0>(data.data(), 64);
  load<1>(data.data(), 64);
  _tile_zero(0);
  CHECK(content<0>(16, 64) == zeros);
  CHECK(content<1>(3, 8) != Bytes(24));

  SUBCASE("the same configuration again") {
    load_config(config);
    CHECK(content<1>(3, 8) == Bytes(24));
    CHECK(stored_config() == config);
  }
  SUBCASE("another configuration") {
    const Config other = Config().tile(1, 16, 64);
    load_config(other);
    CHECK(content<1>(16, 64) == zeros);
    CHECK(stored_config() == other);
  }
  SUBCASE("palette 0, whatever else there is") {
    Config none = config;
    none.palette = 0;
    none.start_row = 200;
    none.reserved[3] = 7;
    load_config(none);
    CHECK(stored_config() == zero_config());
  }
  SUBCASE("release") {
    _tile_release();
    CHECK(stored_config() == zero_config());
  }
  _tile_release();
}

TEST_CASE("start_row: what is left of an instruction that was interrupted") {
  amx();
  Random random(5);
  const Bytes data = random.bytes(8 * 4);
  Config config = Config().tile(1, 8, 4);
  config.start_row = 3;
  Bytes wanted = data;
  std::fill_n(wanted.begin(), 3 * 4, std::uint8_t{0});

  load_config(config);
  CHECK(stored_config() == config);
  load<1>(data.data(), 4);
  config.start_row = 0;
  CHECK(stored_config() == config);
  CHECK(content<1>(8, 4) == wanted);

  config.start_row = 3;
  load_config(config);
  Bytes target = data;
  store<1>(target.data(), 4);
  std::fill(wanted.begin(), wanted.end(), std::uint8_t{0});
  std::copy_n(data.begin(), 3 * 4, wanted.begin());
  CHECK(target == wanted);
  CHECK(stored_config().start_row == 0);

  load_config(config);
  _tile_zero(1);
  CHECK(stored_config().start_row == 0);
  _tile_release();
}

// One row that is the second: at the operand's base and displacement plus the scaled index.
Config second_row_only() {
  Config config = Config().tile(3, 2, 64);
  config.start_row = 1;
  return config;
}

// Whether `operand`, from these registers, reads the row; whether it writes it.
#define CHECK_OPERAND(operand, base, index, base_value, index_value)                              \
  do {                                                                                            \
    CAPTURE(operand);                                                                             \
    load_config(second_row_only());                                                               \
    __asm__ volatile("mov %0, %%" base "\n\tmov %1, %%" index "\n\ttileloadd " operand ", %%tmm3" \
                     :                                                                            \
                     : "r"(base_value), "r"(index_value)                                          \
                     : base, index, "memory");                                                    \
    Bytes loaded(128);                                                                            \
    _tile_stored(3, loaded.data(), 64);                                                           \
    CHECK(std::equal(row, row + 64, loaded.begin() + 64));                                        \
    load_config(second_row_only());                                                               \
    Bytes saved(row, row + 64);                                                                   \
    __asm__ volatile("mov %0, %%" base "\n\tmov %1, %%" index "\n\ttilestored %%tmm3, " operand   \
                     :                                                                            \
                     : "r"(base_value), "r"(index_value)                                          \
                     : base, index, "memory");                                                    \
    CHECK(std::all_of(row, row + 64, [](std::uint8_t byte) { return byte == 0; }));               \
    std::copy(saved.begin(), saved.end(), row);                                                   \
  } while (false)

TEST_CASE("addresses of tiles") {
  amx();
  Random random(6);
  Bytes memory = random.bytes(1 << 13);
  std::uint8_t* const row = memory.data() + (1 << 12);
  const auto at = reinterpret_cast<std::int64_t>(row);

  CHECK_OPERAND("(%%rax,%%rbx,1)", "rax", "rbx", at - 100, 100L);
  CHECK_OPERAND("(%%rcx,%%rdx,2)", "rcx", "rdx", at - 100, 50L);
  CHECK_OPERAND("(%%rsi,%%rdi,4)", "rsi", "rdi", at + 100, -25L);
  CHECK_OPERAND("(%%r8,%%r9,8)", "r8", "r9", at - 96, 12L);
  CHECK_OPERAND("(%%r10,%%rax,8)", "r10", "rax", at, 0L);
  CHECK_OPERAND("(%%rax,%%r11,8)", "rax", "r11", at + 96, -12L);
  // Registers whose numbers mean something else in one of the places.
  CHECK_OPERAND("(%%r12,%%r13,1)", "r12", "r13", at - 7, 7L);
  CHECK_OPERAND("(%%r13,%%r12,1)", "r13", "r12", at - 7, 7L);
  CHECK_OPERAND("(%%r14,%%r15,4)", "r14", "r15", at - 4, 1L);
  CHECK_OPERAND("16(%%rax,%%rbx,2)", "rax", "rbx", at - 18, 1L);
  CHECK_OPERAND("-128(%%r13,%%r12,2)", "r13", "r12", at + 126, 1L);
  CHECK_OPERAND("127(%%rdx,%%r14,8)", "rdx", "r14", at - 135, 1L);
  CHECK_OPERAND("0x1000(%%r9,%%rcx,1)", "r9", "rcx", at - 0x1001, 1L);
  CHECK_OPERAND("-0x12345678(%%r12,%%rsi,1)", "r12", "rsi", at + 0x12345677, 1L);
  // No base, no index.
  CHECK_OPERAND("(,%%rbx,1)", "rax", "rbx", 0L, at);
  CHECK_OPERAND("0x40(,%%r13,1)", "rax", "r13", 0L, at - 0x40);
  CHECK_OPERAND("-0x40(,%%r12,2)", "rax", "r12", 0L, (at + 0x40) / 2);
  CHECK_OPERAND("(%%rax)", "rax", "rbx", at, 999L);
  CHECK_OPERAND("8(%%r12)", "r12", "rbx", at - 8, 999L);
  _tile_release();
}

constinit const Config kSomeConfig = Config().tile(2, 5, 12);
constinit thread_local const Config kThreadsConfig = Config().tile(4, 9, 20);

TEST_CASE("addresses of configurations") {
  amx();
  Config config = Config().tile(6, 2, 28);
  const auto at = reinterpret_cast<std::int64_t>(&config);
  const auto loads = [&](const Config& wanted) {
    const bool same = stored_config() == wanted;
    _tile_release();
    return same;
  };
  settle_memory();
  __asm__ volatile("mov %0, %%rax\n\tldtilecfg (%%rax)" ::"r"(at) : "rax", "memory");
  CHECK(loads(config));
  __asm__ volatile("mov %0, %%r15\n\tldtilecfg 8(%%r15)" ::"r"(at - 8) : "r15", "memory");
  CHECK(loads(config));
  __asm__ volatile("mov %0, %%r13\n\tldtilecfg (%%r13)" ::"r"(at) : "r13", "memory");
  CHECK(loads(config));
  __asm__ volatile("mov %0, %%r12\n\tldtilecfg -0x1000(%%r12)" ::"r"(at + 0x1000)
                   : "r12", "memory");
  CHECK(loads(config));
  __asm__ volatile("mov %0, %%r8\n\tmov $8, %%ecx\n\tldtilecfg -0x40(%%r8,%%rcx,8)" ::"r"(at)
                   : "r8", "rcx", "memory");
  CHECK(loads(config));
  __asm__ volatile("mov %0, %%r9\n\tsub %%rsp, %%r9\n\tldtilecfg (%%rsp,%%r9,1)" ::"r"(at)
                   : "r9", "memory");
  CHECK(loads(config));
  __asm__ volatile(
      "mov %%rbp, %%r10\n\tmov %0, %%rbp\n\tldtilecfg (%%rbp)\n\tmov %%r10, %%rbp" ::"r"(at)
      : "r10", "memory");
  CHECK(loads(config));
  // Relative to the next instruction, and to the thread's memory.
  __asm__ volatile("ldtilecfg %0" ::"m"(kSomeConfig));
  CHECK(loads(kSomeConfig));
  __asm__ volatile("ldtilecfg %0" ::"m"(kThreadsConfig));
  CHECK(loads(kThreadsConfig));
  __asm__ volatile("mov %0, %%rcx\n\tsub %%fs:0, %%rcx\n\tldtilecfg %%fs:(%%rcx)" ::"r"(at)
                   : "rcx", "memory");
  CHECK(loads(config));
}

TEST_CASE("each thread has its own tiles") {
  amx();
  const std::uint64_t before = emulated_instructions();
  constexpr std::size_t kThreads = 4;
  std::atomic<std::size_t> n_ready{0};
  std::atomic<std::size_t> n_right{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      ++n_ready;
      while (n_ready < kThreads) std::this_thread::yield();
      if (stored_config() != zero_config()) return;
      Random random(t);
      for (int i = 0; i < 100; ++i) {
        const std::size_t m = 1 + random.below(16);
        const std::size_t k = 1 + random.below(16);
        const std::size_t n = 1 + random.below(16);
        const Bytes c = random.bytes(m * n * 4);
        const Bytes a = random.bytes(m * k * 4);
        const Bytes b = random.bytes(k * n * 4);
        const Bytes wanted = naive_product<Dpbusd>(c, a, b, m, k, n);
        if (tile_product<Dpbusd>(c, a, b, m, k, n) == wanted) ++n_right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(n_right == kThreads * 100);
  // The configuration, three loads, the product, three stores, the release.
  const std::uint64_t n_wanted = amx() == Amx::kEmulated ? kThreads * (1 + 100 * 9) : 0;
  CHECK(emulated_instructions() - before == n_wanted);
}

TEST_CASE("what the processor refuses") {
  amx();
  _tile_release();
  const Bytes data(16 * 64);
  const Config square = Config().tile(0, 16, 64).tile(1, 16, 64).tile(2, 16, 64);

  const auto refused = [](const char* message, const Config& config) {
    check_fault(message, SIGSEGV, [&] { load_config(config); });
  };
  Config config = square;
  config.palette = 2;
  refused("LDTILECFG: #GP: unknown palette", config);
  config = square;
  config.reserved[13] = 1;
  refused("LDTILECFG: #GP: a reserved byte", config);
  refused("LDTILECFG: #GP: more than 8 tiles", Config().tile(8, 1, 4));
  refused("LDTILECFG: #GP: more than 64 bytes a row", Config().tile(7, 16, 65));
  refused("LDTILECFG: #GP: more than 16 rows", Config().tile(7, 17, 64));
  refused("LDTILECFG: #GP: a tile has rows or columns", Config().tile(3, 0, 64));
  refused("LDTILECFG: #GP: a tile has rows or columns", Config().tile(3, 1, 0));

  check_fault("TILEZERO: #UD: no tiles are configured", SIGILL, [] { _tile_zero(0); });
  check_fault("TILELOADD: #UD: no tiles are configured", SIGILL, [&] { load<0>(data.data(), 64); });
  check_fault("TDPBUSD: #UD: no tiles are configured", SIGILL, [] { _tile_dpbusd(0, 1, 2); });
  check_fault("TILELOADDT1: #UD: this tile is not configured", SIGILL, [&] {
    load_config(square);
    _tile_stream_loadd(3, data.data(), 64);
  });
  check_fault("TILESTORED: #UD: this tile is not configured", SIGILL, [&] {
    load_config(square);
    Bytes target(16 * 64);
    store<5>(target.data(), 64);
  });
  check_fault("TDPBSSD: #UD: this tile is not configured", SIGILL, [&] {
    load_config(square);
    _tile_dpbssd(0, 1, 3);
  });
  check_fault("TILELOADD: #UD: start_row", SIGILL, [&] {
    Config late = Config().tile(0, 4, 64);
    late.start_row = 4;
    load_config(late);
    load<0>(data.data(), 64);
  });

  // Nothing that assemblers would assemble.
  check_fault("TDPBUSD: #UD: the three tiles", SIGILL, [&] {
    load_config(square);
    __asm__ volatile(".byte 0xC4, 0xE2, 0x71, 0x5E, 0xC1");
  });
  check_fault("TDPBUUD: #UD: the three tiles", SIGILL, [&] {
    load_config(square);
    __asm__ volatile(".byte 0xC4, 0xE2, 0x70, 0x5E, 0xC0");
  });
  check_fault("TDPBSUD: #UD: the destination's rows", SIGILL, [&] {
    load_config(Config(square).tile(0, 15, 64));
    _tile_dpbsud(0, 1, 2);
  });
  check_fault("TDPBUSD: #UD: the destination's columns", SIGILL, [&] {
    load_config(Config(square).tile(0, 16, 60));
    _tile_dpbusd(0, 1, 2);
  });
  check_fault("TDPBUSD: #UD: the first source's columns", SIGILL, [&] {
    load_config(Config(square).tile(2, 15, 64));
    _tile_dpbusd(0, 1, 2);
  });
  check_fault("TDPBUSD: #UD: the bytes a row", SIGILL, [&] {
    load_config(Config(square).tile(0, 16, 63).tile(2, 16, 63));
    _tile_dpbusd(0, 1, 2);
  });
}

TEST_CASE("memory that is nobody's stays so") {
  amx();
  GuardedPages pages(64);
  const auto* edge = pages.place<std::uint8_t>(64, Side::kEnd) + 64;
  // A sanitizer calls it by another name, and exits.
  const Child child = run_in_child([&] {
    load_config(Config().tile(0, 2, 64));
    load<0>(edge - 64, 64);
  });
  CHECK(!exited(child, 0));
}

void run_illegal_instruction() { __asm__ volatile("ud2"); }

extern "C" void skip_ud2(int, siginfo_t* info, void* context) {
  greg_t& rip = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
  const auto* code = reinterpret_cast<const std::uint8_t*>(rip);
  if (info->si_addr != code || code[0] != 0x0F || code[1] != 0x0B) _exit(2);
  rip += 2;
}

TEST_CASE("other illegal instructions are the program's own") {
  amx();
  CHECK(exited(run_in_child([] {}), 0));
  CHECK(exited(run_in_child([] { _tile_release(); }), 0));

  // Nobody handles them.
  CHECK(died(run_in_child(run_illegal_instruction), SIGILL));
  CHECK(died(run_in_child([] { raise(SIGILL); }), SIGILL));
  CHECK(died(run_in_child([] {
               _tile_release();
               run_illegal_instruction();
             }),
             SIGILL));
  CHECK(died(run_in_child([] { std::thread(run_illegal_instruction).join(); }), SIGILL));

  // Somebody does; who sets a handler is told of the one before, and it is not the emulator's.
  CHECK(exited(run_in_child([] {
                 struct sigaction action = {};
                 struct sigaction old;
                 action.sa_sigaction = skip_ud2;
                 action.sa_flags = SA_SIGINFO;
                 sigaction(SIGILL, &action, &old);
                 if (old.sa_handler != SIG_DFL) _exit(3);
                 sigaction(SIGILL, nullptr, &old);
                 if (old.sa_sigaction != skip_ud2) _exit(4);
                 _tile_release();
                 run_illegal_instruction();
                 // Off, until it is asked for.
                 enable_amx();
                 _tile_release();
                 run_illegal_instruction();
                 _exit(5);
               }),
               5));
  // What it does not settle kills: a handler for once, and one that steps aside as doctest's does.
  CHECK(died(run_in_child([] {
               struct sigaction action = {};
               action.sa_handler = [](int signal) { raise(signal); };
               action.sa_flags = static_cast<int>(SA_RESETHAND);
               sigaction(SIGILL, &action, nullptr);
               run_illegal_instruction();
             }),
             SIGILL));
  CHECK(died(run_in_child([] {
               struct sigaction action = {};
               action.sa_handler = [](int signal) {
                 struct sigaction by_default = {};
                 by_default.sa_handler = SIG_DFL;
                 sigaction(signal, &by_default, nullptr);
               };
               sigaction(SIGILL, &action, nullptr);
               run_illegal_instruction();
             }),
             SIGILL));
}

TEST_CASE("what looks like AMX but is not") {
  amx();
  // TDPBUSD %tmm1, %tmm2, %tmm3 is C4 E2 71 5E DA.
  CHECK(exited(run_in_child([] {
                 load_config(Config().tile(1, 1, 4).tile(2, 1, 4).tile(3, 1, 4));
                 __asm__ volatile(".byte 0xC4, 0xE2, 0x71, 0x5E, 0xDA");
               }),
               0));
#define CHECK_ILLEGAL(...)                                                      \
  CHECK(died(run_in_child([] {                                                  \
               load_config(Config().tile(1, 1, 4).tile(2, 1, 4).tile(3, 1, 4)); \
               __asm__ volatile(".byte " #__VA_ARGS__);                         \
             }),                                                                \
             SIGILL))
  CHECK_ILLEGAL(0xC4, 0xE2, 0x75, 0x5E, 0xDA);  // 256 bits
  CHECK_ILLEGAL(0xC4, 0xE2, 0xF1, 0x5E, 0xDA);  // W
  CHECK_ILLEGAL(0xC4, 0xE2, 0x31, 0x5E, 0xDA);  // tile 9
  CHECK_ILLEGAL(0xC4, 0xE2, 0x71, 0x5E, 0x1A);  // a source in memory
  CHECK_ILLEGAL(0xC4, 0xE1, 0x71, 0x49, 0xDA);  // another map
  CHECK_ILLEGAL(0xC4, 0xE2, 0x7B, 0x4B, 0x18);  // TILELOADD without SIB
  CHECK_ILLEGAL(0xC4, 0xE2, 0x78, 0x49, 0xC8);  // TILERELEASE of a tile
#undef CHECK_ILLEGAL
}

}  // namespace
}  // namespace bitsift::test
