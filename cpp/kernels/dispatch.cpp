// SPDX-License-Identifier: Apache-2.0
// The only file that asks the processor what it can do.

#include "kernels/dispatch.hpp"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace bitsift {
namespace {

#if defined(__x86_64__)

struct X86Features {
  bool avx2 = false;
  bool avx512 = false;
  bool amx = false;
};

// The registers that the operating system saves on a context switch: without them an instruction
// faults although the processor has it.
std::uint32_t saved_registers() {
  std::uint32_t low;
  std::uint32_t high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

X86Features ask_processor() {
  constexpr std::uint32_t kOsxsave = 1u << 27;  // leaf 1, ECX
  constexpr std::uint32_t kAvxF16c = 1u << 28 | 1u << 29;
  constexpr std::uint32_t kAvx2 = 1u << 5;                                      // leaf 7, EBX
  constexpr std::uint32_t kAvx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
  constexpr std::uint32_t kVbmiVnniVpopcntdq = 1u << 1 | 1u << 11 | 1u << 14;   // leaf 7, ECX
  constexpr std::uint32_t kAmxTileInt8 = 1u << 24 | 1u << 25;                   // leaf 7, EDX
  constexpr std::uint32_t kYmm = 1u << 1 | 1u << 2;                             // XCR0
  constexpr std::uint32_t kZmm = kYmm | 1u << 5 | 1u << 6 | 1u << 7;
  constexpr std::uint32_t kTiles = 1u << 17 | 1u << 18;
  const auto has = [](std::uint32_t value, std::uint32_t bits) { return (value & bits) == bits; };

  X86Features features;
  std::uint32_t eax;
  std::uint32_t ebx;
  std::uint32_t ecx;
  std::uint32_t edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !has(ecx, kOsxsave | kAvxF16c)) return features;
  const std::uint32_t saved = saved_registers();
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return features;
  features.avx2 = has(saved, kYmm) && has(ebx, kAvx2);
  features.avx512 =
      features.avx2 && has(saved, kZmm) && has(ebx, kAvx512) && has(ecx, kVbmiVnniVpopcntdq);
  features.amx = features.avx512 && has(saved, kTiles) && has(edx, kAmxTileInt8);
  return features;
}

// Tiles are 8 KiB that a context switch would have to save, so Linux grants them on request, and
// may refuse. A process asks once, for all its threads.
bool tiles_granted() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

#endif

#if defined(BITSIFT_HAVE_NEON)

bool has_crc() {
#if defined(__linux__)
  constexpr unsigned long kCrc32 = 1ul << 7;  // HWCAP_CRC32
  return (getauxval(AT_HWCAP) & kCrc32) != 0;
#elif defined(__APPLE__)
  return true;
#else
  return false;
#endif
}

const Kernels& neon_kernels() {
  static const Kernels kernels = [] {
    Kernels result = kNeonKernels;
    if (has_crc()) result.crc32c = result.crc32c_by_instruction;
    return result;
  }();
  return kernels;
}

#endif

std::vector<const Kernels*> ask_available() {
  std::vector<const Kernels*> available = {&kScalarKernels};
#if defined(__x86_64__)
  const X86Features features = ask_processor();
  if (features.avx2) available.push_back(&kAvx2Kernels);
  if (features.avx512) available.push_back(&kAvx512Kernels);
  if (features.amx && tiles_granted()) available.push_back(&amx_kernels());
#elif defined(BITSIFT_HAVE_NEON)
  available.push_back(&neon_kernels());
#endif
  return available;
}

}  // namespace

#if defined(__x86_64__)
const Kernels& amx_kernels() {
  static const Kernels kernels = [] {
    Kernels result = kAvx512Kernels;
    result.isa = Isa::kAmx;
    result.name = "amx";
    result.product = &kAmxProductKernel;
    return result;
  }();
  return kernels;
}
#endif

const std::vector<std::string_view>& known_isas() {
  static const std::vector<std::string_view> names = {"scalar", "avx2", "avx512", "amx", "neon"};
  return names;
}

const std::vector<const Kernels*>& available_kernels() {
  static const std::vector<const Kernels*> available = ask_available();
  return available;
}

const Kernels* find_kernels(std::string_view name) {
  for (const Kernels* kernels : available_kernels()) {
    if (kernels->name == name) return kernels;
  }
  return nullptr;
}

}  // namespace bitsift
