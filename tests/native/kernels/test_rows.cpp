// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "helpers/guarded_pages.hpp"
#include "helpers/levels.hpp"
#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "oracle/naive.hpp"

namespace bitsift {

static bool operator==(const Hit& a, const Hit& b) {
  return a.query == b.query && a.row == b.row && a.distance == b.distance;
}

namespace test {
namespace {

// All short lengths, and those around others that have loops of their own, where rows have a word
// or a vector more, or where byte sums are flushed.
std::vector<std::size_t> lengths() {
  std::vector<std::size_t> result;
  for (std::size_t n = 1; n <= 70; ++n) result.push_back(n);
  for (std::size_t n = 72; n <= 168; n += 8) result.insert(result.end(), {n, n + 3});
  for (std::size_t n = 224; n <= 512; n += 32) result.insert(result.end(), {n, n + 19});
  for (const std::size_t n :
       Sizes{95,  96,  97,  127, 128, 129, 191, 192, 193, 247, 248, 249, 256, 383, 384,  385,
             495, 496, 497, 503, 511, 512, 513, 519, 520, 521, 991, 992, 993, 999, 1984, 1985}) {
    result.push_back(n);
  }
  return result;
}

// The content of rows: random bytes, or all bits set against none, which gives the largest sums.
enum class Content { kRandom, kOpposite };

// Rows in guarded pages: the last byte of the farthest one lies at a guard.
Matrix<std::uint8_t> place_rows(GuardedPages& pages, Random& random, Content content,
                                std::size_t n_rows, std::size_t n_bytes, std::ptrdiff_t stride,
                                Side side) {
  const auto apart = static_cast<std::size_t>(stride < 0 ? -stride : stride);
  const std::size_t span = n_rows == 0 ? 0 : (n_rows - 1) * apart + n_bytes;
  auto* bytes = pages.place<std::uint8_t>(span, side);
  if (content == Content::kRandom) {
    random.fill(bytes, span);
  } else {
    std::fill(bytes, bytes + span, std::uint8_t{0});
  }
  const std::uint8_t* first = stride < 0 && n_rows > 0 ? bytes + (n_rows - 1) * apart : bytes;
  return {.data = first, .n_rows = n_rows, .n_columns = n_bytes, .stride = stride};
}

std::vector<std::ptrdiff_t> strides(std::size_t n_bytes) {
  const auto n = static_cast<std::ptrdiff_t>(n_bytes);
  return {n, n + 1, n + 13, (n + 63) / 64 * 64, 0, -n, -n - 3};
}

void fill_query(std::uint8_t* query, Random& random, Content content, std::size_t n_bytes) {
  if (content == Content::kRandom) {
    random.fill(query, n_bytes);
  } else {
    std::fill(query, query + n_bytes, std::uint8_t{0xFF});
  }
}

// Limits that admit none, some and all of these distances.
std::vector<std::int64_t> limits_for(std::vector<std::int64_t> distances) {
  std::vector<std::int64_t> limits = {kAdmitNone, 0, kAdmitAll};
  if (!distances.empty()) {
    std::sort(distances.begin(), distances.end());
    limits.push_back(distances[distances.size() / 2]);
    limits.push_back(distances[0] - 1);
  }
  return limits;
}

// Calls scan(limit, hits), which returns their number, for limits that admit none, some and all.
template <class Scan>
void check_hits(const std::vector<std::int64_t>& distances, GuardedPages& hit_pages, Side side,
                Scan scan) {
  for (const std::int64_t limit : limits_for(distances)) {
    std::vector<Hit> wanted;
    for (std::uint32_t i = 0; i < distances.size(); ++i) {
      if (distances[i] <= limit) wanted.push_back({0, i, static_cast<std::int32_t>(distances[i])});
    }
    Hit* hits = hit_pages.place<Hit>(distances.size(), side);
    const std::size_t n = scan(limit, hits);
    CHECK(n == wanted.size());
    CHECK(std::equal(wanted.begin(), wanted.end(), hits));
    CHECK(hit_pages.untouched());
  }
}

// Calls check(kernels, random, content, n_rows, n_bytes, stride, side).
template <class Check>
void for_each_shape(Check check) {
  for (const Kernels* kernels : tested_kernels()) {
    CAPTURE(kernels->name);
    Random random(1);
    for (const std::size_t n_bytes : lengths()) {
      CAPTURE(n_bytes);
      for (const std::ptrdiff_t stride : strides(n_bytes)) {
        CAPTURE(stride);
        for (const Side side : kSides) {
          for (const std::size_t n_rows : Sizes{0, 1, 5, 8, 17}) {
            check(*kernels, random, Content::kRandom, n_rows, n_bytes, stride, side);
          }
        }
      }
      check(*kernels, random, Content::kOpposite, 2, n_bytes, strides(n_bytes)[0], Side::kEnd);
    }
    for (const Content content : {Content::kRandom, Content::kOpposite}) {
      constexpr std::ptrdiff_t kStride = kMaxCodeBytes;
      check(*kernels, random, content, 5, kMaxCodeBytes, kStride, Side::kEnd);
      check(*kernels, random, content, 5, kMaxCodeBytes - 1, kStride, Side::kBegin);
    }
  }
}

std::size_t padded(std::size_t n_bytes) {
  return (n_bytes + kQueryPadding - 1) / kQueryPadding * kQueryPadding;
}

// Prefetching what lies behind the memory, or in front of it, does nothing.
RowSpan span_of(Matrix<std::uint8_t> rows, std::size_t turn) {
  constexpr std::size_t kAhead[] = {0, 64, 8192};
  return {rows.data, rows.stride, rows.n_rows, rows.n_columns, kAhead[turn % 3]};
}

TEST_CASE("scan_rows") {
  GuardedPages query_pages(2 * kMaxCodeBytes);
  GuardedPages row_pages(6 * kMaxCodeBytes);
  GuardedPages hit_pages(2 * 17 * sizeof(Hit));
  for_each_shape([&](const Kernels& kernels, Random& random, Content content, std::size_t n_rows,
                     std::size_t n_bytes, std::ptrdiff_t stride, Side side) {
    const auto rows = place_rows(row_pages, random, content, n_rows, n_bytes, stride, side);
    for (const std::size_t n_queries : Sizes{1, 2}) {
      CAPTURE(n_queries);
      auto* codes = query_pages.place<std::uint8_t>(n_queries * padded(n_bytes), side);
      std::fill(codes, codes + n_queries * padded(n_bytes), std::uint8_t{0});
      const std::uint8_t* queries[kMaxRowQueries];
      std::vector<std::int64_t> distances;
      for (std::size_t q = 0; q < n_queries; ++q) {
        std::uint8_t* query = codes + q * padded(n_bytes);
        fill_query(query, random, content, n_bytes);
        queries[q] = query;
        for (std::size_t i = 0; i < n_rows; ++i) {
          distances.push_back(naive_distance(query, rows.row(i), n_bytes));
        }
      }
      const auto choices = limits_for(distances);
      for (std::size_t round = 0; round < choices.size(); ++round) {
        const std::int64_t limits[] = {choices[round], choices[random.below(choices.size())]};
        Hit* hits = hit_pages.place<Hit>(n_queries * n_rows, side);
        const std::size_t n =
            kernels.scan_rows(queries, n_queries, span_of(rows, round), limits, hits);
        REQUIRE(n <= n_queries * n_rows);
        CHECK(hit_pages.untouched());
        std::vector<Hit> found(hits, hits + n);
        std::stable_sort(found.begin(), found.end(),
                         [](const Hit& a, const Hit& b) { return a.query < b.query; });
        std::vector<Hit> wanted;
        for (std::uint32_t q = 0; q < n_queries; ++q) {
          for (std::uint32_t i = 0; i < n_rows; ++i) {
            const auto distance = static_cast<std::int32_t>(distances[q * n_rows + i]);
            if (distance <= limits[q]) wanted.push_back({q, i, distance});
          }
        }
        CHECK(found == wanted);
      }
    }
  });
}

TEST_CASE("scan_rows_weighted") {
  GuardedPages query_pages(kMaxCodeBytes);
  GuardedPages plane_pages(kMagnitudeBits * kMaxCodeBytes);
  GuardedPages row_pages(6 * kMaxCodeBytes);
  GuardedPages hit_pages(17 * sizeof(Hit));
  std::size_t turn = 0;
  for_each_shape([&](const Kernels& kernels, Random& random, Content content, std::size_t n_rows,
                     std::size_t n_bytes, std::ptrdiff_t stride, Side side) {
    auto* query = query_pages.place<std::uint8_t>(padded(n_bytes), side);
    std::fill(query, query + padded(n_bytes), std::uint8_t{0});
    fill_query(query, random, content, n_bytes);
    const auto rows = place_rows(row_pages, random, content, n_rows, n_bytes, stride, side);
    const std::size_t n_bits = turn++ % (kMagnitudeBits + 1);
    CAPTURE(n_bits);
    std::vector<std::uint8_t> magnitudes(8 * n_bytes);
    for (std::uint8_t& m : magnitudes) {
      const unsigned all = (1u << kMagnitudeBits) - 1;
      m = static_cast<std::uint8_t>(content == Content::kOpposite ? all
                                                                  : random.byte() & all >> n_bits);
    }
    const std::size_t plane_stride = padded(n_bytes);
    auto* planes = plane_pages.place<std::uint8_t>(kMagnitudeBits * plane_stride, side);
    std::fill(planes, planes + kMagnitudeBits * plane_stride, std::uint8_t{0});
    for (std::size_t p = 0; p < kMagnitudeBits; ++p) {
      for (std::size_t i = 0; i < 8 * n_bytes; ++i) {
        if ((magnitudes[i] >> p & 1) == 0) continue;
        std::uint8_t& byte = planes[p * plane_stride + i / 8];
        byte = static_cast<std::uint8_t>(byte | 0x80 >> i % 8);
      }
    }
    std::vector<std::int64_t> distances;
    for (std::size_t i = 0; i < n_rows; ++i) {
      distances.push_back(naive_weighted_distance(query, magnitudes.data(), rows.row(i), n_bytes));
    }
    check_hits(distances, hit_pages, side, [&](std::int64_t limit, Hit* hits) {
      return kernels.scan_rows_weighted(query, planes, plane_stride, span_of(rows, turn), limit,
                                        hits);
    });
  });
}

TEST_CASE("read_all reads every byte") {
  GuardedPages pages(2000);
  for (const Kernels* kernels : tested_kernels()) {
    CAPTURE(kernels->name);
    Random random(2);
    for (std::size_t n = 0; n < 700; ++n) {
      CAPTURE(n);
      auto* bytes = pages.place<std::uint8_t>(n, n % 2 == 0 ? Side::kBegin : Side::kEnd);
      std::fill(bytes, bytes + n, std::uint8_t{0});
      CHECK(kernels->read_all(bytes, n) == 0);
      if (n == 0) continue;
      bytes[random.below(n)] = 1;  // somewhere, and it is seen
      CHECK(kernels->read_all(bytes, n) != 0);
    }
  }
}

}  // namespace
}  // namespace test
}  // namespace bitsift
