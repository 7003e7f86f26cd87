// SPDX-License-Identifier: Apache-2.0
// The kernels that scan codes as they lie report the hits of level `scalar`.
#include "fuzz/codes.hpp"

namespace bitsift::test {
namespace {

// scan(kernels, hits) returns the number of hits.
template <class Scan>
void compare(std::size_t n_pairs, const char* name, Scan scan) {
  const auto hits_of = [&](const Kernels& kernels) {
    const Exact<Hit> hits(n_pairs);
    const std::size_t n = scan(kernels, hits.get());
    expect(n <= n_pairs, std::string(kernels.name) + " reports more hits than pairs");
    return sorted({hits.begin(), hits.begin() + n});
  };
  const std::vector<Hit> wanted = hits_of(scalar_kernels());
  for (const Kernels* kernels : other_kernels()) {
    expect(same_hits(hits_of(*kernels), wanted),
           std::string(name) + " of " + kernels->name + " differs from that of scalar");
  }
}

RowSpan span_of(Input& input, const Matrix<std::uint8_t>& rows) {
  return {rows.data, rows.stride, rows.n_rows, rows.n_columns, input.below(2) * 4096};
}

void scan_rows(Input& input) {
  const std::size_t n_bytes = some_code_bytes(input);
  const std::size_t n_rows = input.below(20);
  const std::size_t n_queries = input.between(1, kMaxRowQueries);
  const Rows rows(input, n_rows, n_bytes);
  std::vector<Exact<std::uint8_t>> codes;
  const Exact<const std::uint8_t*> queries(n_queries);
  const Exact<std::int64_t> limits(n_queries);
  for (std::size_t i = 0; i < n_queries; ++i) {
    codes.push_back(padded_code(input, n_bytes));
    queries[i] = codes.back().get();
    limits[i] = some_limit(input, static_cast<std::int64_t>(8 * n_bytes));
  }
  const RowSpan span = span_of(input, rows.view());
  compare(n_queries * n_rows, "scan_rows", [&](const Kernels& kernels, Hit* hits) {
    return kernels.scan_rows(queries.get(), n_queries, span, limits.get(), hits);
  });
}

void scan_rows_weighted(Input& input) {
  const std::size_t n_bytes = some_code_bytes(input);
  const std::size_t n_rows = input.below(20);
  const Rows rows(input, n_rows, n_bytes);
  const Exact<std::uint8_t> query = padded_code(input, n_bytes);
  const std::size_t stride = query.size();
  const Exact<std::uint8_t> planes(kMagnitudeBits * stride, input.below(64));
  for (std::size_t p = 0; p < kMagnitudeBits; ++p) {
    const Exact<std::uint8_t> plane = padded_code(input, n_bytes);
    std::copy(plane.begin(), plane.end(), planes.get() + p * stride);
  }
  const std::int64_t limit =
      some_limit(input, static_cast<std::int64_t>(8 * n_bytes << kMagnitudeBits));
  const RowSpan span = span_of(input, rows.view());
  compare(n_rows, "scan_rows_weighted", [&](const Kernels& kernels, Hit* hits) {
    return kernels.scan_rows_weighted(query.get(), planes.get(), stride, span, limit, hits);
  });
}

void read_all(Input& input) {
  const std::size_t n = input.below(1100);
  const Exact<std::uint8_t> bytes(n, input.below(64));
  for (const Kernels* kernels : other_kernels()) {
    std::fill(bytes.begin(), bytes.end(), std::uint8_t{0});
    expect(kernels->read_all(bytes.get(), n) == 0, std::string(kernels->name) + " reads too much");
    if (n == 0) continue;
    bytes[input.below(n)] = 1;
    expect(kernels->read_all(bytes.get(), n) != 0, std::string(kernels->name) + " skips a byte");
  }
}

}  // namespace
}  // namespace bitsift::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bitsift::test;
  Input input(data, size);
  switch (input.below(8)) {
    case 0:
      read_all(input);
      break;
    case 1:
    case 2:
    case 3:
      scan_rows_weighted(input);
      break;
    default:
      scan_rows(input);
  }
  return 0;
}
