// SPDX-License-Identifier: Apache-2.0
#include "helpers/levels.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <sstream>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(BITSIFT_TEST_AMX)
#include "helpers/amx_emulator.hpp"
#endif
#include "kernels/dispatch.hpp"

namespace bitsift::test {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

#if defined(__x86_64__)
// The words of the line "flags : ..." of the first processor.
std::vector<std::string> processor_flags() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("flags")) return split(line.substr(line.find(':') + 1), ' ');
  }
  return {};
}

// Whether the operating system grants the use of tiles.
bool tiles_permitted() {
#if defined(__linux__)
  return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tile data */) == 0;
#else
  return false;
#endif
}
#endif

}  // namespace

std::vector<std::string> expected_levels() {
  if (const char* named = std::getenv("BITSIFT_EXPECT_ISA")) return split(named, ',');
  std::vector<std::string> levels = {"scalar"};
#if defined(__aarch64__)
  // Every aarch64 processor has it; /proc/cpuinfo may be the host's under an emulator.
  levels.emplace_back("neon");
#elif defined(__x86_64__)
  const std::vector<std::string> flags = processor_flags();
  const auto has = [&](std::initializer_list<const char*> wanted) {
    return std::all_of(wanted.begin(), wanted.end(), [&](const char* flag) {
      return std::find(flags.begin(), flags.end(), flag) != flags.end();
    });
  };
  const bool avx2 = has({"avx2", "f16c"});
  if (avx2) levels.emplace_back("avx2");
  if (avx2 && has({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vpopcntdq", "avx512vbmi",
                   "avx512_vnni"})) {
    levels.emplace_back("avx512");
    if (has({"amx_tile", "amx_int8"}) && tiles_permitted()) levels.emplace_back("amx");
  }
#endif
  return levels;
}

const std::vector<const Kernels*>& tested_kernels() {
  static const std::vector<const Kernels*> tested = [] {
    std::vector<const Kernels*> result = available_kernels();
#if defined(BITSIFT_TEST_AMX)
    // Only tiles are emulated: the processor must have the vector instructions.
    if (find_kernels("avx512") != nullptr && find_kernels("amx") == nullptr) {
      enable_amx();
      result.push_back(&amx_kernels());
    }
#endif
    return result;
  }();
  return tested;
}

std::vector<NamedBatchKernel> batch_kernels(const Kernels& kernels) {
  const std::string level = kernels.name;
  std::vector<NamedBatchKernel> result = {{level + " batch", &kernels.batch},
                                          {level + " weighted_batch", &kernels.weighted_batch}};
  if (kernels.product != nullptr) result.push_back({level + " product", kernels.product});
  return result;
}

}  // namespace bitsift::test
