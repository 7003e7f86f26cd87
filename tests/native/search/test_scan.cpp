// SPDX-License-Identifier: Apache-2.0
// Results do not depend on the number of threads, the instruction set, the method or the batch.
#include <doctest/doctest.h>
#include <sys/mman.h>

#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "helpers/levels.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"
#include "search/scan.hpp"

namespace bitsift::test {
namespace {

using Found = Results<std::int32_t>;

Found search_with(const Kernels& kernels, Matrix<std::uint8_t> codes, const Queries& queries,
                  const ScanOptions& options) {
  const std::size_t n = queries.codes.n_rows * options.k;
  Found found{std::vector<std::int32_t>(n, -5), std::vector<std::int64_t>(n, -5)};
  scan(kernels, codes, queries, options, found.values.data(), found.rows.data());
  return found;
}

// The choice by measured cost, and each method that can scan.
std::vector<std::optional<ScanMethod>> methods(const Kernels& kernels) {
  std::vector<std::optional<ScanMethod>> result = {std::nullopt, ScanMethod::kRows,
                                                   ScanMethod::kRowsAhead,
                                                   ScanMethod::kRowsFarAhead, ScanMethod::kBatch};
  if (kernels.product != nullptr) result.emplace_back(ScanMethod::kProduct);
  return result;
}

// Codes of few set bits: distances are small, and many are equal.
std::vector<std::uint8_t> sparse_bytes(Random& random, std::size_t n) {
  std::vector<std::uint8_t> result(n);
  for (std::uint8_t& byte : result) {
    byte = static_cast<std::uint8_t>(random.byte() & random.byte() & random.byte());
  }
  return result;
}

// Whether emulated instructions would take too long.
bool too_slow(const Kernels& kernels, ScanMethod method, std::size_t n_rows, std::size_t n_queries,
              std::size_t n_bytes) {
  constexpr std::size_t kMostWords = 3'000'000;  // of pairs
  const bool emulated = find_kernels(kernels.name) == nullptr;
  const std::size_t n_padded = (n_queries + 15) / 16 * 16;
  return emulated && method == ScanMethod::kProduct &&
         n_rows * n_padded * ((n_bytes + 7) / 8) > kMostWords;
}

void check_everywhere(Matrix<std::uint8_t> codes, Queries queries, const std::int64_t* ids,
                      std::size_t k, const std::vector<std::size_t>& batches) {
  const Found wanted = naive_search(codes, queries, ids, k);
  for (const Kernels* kernels : tested_kernels()) {
    CAPTURE(kernels->name);
    for (const std::optional<ScanMethod> method : methods(*kernels)) {
      const int number = method ? static_cast<int>(*method) : -1;
      CAPTURE(number);
      for (const std::size_t batch : batches) {
        CAPTURE(batch);
        queries.codes.n_rows = batch;
        if (too_slow(*kernels, method.value_or(ScanMethod::kProduct), codes.n_rows, batch,
                     codes.n_columns)) {
          continue;
        }
        for (const std::size_t n_threads : Sizes{1, 2, 7}) {
          CAPTURE(n_threads);
          const ScanOptions options = {k, ids, n_threads, method};
          CHECK(search_with(*kernels, codes, queries, options) == wanted.part(0, batch, k));
        }
      }
    }
  }
}

TEST_CASE("many documents, shared out among the threads") {
  Random random(1);
  const auto codes = random.bytes(std::size_t{24000} * 96);
  const auto queries = random.bytes(std::size_t{9} * 96);
  const auto ids = random.ids(24000);
  check_everywhere(matrix_of(codes, 96), {matrix_of(queries, 96)}, nullptr, 10, {1, 3, 4, 5, 9});
  check_everywhere(matrix_of(codes, 96), {matrix_of(queries, 96)}, ids.data(), 100, {1, 3, 4});
}

TEST_CASE("a scan ends early") {
  constexpr std::size_t kDocuments = 24000;
  constexpr std::size_t kNearest = 10;
  Random random(9);
  const auto codes = random.bytes(kDocuments * 96);
  const auto queries = random.bytes(std::size_t{5} * 96);
  const std::atomic<bool> wanted{true};
  const std::atomic<bool> not_wanted{false};
  // Returns how many rows it has scanned. The results are right for these.
  const auto n_scanned = [&](const EarlyEnd& early_end, std::size_t n_queries,
                             std::size_t n_threads) {
    const Queries first{{queries.data(), n_queries, 96, 96}};
    Found found{std::vector<std::int32_t>(n_queries * kNearest),
                std::vector<std::int64_t>(n_queries * kNearest)};
    const std::size_t n = scan(*available_kernels().back(), matrix_of(codes, 96), first,
                               {.k = kNearest, .n_threads = n_threads, .early_end = early_end},
                               found.values.data(), found.rows.data());
    CHECK(found ==
          naive_search(Matrix<std::uint8_t>{codes.data(), n, 96, 96}, first, nullptr, kNearest));
    return n;
  };
  for (const std::size_t n_queries : Sizes{1, 5}) {
    for (const std::size_t n_threads : Sizes{1, 2, 7}) {
      CAPTURE(n_queries);
      CAPTURE(n_threads);
      CHECK(n_scanned({&not_wanted, 0, kDocuments}, n_queries, n_threads) == kDocuments);
      CHECK(n_scanned({&wanted, 0, 0}, n_queries, n_threads) == kDocuments);
      const std::size_t n = n_scanned({&wanted, 5000, 20000}, n_queries, n_threads);
      CHECK(n >= 5000);
      if (n_threads == 1) CHECK(n < 20000);
    }
  }
}

TEST_CASE("a scan of several batches, or by a sample, does not end early") {
  Random random(10);
  constexpr std::size_t kDocuments = 60000;
  const auto codes = random.bytes(kDocuments * 8);
  const std::atomic<bool> wanted{true};
  for (const auto& [n_queries, k] : {std::pair<std::size_t, std::size_t>{257, 10}, {16, 100}}) {
    const auto queries = random.bytes(n_queries * 8);
    Found found{std::vector<std::int32_t>(n_queries * k), std::vector<std::int64_t>(n_queries * k)};
    CHECK(scan(*available_kernels().back(), matrix_of(codes, 8), {matrix_of(queries, 8)},
               {.k = k, .early_end = {&wanted, 0, kDocuments}}, found.values.data(),
               found.rows.data()) == kDocuments);
    CHECK(found == naive_search(matrix_of(codes, 8), {matrix_of(queries, 8)}, nullptr, k));
  }
}

TEST_CASE("queries at the edges of a batch, few documents") {
  Random random(2);
  const auto codes = sparse_bytes(random, std::size_t{700} * 13);
  const auto queries = sparse_bytes(random, std::size_t{513} * 13);
  const auto ids = random.ids(700);
  check_everywhere(matrix_of(codes, 13), {matrix_of(queries, 13)}, nullptr, 10,
                   {1, 3, 4, 5, 255, 256, 257, 513});
  check_everywhere(matrix_of(codes, 13), {matrix_of(queries, 13)}, ids.data(), 40, {256, 257});
}

TEST_CASE("queries at the edges of a batch, documents shared out") {
  Random random(3);
  const auto codes = random.bytes(std::size_t{600} * 4096);
  const auto queries = random.bytes(std::size_t{257} * 4096);
  check_everywhere(matrix_of(codes, 4096), {matrix_of(queries, 4096)}, nullptr, 3,
                   {1, 5, 255, 256, 257});
}

TEST_CASE("ties across the pieces that threads take") {
  Random random(4);
  // Distances are 0 to 8 for 600,000 rows.
  const auto codes = random.bytes(600000);
  const auto queries = random.bytes(5);
  std::vector<std::int64_t> descending(600000);
  for (std::size_t i = 0; i < descending.size(); ++i) {
    descending[i] = static_cast<std::int64_t>(descending.size() - i);
  }
  check_everywhere(matrix_of(codes, 1), {matrix_of(queries, 1)}, nullptr, 100, {1, 5});
  check_everywhere(matrix_of(codes, 1), {matrix_of(queries, 1)}, descending.data(), 100, {1, 5});
}

TEST_CASE("queries with magnitudes") {
  Random random(10);
  for (const std::size_t n_bytes : Sizes{1, 8, 13, 96, 100}) {
    CAPTURE(n_bytes);
    const auto codes = random.bytes(3000 * n_bytes);
    const auto query_codes = random.bytes(19 * n_bytes);
    for (const unsigned largest : {0u, 1u, 5u, 31u}) {
      CAPTURE(largest);
      std::vector<std::uint8_t> magnitudes(19 * 8 * n_bytes);
      for (auto& m : magnitudes) m = static_cast<std::uint8_t>(random.below(largest + 1));
      const Queries queries = {matrix_of(query_codes, n_bytes), matrix_of(magnitudes, 8 * n_bytes)};
      const auto ids = random.ids(3000);
      check_everywhere(matrix_of(codes, n_bytes), queries, nullptr, 10, {1, 2, 16, 17, 19});
      check_everywhere(matrix_of(codes, n_bytes), queries, ids.data(), 33, {1, 19});
    }
  }
}

TEST_CASE("the longest codes, all bits different") {
  Random random(11);
  auto codes = random.bytes(300 * kMaxCodeBytes);
  std::vector<std::uint8_t> query_codes(codes.begin(), codes.begin() + 5 * kMaxCodeBytes);
  for (std::size_t i = 0; i < kMaxCodeBytes; ++i) {
    codes[i] = static_cast<std::uint8_t>(~query_codes[i]);
  }
  const std::vector<std::uint8_t> magnitudes(5 * 8 * kMaxCodeBytes, 31);
  const Queries queries = {matrix_of(query_codes, kMaxCodeBytes)};
  const Queries weighted = {matrix_of(query_codes, kMaxCodeBytes),
                            matrix_of(magnitudes, 8 * kMaxCodeBytes)};
  check_everywhere(matrix_of(codes, kMaxCodeBytes), queries, nullptr, 300, {1, 5});
  check_everywhere(matrix_of(codes, kMaxCodeBytes), weighted, nullptr, 300, {1, 5});
}

TEST_CASE("long codes, whose queries fill several batches") {
  Random random(12);
  const auto codes = random.bytes(20 * kMaxCodeBytes);
  const auto query_codes = random.bytes(33 * kMaxCodeBytes);
  std::vector<std::uint8_t> magnitudes(33 * 8 * kMaxCodeBytes);
  for (auto& m : magnitudes) m = static_cast<std::uint8_t>(random.below(32));
  const Queries queries = {matrix_of(query_codes, kMaxCodeBytes),
                           matrix_of(magnitudes, 8 * kMaxCodeBytes)};
  check_everywhere(matrix_of(codes, kMaxCodeBytes), queries, nullptr, 5, {17, 33});
}

TEST_CASE("more results wanted than there are documents") {
  Random random(5);
  for (const std::size_t n : Sizes{0, 1, 7, 16, 17, 300}) {
    CAPTURE(n);
    const auto codes = random.bytes(n * 11);
    const auto queries = random.bytes(std::size_t{6} * 11);
    const auto ids = random.ids(n);
    for (const std::size_t k : Sizes{n, n + 1, 3 * n + 5}) {
      CAPTURE(k);
      check_everywhere({codes.data(), n, 11, 11}, {matrix_of(queries, 11)}, nullptr, k,
                       {1, 3, 4, 6});
      check_everywhere({codes.data(), n, 11, 11}, {matrix_of(queries, 11)}, ids.data(), k, {1, 6});
    }
  }
}

TEST_CASE("all of many documents: batches that memory bounds") {
  Random random(6);
  const std::size_t n = 12000;
  const auto codes = random.bytes(n);
  const auto queries = random.bytes(180);  // 4,194,304 / (2 * 12,000 + 1) = 174 make a batch
  const auto wanted = naive_search(matrix_of(codes, 1), {matrix_of(queries, 1)}, nullptr, n);
  for (const std::size_t n_threads : Sizes{1, 7}) {
    CAPTURE(n_threads);
    CHECK(search_with(*available_kernels().back(), matrix_of(codes, 1), {matrix_of(queries, 1)},
                      {.k = n, .n_threads = n_threads}) == wanted);
  }
}

TEST_CASE("no queries, no documents or k = 0: nothing is written") {
  const std::uint8_t byte = 0;
  const Matrix<std::uint8_t> one = {&byte, 1, 1, 1};
  const Matrix<std::uint8_t> none = {&byte, 0, 1, 1};
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    for (const std::size_t n_threads : Sizes{1, 7}) {
      scan(*kernels, one, {one}, {.k = 0, .n_threads = n_threads}, nullptr, nullptr);
      scan(*kernels, one, {none}, {.k = 3, .n_threads = n_threads}, nullptr, nullptr);
      scan(*kernels, none, {none}, {.k = 3, .n_threads = n_threads}, nullptr, nullptr);
    }
  }
}

TEST_CASE("negative and zero strides") {
  Random random(7);
  const auto codes = random.bytes(std::size_t{500} * 40);
  const auto queries = random.bytes(std::size_t{6} * 40);
  const Matrix<std::uint8_t> upside_down = {codes.data() + std::ptrdiff_t{499} * 40, 500, 37, -40};
  const Matrix<std::uint8_t> repeated = {codes.data(), 500, 37, 0};
  const Matrix<std::uint8_t> wanted = {queries.data() + 200, 6, 37, -40};
  check_everywhere(upside_down, {wanted}, nullptr, 9, {1, 6});
  check_everywhere(repeated, {wanted}, nullptr, 9, {1, 6});
}

// Rows more than 2^31 bytes apart, in memory that is only reserved.
TEST_CASE("offsets beyond 32 bits") {
  constexpr std::size_t kStride = (std::size_t{1} << 31) + 64;
  constexpr std::size_t kRows = 4;
  constexpr std::size_t kSize = kRows * kStride;
  void* mapped = mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(mapped != MAP_FAILED);
  auto* bytes = static_cast<std::uint8_t*>(mapped);
  Random random(8);
  for (std::size_t row = 0; row < kRows; ++row) random.fill(bytes + row * kStride, 48);
  const auto stride = static_cast<std::ptrdiff_t>(kStride);
  const Matrix<std::uint8_t> codes = {bytes, kRows, 48, stride};
  const Matrix<std::uint8_t> backwards = {bytes + (kRows - 1) * kStride, kRows, 48, -stride};
  check_everywhere(codes, {backwards}, nullptr, kRows, {1, kRows});
  check_everywhere(backwards, {codes}, nullptr, kRows, {1, kRows});
  munmap(mapped, kSize);
}

}  // namespace
}  // namespace bitsift::test
