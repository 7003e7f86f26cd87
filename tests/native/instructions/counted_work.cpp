// SPDX-License-Identifier: Apache-2.0
// Does one named work on one thread and fixed data; count.py counts the instructions.
//
//     counted_work LEVEL WORK N_ROWS    does the work
//     counted_work --list               prints the name of each work and the rows to count it with
//     counted_work --compiler           prints the compiler, such as "GCC 12"
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "encoding/packing.hpp"
#include "helpers/random.hpp"
#include "kernels/dispatch.hpp"
#include "oracle/naive.hpp"
#include "rescoring/rescore.hpp"
#include "rescoring/rescore_codes.hpp"
#include "search/scan.hpp"
#include "search/self_join.hpp"

namespace bitsift::test {
namespace {

constexpr std::size_t kDims = 768;
constexpr std::size_t kBytes = kDims / 8;
constexpr std::size_t kNearest = 10;
constexpr std::size_t kCandidates = 40;
constexpr std::size_t kOriginals = 256;

// Exit statuses other than success.
constexpr int kBadArguments = 2;
constexpr int kNotAvailable = 3;

// The rows to work on, and the most that a work may get. Data and results are allocated for the
// most, however few are used, so that their cost cancels out in a difference.
struct Rows {
  std::size_t n;
  std::size_t most;
};

std::vector<std::uint8_t> codes_of(Random& random, std::size_t n_rows) {
  std::vector<std::uint8_t> codes(n_rows * kBytes);
  static_assert(kBytes % 8 == 0);
  for (std::size_t i = 0; i < codes.size(); i += 8) {
    const std::uint64_t word = random.bits();
    std::memcpy(codes.data() + i, &word, 8);
  }
  return codes;
}

template <class T>
Matrix<T> first_rows(const std::vector<T>& values, std::size_t n_columns, std::size_t n_rows) {
  Matrix<T> result = matrix_of(values, n_columns);
  result.n_rows = n_rows;
  return result;
}

template <ScanMethod kMethod, std::size_t kQueries, bool kWeighted>
void search_rows(const Kernels& kernels, Rows rows) {
  Random random(1);
  const auto codes = codes_of(random, rows.most);
  const auto query_codes = codes_of(random, kQueries);
  std::vector<std::uint8_t> magnitudes(kQueries * kDims);
  for (auto& m : magnitudes) m = static_cast<std::uint8_t>(random.below(32));
  Queries queries = {matrix_of(query_codes, kBytes)};
  if (kWeighted) queries.magnitudes = matrix_of(magnitudes, kDims);
  std::vector<std::int32_t> distances(kQueries * kNearest);
  std::vector<std::int64_t> found(kQueries * kNearest);
  scan(kernels, first_rows(codes, kBytes, rows.n), queries,
       {.k = kNearest, .n_threads = 1, .method = kMethod}, distances.data(), found.data());
}

void join_rows(const Kernels& kernels, Rows rows) {
  Random random(2);
  const auto codes = codes_of(random, rows.most);
  std::vector<std::int32_t> distances(rows.most * kNearest);
  std::vector<std::int64_t> found(rows.most * kNearest);
  self_join(kernels, first_rows(codes, kBytes, rows.n), kNearest, 1, distances.data(),
            found.data());
}

void pack_rows(const Kernels& kernels, Rows rows) {
  Random random(3);
  const auto values = random.floats(rows.most * kDims);
  const auto thresholds = random.floats(kDims);
  std::vector<std::uint8_t> codes(rows.most * kBytes);
  pack(kernels, first_rows(values, kDims, rows.n), thresholds.data(), 1, codes.data());
}

std::vector<std::int64_t> candidates_of(Random& random, std::size_t n_queries) {
  std::vector<std::int64_t> candidates(n_queries * kCandidates);
  for (auto& row : candidates) row = static_cast<std::int64_t>(random.below(kOriginals));
  return candidates;
}

// A row is a query with its candidates, here and below.
void rescore_rows(const Kernels& kernels, Rows rows) {
  Random random(4);
  const auto originals = random.floats(kOriginals * kDims);
  const auto queries = random.floats(rows.most * kDims);
  const auto candidates = candidates_of(random, rows.most);
  std::vector<float> scores(rows.most * kNearest);
  std::vector<std::int64_t> found(rows.most * kNearest);
  rescore(kernels, Metric::kCosine, matrix_of(originals, kDims), first_rows(queries, kDims, rows.n),
          {first_rows(candidates, kCandidates, rows.n), nullptr, kNearest}, 1, scores.data(),
          found.data());
}

void rescore_int8_rows(const Kernels& kernels, Rows rows) {
  Random random(5);
  const auto integers = random.bytes(kOriginals * kDims);
  const std::vector<double> base(kDims, 0.25);
  const std::vector<double> step(kDims, 0.5);
  const auto queries = random.floats(rows.most * kDims);
  const auto candidates = candidates_of(random, rows.most);
  std::vector<float> scores(rows.most * kNearest);
  std::vector<std::int64_t> found(rows.most * kNearest);
  const IntegerVectors originals = {.rows = matrix_of(integers, kDims),
                                    .type = IntegerType::kInt8,
                                    .dim = kDims,
                                    .scale = {base.data(), step.data()}};
  rescore(kernels, Metric::kCosine, originals, first_rows(queries, kDims, rows.n),
          {first_rows(candidates, kCandidates, rows.n), nullptr, kNearest}, 1, scores.data(),
          found.data());
}

void rescore_code_rows(const Kernels& kernels, Rows rows) {
  Random random(6);
  const auto codes = codes_of(random, kOriginals);
  const auto query_codes = codes_of(random, rows.most);
  std::vector<std::uint8_t> magnitudes(rows.most * kDims);
  for (auto& m : magnitudes) m = static_cast<std::uint8_t>(random.below(32));
  const auto candidates = candidates_of(random, rows.most);
  std::vector<float> scores(rows.most * kNearest);
  std::vector<std::int64_t> found(rows.most * kNearest);
  rescore_codes(kernels, matrix_of(codes, kBytes),
                {first_rows(query_codes, kBytes, rows.n), first_rows(magnitudes, kDims, rows.n)},
                {first_rows(candidates, kCandidates, rows.n), nullptr, kNearest}, nullptr, 1,
                scores.data(), found.data());
}

// A work is counted with n_rows and with twice as many. Where that is quick, n_rows is the piece
// that a thread takes at a time, so that a row bears its share of the cost of a piece: 2816 codes,
// 86 vectors to pack, 43, 17 or 102 queries of 40 candidates.
struct Work {
  std::string_view name;
  std::size_t n_rows;
  void (*run)(const Kernels& kernels, Rows rows);
};
constexpr Work kWorks[] = {
    {"rows_1_query", 2816, search_rows<ScanMethod::kRows, 1, false>},
    {"rows_2_queries", 2816, search_rows<ScanMethod::kRows, 2, false>},
    {"rows_1_weighted", 2816, search_rows<ScanMethod::kRows, 1, true>},
    {"batch_64_queries", 2816, search_rows<ScanMethod::kBatch, 64, false>},
    {"batch_64_weighted", 2816, search_rows<ScanMethod::kBatch, 64, true>},
    {"self_join", 1024, join_rows},
    {"pack_float32", 86, pack_rows},
    {"rescore_cosine_float32", 43, rescore_rows},
    {"rescore_cosine_int8", 17, rescore_int8_rows},
    {"rescore_codes", 102, rescore_code_rows},
};

std::string compiler() {
#if defined(__clang__)
  return "Clang " + std::to_string(__clang_major__);
#elif defined(__GNUC__)
  return "GCC " + std::to_string(__GNUC__);
#else
  return "unknown";
#endif
}

template <class Names, class NameOf>
std::string joined(const Names& names, NameOf name_of) {
  std::string result;
  for (const auto& name : names)
    result += (result.empty() ? "" : ", ") + std::string(name_of(name));
  return result;
}

int fail(int status, const std::string& message) {
  std::fprintf(stderr, "counted_work: %s\n", message.c_str());
  return status;
}

int run(const std::vector<std::string_view>& arguments) {
  if (arguments.size() == 1 && arguments[0] == "--list") {
    for (const Work& work : kWorks) {
      std::printf("%.*s %zu\n", static_cast<int>(work.name.size()), work.name.data(), work.n_rows);
    }
    return 0;
  }
  if (arguments.size() == 1 && arguments[0] == "--compiler") {
    std::printf("%s\n", compiler().c_str());
    return 0;
  }
  if (arguments.size() != 3) {
    return fail(kBadArguments, "wanted LEVEL WORK N_ROWS, --list or --compiler");
  }

  const std::string_view level = arguments[0];
  const Work* work = nullptr;
  for (const Work& known : kWorks) {
    if (known.name == arguments[1]) work = &known;
  }
  if (work == nullptr) {
    return fail(kBadArguments, "no work '" + std::string(arguments[1]) + "'; there are " +
                                   joined(kWorks, [](const Work& w) { return w.name; }));
  }
  Rows rows = {.n = 0, .most = 2 * work->n_rows};
  const std::string_view number = arguments[2];
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), rows.n);
  if (parsed.ec != std::errc{} || parsed.ptr != number.data() + number.size() || rows.n == 0 ||
      rows.n > rows.most) {
    return fail(kBadArguments, "N_ROWS is 1 to " + std::to_string(rows.most) + " for " +
                                   std::string(work->name) + "; got '" + std::string(number) + "'");
  }
  const Kernels* kernels = find_kernels(level);
  if (kernels == nullptr) {
    for (const std::string_view known : known_isas()) {
      if (known == level) {
        return fail(kNotAvailable, "level '" + std::string(level) + "' is not available here");
      }
    }
    return fail(kBadArguments,
                "no level '" + std::string(level) + "'; there are " +
                    joined(known_isas(), [](std::string_view name) { return name; }));
  }
  work->run(*kernels, rows);
  return 0;
}

}  // namespace
}  // namespace bitsift::test

int main(int argc, char** argv) { return bitsift::test::run({argv + 1, argv + argc}); }
