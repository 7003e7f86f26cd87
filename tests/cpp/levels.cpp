// SPDX-License-Identifier: Apache-2.0
#include "levels.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <sstream>

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
#endif

}  // namespace

std::vector<std::string> expected_levels() {
  if (const char* named = std::getenv("BITSIFT_EXPECT_ISA")) return split(named, ',');
  std::vector<std::string> levels = {"scalar"};
#if defined(__aarch64__)
  // Guaranteed; and an emulator may show the host's /proc/cpuinfo.
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
  if (avx2 && has({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vpopcntdq"})) {
    levels.emplace_back("avx512");
  }
#endif
  return levels;
}

}  // namespace bitsift::test
