// SPDX-License-Identifier: Apache-2.0
// AMX-TILE and AMX-INT8 for machines that lack them. The processor raises #UD, which Linux delivers
// as SIGILL; the handler executes the instruction and steps over it. Names and order of the steps
// are those of the Intel SDM, volume 2.

#include "helpers/amx_emulator.hpp"

#include <cpuid.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <mutex>
#include <optional>

// The linker's --wrap=sigaction: calls of sigaction() by the program come here, see below.
extern "C" int __real_sigaction(int signal, const struct sigaction* action, struct sigaction* old);
extern "C" int __wrap_sigaction(int signal, const struct sigaction* action, struct sigaction* old);

namespace bitsift::test {
namespace {

// ---- tiles ----

// Palette 1, the only one there is.
constexpr std::size_t kTiles = 8;
constexpr std::size_t kRows = 16;
constexpr std::size_t kRowBytes = 64;

// The operand of LDTILECFG. The last eight tiles do not exist.
struct TileConfig {
  std::uint8_t palette;
  std::uint8_t start_row;
  std::uint8_t reserved[14];
  std::uint16_t row_bytes[16];
  std::uint8_t n_rows[16];
};
static_assert(sizeof(TileConfig) == 64);

struct Tile {
  alignas(64) std::uint8_t row[kRows][kRowBytes];
};

// Tiles are configured if the palette is not 0. Bytes beyond the rows and columns of a tile are 0.
struct TileState {
  TileConfig config;
  Tile tile[kTiles];
};
// In the program's own thread-local storage, not a shared library's: allocated before the first
// signal.
constinit thread_local TileState state{};

constinit std::atomic<std::uint64_t> n_emulated{0};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// ---- instructions ----

enum class Op {
  kLdtilecfg,
  kSttilecfg,
  kTilerelease,
  kTilezero,
  kTileloadd,
  kTileloaddt1,
  kTilestored,
  kTdpbssd,
  kTdpbsud,
  kTdpbusd,
  kTdpbuud,
};

struct Instruction {
  Op op;
  std::size_t dest = 0;  // or the tile that is stored
  std::size_t src1 = 0;
  std::size_t src2 = 0;
  std::uint64_t address = 0;
  std::uint64_t stride = 0;
  std::uint64_t next = 0;  // the address of the next instruction
};

const char* name_of(Op op) {
  switch (op) {
    case Op::kLdtilecfg:
      return "LDTILECFG";
    case Op::kSttilecfg:
      return "STTILECFG";
    case Op::kTilerelease:
      return "TILERELEASE";
    case Op::kTilezero:
      return "TILEZERO";
    case Op::kTileloadd:
      return "TILELOADD";
    case Op::kTileloaddt1:
      return "TILELOADDT1";
    case Op::kTilestored:
      return "TILESTORED";
    case Op::kTdpbssd:
      return "TDPBSSD";
    case Op::kTdpbsud:
      return "TDPBSUD";
    case Op::kTdpbusd:
      return "TDPBUSD";
    case Op::kTdpbuud:
      return "TDPBUUD";
  }
  return "?";
}

// ---- decoding ----

// Byte by byte: the page behind the program's last instruction may not be mapped.
class Fetcher {
 public:
  explicit Fetcher(std::uint64_t address) : next_(address) {}

  unsigned byte() { return *reinterpret_cast<const std::uint8_t*>(next_++); }
  // Sign-extended to 64 bits.
  std::uint64_t displacement8() {
    return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int8_t>(byte())});
  }
  std::uint64_t displacement32() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 32; shift += 8) value |= byte() << shift;
    return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(value)});
  }
  std::uint64_t next() const { return next_; }

 private:
  std::uint64_t next_;
};

std::uint64_t general_register(const ucontext_t& context, unsigned number) {
  static constexpr int kPlaces[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                      REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                      REG_R12, REG_R13, REG_R14, REG_R15};
  return static_cast<std::uint64_t>(context.uc_mcontext.gregs[kPlaces[number]]);
}

// The first word of the thread's own memory holds its address.
std::uint64_t fs_base() {
  std::uint64_t base;
  __asm__("mov %%fs:0, %0" : "=r"(base));
  return base;
}

