// SPDX-License-Identifier: Apache-2.0
// Faults and foreign instructions, on the emulator or, on a machine with AMX, on the processor.
#include <doctest/doctest.h>
#include <immintrin.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/ucontext.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>
#include <thread>

#include "helpers/amx_emulator.hpp"
#include "helpers/amx_tiles.hpp"
#include "helpers/guarded_pages.hpp"

namespace bitsift::test {
namespace {

struct Child {
  int status;           // as of waitpid()
  std::string message;  // what it wrote to stderr
};

// Runs `work` in a process of its own, where uncaught signals go to the kernel. The process exits
// with 0 if `work` returns.
template <class Work>
Child run_in_child(Work work) {
  int ends[2];
  if (pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  const pid_t pid = fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) {
    alarm(60);  // in case a handler never returns
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

// The processor raises a signal; the emulator prints the reason.
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

TEST_CASE("invalid operands and configurations are refused") {
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
  check_fault("TILELOADD: #UD: the bytes a row", SIGILL, [&] {
    load_config(Config().tile(0, 4, 63));
    load<0>(data.data(), 64);
  });
  check_fault("TILELOADDT1: #UD: the bytes a row", SIGILL, [&] {
    load_config(Config().tile(0, 4, 1));
    _tile_stream_loadd(0, data.data(), 64);
  });
  check_fault("TILESTORED: #UD: the bytes a row", SIGILL, [&] {
    load_config(Config().tile(0, 4, 62));
    Bytes target(16 * 64);
    store<0>(target.data(), 64);
  });
  check_fault("TILELOADD: #UD: start_row", SIGILL, [&] {
    Config late = Config().tile(0, 4, 64);
    late.start_row = 4;
    load_config(late);
    load<0>(data.data(), 64);
  });

  // Encodings that assemblers do not produce.
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

TEST_CASE("unmapped memory faults") {
  amx();
  GuardedPages pages(64);
  const auto* edge = pages.place<std::uint8_t>(64, Side::kEnd) + 64;
  // A sanitizer reports it in its own way, and exits.
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

TEST_CASE("other illegal instructions reach the program's handlers") {
  amx();
  CHECK(exited(run_in_child([] {}), 0));
  CHECK(exited(run_in_child([] { _tile_release(); }), 0));

  // No handler.
  CHECK(died(run_in_child(run_illegal_instruction), SIGILL));
  CHECK(died(run_in_child([] { raise(SIGILL); }), SIGILL));
  CHECK(died(run_in_child([] {
               _tile_release();
               run_illegal_instruction();
             }),
             SIGILL));
  CHECK(died(run_in_child([] { std::thread(run_illegal_instruction).join(); }), SIGILL));

  // A handler. sigaction() returns the one before it, which is not the emulator's.
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
                 // The emulator is off until it is enabled again.
                 enable_amx();
                 _tile_release();
                 run_illegal_instruction();
                 _exit(5);
               }),
               5));
  // An instruction that the handler does not fix kills the process: with a handler for one signal,
  // and with one that restores the default, as doctest's does.
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

TEST_CASE("instructions that only look like AMX") {
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
