// SPDX-License-Identifier: Apache-2.0
#include "base/mapped_file.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace bitsift::test {
namespace {

// A file without a name, which holds the text.
int temporary_file(const std::string& text) {
  std::string name = std::filesystem::temp_directory_path() / "bitsift-test-XXXXXX";
  const int descriptor = mkstemp(name.data());
  REQUIRE(descriptor >= 0);
  REQUIRE(unlink(name.c_str()) == 0);
  REQUIRE(write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  return descriptor;
}

TEST_CASE("the bytes outlive the descriptor and the name") {
  const std::string text(10'000, 'x');
  const int descriptor = temporary_file(text);
  const MappedFile file(descriptor, text.size());
  close(descriptor);
  REQUIRE(file.size() == text.size());
  CHECK(std::string(reinterpret_cast<const char*>(file.data()), file.size()) == text);
}

TEST_CASE("a descriptor that cannot be mapped is an error with the system's code") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  try {
    const MappedFile file(ends[0], 1);
    FAIL("a pipe was mapped");
  } catch (const std::system_error& error) {
    CHECK(error.code().value() != 0);
  }
  close(ends[0]);
  close(ends[1]);
  CHECK_THROWS_AS(MappedFile(-1, 1), std::system_error);
}

}  // namespace
}  // namespace bitsift::test