// Decodes the memory operand of `modrm`. Sets the address without the index, the stride, which is
// the scaled index, and the next instruction.
void decode_memory(Fetcher& code, const ucontext_t& context, unsigned modrm, unsigned rex_x,
                   unsigned rex_b, Instruction& result) {
  const unsigned mod = modrm >> 6;
  const unsigned rm = modrm & 7;
  unsigned base = rm;
  if (rm == 4) {
    const unsigned sib = code.byte();
    const unsigned index = (sib >> 3 & 7) | rex_x << 3;
    if (index != 4) result.stride = general_register(context, index) << (sib >> 6);
    base = sib & 7;
  }
  if (mod == 0 && base == 5) {
    // No base; without an SIB byte, the next instruction's address.
    result.address = code.displacement32();
    if (rm == 5) result.address += code.next();
  } else {
    result.address = general_register(context, base | rex_b << 3);
    if (mod == 1) result.address += code.displacement8();
    if (mod == 2) result.address += code.displacement32();
  }
  result.next = code.next();
}

// Decodes the instruction at RIP, if it is an AMX instruction.
std::optional<Instruction> decode(const ucontext_t& context) {
  Fetcher code(static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_RIP]));
  unsigned byte = code.byte();
  // Compilers use a segment for thread_local variables.
  const bool fs = byte == 0x64;
  if (fs) byte = code.byte();

  // VEX of three bytes: C4, ~R ~X ~B map, W ~vvvv L pp. Map 0F38, W 0, L 0.
  if (byte != 0xC4) return std::nullopt;
  const unsigned vex1 = code.byte();
  if ((vex1 & 0x1F) != 2) return std::nullopt;
  const unsigned rex_r = ~vex1 >> 7 & 1;
  const unsigned rex_x = ~vex1 >> 6 & 1;
  const unsigned rex_b = ~vex1 >> 5 & 1;
  const unsigned vex2 = code.byte();
  if ((vex2 & 0x84) != 0) return std::nullopt;
  const unsigned vvvv = ~vex2 >> 3 & 15;
  enum { kNone, k66, kF3, kF2 };
  const unsigned prefix = vex2 & 3;

  const unsigned opcode = code.byte();
  if (opcode != 0x49 && opcode != 0x4B && opcode != 0x5E) return std::nullopt;
  const unsigned modrm = code.byte();
  const bool in_memory = modrm >> 6 != 3;
  const unsigned reg = modrm >> 3 & 7;
  const unsigned rm = modrm & 7;

  const auto found = [&](Op op) {
    Instruction result{.op = op, .dest = reg, .src1 = rm, .src2 = vvvv, .next = code.next()};
    if (in_memory) {
      decode_memory(code, context, modrm, rex_x, rex_b, result);
      if (fs) result.address += fs_base();
    }
    return result;
  };
  if (opcode == 0x49 && in_memory && reg == 0 && vvvv == 0) {
    if (prefix == kNone) return found(Op::kLdtilecfg);
    if (prefix == k66) return found(Op::kSttilecfg);
  }
  if (opcode == 0x49 && !in_memory && rm == 0 && rex_r == 0 && vvvv == 0) {
    if (prefix == kNone && reg == 0) return found(Op::kTilerelease);
    if (prefix == kF2) return found(Op::kTilezero);
  }
  if (opcode == 0x4B && in_memory && rm == 4 && rex_r == 0 && vvvv == 0) {
    if (prefix == kF2) return found(Op::kTileloadd);
    if (prefix == k66) return found(Op::kTileloaddt1);
    if (prefix == kF3) return found(Op::kTilestored);
  }
  if (opcode == 0x5E && !in_memory && rex_r == 0 && rex_b == 0 && vvvv < kTiles) {
    if (prefix == kF2) return found(Op::kTdpbssd);
    if (prefix == kF3) return found(Op::kTdpbsud);
    if (prefix == k66) return found(Op::kTdpbusd);
    if (prefix == kNone) return found(Op::kTdpbuud);
  }
  return std::nullopt;
}

// ---- execution ----

[[noreturn]] void fault(Op op, const char* why) {
  for (const char* text : {"AMX emulator: ", name_of(op), ": ", why, "\n"}) {
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, std::strlen(text));
  }
  std::abort();
}

// The first reason for #GP, or nullptr.
const char* complaint(const TileConfig& config) {
  if (config.palette > 1) return "#GP: unknown palette";
  if (config.palette == 0) return nullptr;
  for (const std::uint8_t byte : config.reserved) {
    if (byte != 0) return "#GP: a reserved byte is not 0";
  }
  for (std::size_t t = 0; t < 16; ++t) {
    const std::size_t row_bytes = config.row_bytes[t];
    const std::size_t n_rows = config.n_rows[t];
    if (t >= kTiles && (row_bytes != 0 || n_rows != 0)) return "#GP: more than 8 tiles";
    if (row_bytes > kRowBytes) return "#GP: more than 64 bytes a row";
    if (n_rows > kRows) return "#GP: more than 16 rows";
    if ((row_bytes == 0) != (n_rows == 0)) return "#GP: a tile has rows or columns, not both";
  }
  return nullptr;
}

