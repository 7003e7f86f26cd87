// SPDX-License-Identifier: Apache-2.0
// Batch kernels, whatever their layouts of tiles and groups, give the distances and
// hits of level `scalar`. Level `amx` is emulated where the processor lacks it.
#include "fuzz/codes.hpp"

namespace bitsift::test {
namespace {

// Few of many or many of few: the work of an input stays below some 10 ms.
struct Problem {
  explicit Problem(Input& input)
      : n_bytes(input.below(32) == 31 ? some_code_bytes(input) : input.between(1, 140)),
        n_rows(input.between(1, n_bytes > 140 || input.flag() ? 9 : kMaxTileRows)),
        n_queries(input.between(1, n_rows > 9 || n_bytes > 140 ? 3 : 2 * kMaxGroupQueries + 3)),
        weighted(input.flag()),
        with_row_limits(input.flag()),
        rows(input, n_rows, n_bytes) {
    // Sums of small magnitudes are flushed seldom.
    const auto mask = static_cast<std::uint8_t>((1u << input.between(0, kMagnitudeBits)) - 1);
    const auto largest = static_cast<std::int64_t>(8 * n_bytes * (weighted ? 31 : 1));
    for (std::size_t i = 0; i < n_queries; ++i) {
      codes.push_back(padded_code(input, n_bytes));
      magnitudes.emplace_back(8 * n_bytes, input.below(8));
      fill_bytes(input, magnitudes.back().get(), 8 * n_bytes);
      for (std::uint8_t& m : magnitudes.back()) m &= mask;
      limits.push_back(some_limit(input, largest));
    }
    for (std::size_t i = 0; i < n_rows; ++i) {
      row_limits.push_back(with_row_limits ? some_limit(input, largest) : kAdmitNone);
    }
  }

  std::size_t n_bytes;
  std::size_t n_rows;
  std::size_t n_queries;
  bool weighted;
  bool with_row_limits;
  Rows rows;
  std::vector<Exact<std::uint8_t>> codes;
  std::vector<Exact<std::uint8_t>> magnitudes;
  std::vector<std::int64_t> limits;
  std::vector<std::int64_t> row_limits;
};

struct Answer {
  std::vector<Hit> hits;
  std::vector<std::int32_t> distances;  // n_queries x n_rows
};

bool before(const Hit& a, const Hit& b) {
  return std::tie(a.query, a.row) < std::tie(b.query, b.row);
}

Exact<std::byte> groups_of(const BatchKernel& kernel, const Problem& problem) {
  const std::size_t n_words = (problem.n_bytes + 7) / 8;
  const std::size_t group_bytes = kernel.group_header_bytes + n_words * kernel.group_word_bytes;
  const std::size_t n_groups =
      (problem.n_queries + kernel.group_queries - 1) / kernel.group_queries;
  Exact<std::byte> groups(n_groups * group_bytes, 0, kTileAlignment);
  for (std::size_t g = 0; g < n_groups; ++g) {
    const std::size_t first = g * kernel.group_queries;
    const std::size_t n = std::min(kernel.group_queries, problem.n_queries - first);
    const Exact<const std::uint8_t*> codes(n);
    const Exact<const std::uint8_t*> magnitudes(n);
    for (std::size_t i = 0; i < n; ++i) {
      codes[i] = problem.codes[first + i].get();
      magnitudes[i] = problem.magnitudes[first + i].get();
    }
    kernel.fill_group(codes.get(), problem.weighted ? magnitudes.get() : nullptr, n,
                      problem.n_bytes, groups.get() + g * group_bytes);
  }
  return groups;
}

Answer answer_of(const BatchKernel& kernel, const std::string& name, const Problem& problem) {
  const std::size_t n_words = (problem.n_bytes + 7) / 8;
  const std::size_t n_groups =
      (problem.n_queries + kernel.group_queries - 1) / kernel.group_queries;
  const std::size_t n_padded = n_groups * kernel.group_queries;
  const Exact<std::byte> groups = groups_of(kernel, problem);
  const Exact<std::int64_t> limits(n_padded);
  std::fill(limits.begin(), limits.end(), kAdmitNone);
  std::copy(problem.limits.begin(), problem.limits.end(), limits.begin());
  Answer answer{{}, std::vector<std::int32_t>(problem.n_queries * problem.n_rows)};
  for (std::size_t begin = 0; begin < problem.n_rows; begin += kernel.tile_rows) {
    const std::size_t n_rows = std::min(kernel.tile_rows, problem.n_rows - begin);
    const Exact<std::byte> tile(n_words * kernel.tile_word_bytes, 0, kTileAlignment);
    kernel.fill_tile(problem.rows.view().row(begin), problem.rows.view().stride, n_rows,
                     problem.n_bytes, tile.get());

    const Exact<std::int32_t> distances((problem.n_queries - 1) * problem.n_rows + n_rows);
    kernel.distances(tile.get(), n_rows, problem.n_bytes, groups.get(), problem.n_queries,
                     distances.get(), problem.n_rows);
    for (std::size_t i = 0; i < problem.n_queries; ++i) {
      std::copy_n(distances.get() + i * problem.n_rows, n_rows,
                  answer.distances.data() + i * problem.n_rows + begin);
    }

    const Exact<std::int64_t> row_limits(kernel.tile_rows);
    std::fill(row_limits.begin(), row_limits.end(), kAdmitNone);
    std::copy_n(problem.row_limits.data() + begin, n_rows, row_limits.begin());
    const Exact<Hit> hits(n_padded * kernel.tile_rows);
    const std::size_t n =
        kernel.scan(tile.get(), n_rows, problem.n_bytes, groups.get(), n_groups, limits.get(),
                    problem.with_row_limits ? row_limits.get() : nullptr, hits.get());
    expect(n <= hits.size(), name + " reports more hits than pairs");
    for (std::size_t i = 0; i < n; ++i) {
      // Limits of rows admit the padding of a group as well, which callers ignore.
      if (hits[i].query >= problem.n_queries) continue;
      answer.hits.push_back(hits[i]);
      answer.hits.back().row += static_cast<std::uint32_t>(begin);
    }
  }
  std::sort(answer.hits.begin(), answer.hits.end(), before);
  return answer;
}

bool takes(const BatchKernel& kernel, const Problem& problem) {
  return problem.n_bytes <= kernel.max_code_bytes &&
         (takes_magnitudes(kernel) || !problem.weighted);
}

void compare(Input& input) {
  // A few of many inputs: an emulated instruction takes a signal.
  const bool with_amx = input.below(32) == 31;
  const Problem problem(input);
  const Answer wanted = answer_of(scalar_kernels().weighted_batch, "scalar", problem);
  const auto check = [&](const Kernels& kernels) {
    for (const auto& [name, kernel] : batch_kernels(kernels)) {
      if (!takes(*kernel, problem)) continue;
      const Answer found = answer_of(*kernel, name, problem);
      expect(found.distances == wanted.distances, name + ": other distances than scalar");
      expect(same_hits(found.hits, wanted.hits), name + ": other hits than scalar");
    }
  };
  check(scalar_kernels());
  for (const Kernels* kernels : other_kernels()) check(*kernels);
  if (with_amx) check(*tested_kernels().back());
}

}  // namespace
}  // namespace bitsift::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bitsift::test::Input input(data, size);
  bitsift::test::compare(input);
  return 0;
}
