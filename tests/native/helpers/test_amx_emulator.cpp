// SPDX-License-Identifier: Apache-2.0
// On a machine with AMX these tests run on the processor: they show that the tests expect what a
// processor does.
#include "helpers/amx_emulator.hpp"

#include <doctest/doctest.h>
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "helpers/amx_tiles.hpp"
#include "helpers/guarded_pages.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"

namespace bitsift::test {
namespace {

// The instructions, and the tiles that they work on.
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
  // The sources are unchanged.
  const bool kept = content<Product::kA>(m_size, k_size * 4) == a &&
                    content<Product::kB>(k_size, n_size * 4) == b;
  _tile_release();
  return kept ? result : Bytes();
}

// Extreme bytes, or random ones.
Bytes operand(Random& random, std::size_t n, bool extreme) {
  static constexpr std::uint8_t kExtremes[] = {0, 1, 127, 128, 255};
  Bytes bytes = random.bytes(n);
  if (extreme) {
    for (std::uint8_t& byte : bytes) byte = kExtremes[byte % 5];
  }
  return bytes;
}

// Distances between rows, in bytes.
constexpr std::int64_t kStrides[] = {64, 65, 17, 4, 0, -4, -64, -100, 4096};

TEST_CASE("instructions are emulated exactly where the processor lacks them") {
  const Amx how = amx();
  const std::uint64_t before = emulated_instructions();
  load_config(Config().tile(3, 16, 64));
  _tile_zero(3);
  _tile_release();
  CHECK(emulated_instructions() - before == (how == Amx::kEmulated ? 3 : 0));
  CHECK(enable_amx() == how);
}

TEST_CASE("the emulator outlives a test case, and the handlers that doctest sets for it") {
  // Each subcase sets the handlers anew.
  SUBCASE("once") { amx(); }
  SUBCASE("and again") { amx(); }
  _tile_release();
  CHECK(stored_config() == zero_config());
}

TEST_CASE_TEMPLATE("products of all shapes and values", Product, Dpbssd, Dpbsud, Dpbusd, Dpbuud) {
  amx();
  Random random(1);
  for (const std::size_t m : Sizes{1, 2, 7, 16}) {
    for (const std::size_t k : Sizes{1, 3, 15, 16}) {
      for (const std::size_t n : Sizes{1, 5, 16}) {
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

TEST_CASE("loads read the rows of a tile and no byte more") {
  amx();
  Random random(2);
  GuardedPages pages(16 * 4096 + 64);
  for (const std::size_t rows : Sizes{1, 2, 15, 16}) {
    for (const std::size_t row_bytes : Sizes{4, 8, 32, 60, 64}) {
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

TEST_CASE("stores write the rows of a tile and no byte more") {
  amx();
  Random random(3);
  GuardedPages pages(16 * 4096 + 64);
  for (const std::size_t rows : Sizes{1, 2, 15, 16}) {
    for (const std::size_t row_bytes : Sizes{4, 8, 32, 60, 64}) {
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

TEST_CASE("start_row: an interrupted instruction continues") {
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

// A tile of two rows, of which an instruction reads or writes the second alone. It lies at the base
// and displacement of the operand plus the scaled index.
Config second_row_only() {
  Config config = Config().tile(3, 2, 64);
  config.start_row = 1;
  return config;
}

// Checks that `operand`, with these registers, reads and writes the second row.
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
  // Registers whose numbers have a special meaning in one of the fields.
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

}  // namespace
}  // namespace bitsift::test