void load_config(const Instruction& it) {
  TileConfig config;
  std::memcpy(&config, reinterpret_cast<const void*>(it.address + it.stride), sizeof config);
  if (const char* why = complaint(config)) fault(it.op, why);
  state = {};
  if (config.palette != 0) state.config = config;
}

void check_tile(Op op, std::size_t tile) {
  if (state.config.palette == 0) fault(op, "#UD: no tiles are configured");
  if (state.config.n_rows[tile] == 0) fault(op, "#UD: this tile is not configured");
}

// Of a tile that is loaded, stored or multiplied. The SDM says so of products alone; processors
// refuse to load and store such tiles too (seen on an Emerald Rapids).
void check_width(Op op, std::size_t tile) {
  if (state.config.row_bytes[tile] % 4 != 0) fault(op, "#UD: the bytes a row are no multiple of 4");
}

// Rows before the restart row, if there is one, are kept; rows above the last stay 0.
void load(const Instruction& it) {
  check_tile(it.op, it.dest);
  check_width(it.op, it.dest);
  const std::size_t n_rows = state.config.n_rows[it.dest];
  const std::size_t row_bytes = state.config.row_bytes[it.dest];
  if (state.config.start_row >= n_rows) fault(it.op, "#UD: start_row is beyond the last row");
  for (std::size_t row = state.config.start_row; row < n_rows; ++row) {
    std::memcpy(state.tile[it.dest].row[row],
                reinterpret_cast<const void*>(it.address + row * it.stride), row_bytes);
  }
  state.config.start_row = 0;
}

void store(const Instruction& it) {
  check_tile(it.op, it.dest);
  check_width(it.op, it.dest);
  const std::size_t n_rows = state.config.n_rows[it.dest];
  const std::size_t row_bytes = state.config.row_bytes[it.dest];
  if (state.config.start_row >= n_rows) fault(it.op, "#UD: start_row is beyond the last row");
  for (std::size_t row = state.config.start_row; row < n_rows; ++row) {
    std::memcpy(reinterpret_cast<void*>(it.address + row * it.stride), state.tile[it.dest].row[row],
                row_bytes);
  }
  state.config.start_row = 0;
}

void zero(const Instruction& it) {
  check_tile(it.op, it.dest);
  state.tile[it.dest] = {};
  state.config.start_row = 0;
}

void check_product(const Instruction& it) {
  const TileConfig& config = state.config;
  if (it.dest == it.src1 || it.dest == it.src2 || it.src1 == it.src2) {
    fault(it.op, "#UD: the three tiles are not three");
  }
  for (const std::size_t tile : {it.dest, it.src1, it.src2}) {
    check_tile(it.op, tile);
    check_width(it.op, tile);
  }
  if (config.n_rows[it.dest] != config.n_rows[it.src1]) {
    fault(it.op, "#UD: the destination's rows are not the first source's");
  }
  if (config.row_bytes[it.dest] != config.row_bytes[it.src2]) {
    fault(it.op, "#UD: the destination's columns are not the second source's");
  }
  if (config.row_bytes[it.src1] / 4 != config.n_rows[it.src2]) {
    fault(it.op, "#UD: the first source's columns are not the second source's rows");
  }
}

// dest[m][n] += the sum of src1[m][4k + i] * src2[k][4n + i]. Without sanitizers, which take a
// hundred times as long as the loop. Computes all columns, so that the compiler can vectorise:
// unused ones are 0.
template <class A, class B>
__attribute__((no_sanitize("address", "undefined"))) void multiply(const Instruction& it) {
  constexpr std::size_t kColumns = kRowBytes / 4;
  const std::size_t n_rows = state.config.n_rows[it.src1];
  const std::size_t n_products = state.config.n_rows[it.src2];
  const Tile& src1 = state.tile[it.src1];
  const Tile& src2 = state.tile[it.src2];
  std::int16_t factors[kRows][4][kColumns];
  for (std::size_t k = 0; k < n_products; ++k) {
    for (std::size_t i = 0; i < 4; ++i) {
      for (std::size_t n = 0; n < kColumns; ++n) {
        factors[k][i][n] = static_cast<B>(src2.row[k][4 * n + i]);
      }
    }
  }
  for (std::size_t m = 0; m < n_rows; ++m) {
    std::uint32_t sums[kColumns];
    std::memcpy(sums, state.tile[it.dest].row[m], sizeof sums);
    for (std::size_t k = 0; k < n_products; ++k) {
      for (std::size_t i = 0; i < 4; ++i) {
        const std::int16_t factor = static_cast<A>(src1.row[m][4 * k + i]);
        for (std::size_t n = 0; n < kColumns; ++n) {
          sums[n] += static_cast<std::uint32_t>(factor * factors[k][i][n]);
        }
      }
    }
    std::memcpy(state.tile[it.dest].row[m], sums, sizeof sums);
  }
  state.config.start_row = 0;
}

void execute(const Instruction& it) {
  switch (it.op) {
    case Op::kLdtilecfg:
      load_config(it);
      break;
    case Op::kSttilecfg:
      std::memcpy(reinterpret_cast<void*>(it.address + it.stride), &state.config,
                  sizeof state.config);
      break;
    case Op::kTilerelease:
      state = {};
      break;
    case Op::kTilezero:
      zero(it);
      break;
    case Op::kTileloadd:
    case Op::kTileloaddt1:
      load(it);
      break;
    case Op::kTilestored:
      store(it);
      break;
    case Op::kTdpbssd:
      check_product(it);
      multiply<std::int8_t, std::int8_t>(it);
      break;
    case Op::kTdpbsud:
      check_product(it);
      multiply<std::int8_t, std::uint8_t>(it);
      break;
    case Op::kTdpbusd:
      check_product(it);
      multiply<std::uint8_t, std::int8_t>(it);
      break;
    case Op::kTdpbuud:
      check_product(it);
      multiply<std::uint8_t, std::uint8_t>(it);
      break;
  }
}

// ---- the signal ----

// The action that the rest of the program believes to be installed while the handler is.
struct sigaction believed_action;
constinit std::atomic<bool> installed{false};

void on_illegal_instruction(int, siginfo_t* info, void* context_pointer) {
  auto& context = *static_cast<ucontext_t*>(context_pointer);
  // Positive: raised by the processor; else sent by a process.
  if (info->si_code > 0) {
    // Executes all that follow each other: a signal takes far longer than an instruction.
    std::uint64_t n_here = 0;
    while (const std::optional<Instruction> instruction = decode(context)) {
      execute(*instruction);
      context.uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(instruction->next);
      ++n_here;
    }
    n_emulated.fetch_add(n_here, std::memory_order_relaxed);
    if (n_here > 0) return;
  }
  // Restores the other action for good: the instruction faults again, and the kernel does
  // everything that this action asks for. An action that sets another one, or the default, works as
  // well.
  installed = false;
  __real_sigaction(SIGILL, &believed_action, nullptr);
  if (info->si_code <= 0) raise(SIGILL);
}

bool is_native() {
  constexpr std::uint32_t kOsxsave = 1u << 27;               // leaf 1, ECX
  constexpr std::uint32_t kTileInt8 = 1u << 24 | 1u << 25;   // leaf 7, EDX
  constexpr std::uint32_t kTileState = 1u << 17 | 1u << 18;  // XCR0
  constexpr long kRequestPermission = 0x1023;                // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  std::uint32_t eax;
  std::uint32_t ebx;
  std::uint32_t ecx;
  std::uint32_t edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & kOsxsave) == 0) return false;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return false;
  if ((edx & kTileInt8) != kTileInt8) return false;
  std::uint32_t saved;
  std::uint32_t saved_high;
  __asm__ volatile("xgetbv" : "=a"(saved), "=d"(saved_high) : "c"(0));
  if ((saved & kTileState) != kTileState) return false;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

Amx enable_amx() {
  static const bool native = is_native();
  if (native) return Amx::kNative;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  struct sigaction current;
  __real_sigaction(SIGILL, nullptr, &current);
  if ((current.sa_flags & SA_SIGINFO) == 0 || current.sa_sigaction != on_illegal_instruction) {
    believed_action = current;
    struct sigaction action = {};
    action.sa_sigaction = on_illegal_instruction;
    action.sa_flags = SA_SIGINFO;
    __real_sigaction(SIGILL, &action, nullptr);
    installed = true;
  }
  return Amx::kEmulated;
}

std::uint64_t emulated_instructions() { return n_emulated.load(std::memory_order_relaxed); }

}  // namespace bitsift::test

// doctest sets its own handler before each test case and restores the old one after it. Without
// this wrapper, the emulator would be gone after the test case that enabled it.
int __wrap_sigaction(int signal, const struct sigaction* action, struct sigaction* old) {
  using namespace bitsift::test;
  if (signal != SIGILL || !installed) return __real_sigaction(signal, action, old);
  const struct sigaction before = believed_action;
  if (action != nullptr) believed_action = *action;
  if (old != nullptr) *old = before;
  return 0;
}
