// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "guarded_pages.hpp"
#include "kernels/dispatch.hpp"
#include "naive.hpp"
#include "random.hpp"
#include "sizes.hpp"

namespace bitsift {

static bool operator==(const Hit& a, const Hit& b) {
  return a.query == b.query && a.row == b.row && a.distance == b.distance;
}

namespace test {
namespace {

// All short ones, and those around the places where byte sums are emptied.
std::vector<std::size_t> lengths() {
  std::vector<std::size_t> result;
  for (std::size_t n = 1; n <= 70; ++n) result.push_back(n);
  for (const std::size_t n : Sizes{95,  96,  97,  127, 128, 129, 191, 193, 247, 248, 249,  256, 495,
                                   496, 497, 503, 519, 520, 521, 991, 992, 993, 999, 1984, 1985}) {
    result.push_back(n);
  }
  return result;
}

constexpr std::size_t kMaxLength = 8192;

// What a row holds: random bytes, or all bits against none, the largest sums.
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
  std::vector<std::int64_t> limits = {kNothing, 0, kNoLimit};
  if (!distances.empty()) {
    std::sort(distances.begin(), distances.end());
    limits.push_back(distances[distances.size() / 2]);
    limits.push_back(distances[0] - 1);
  }
  return limits;
}

void check_scan_rows(const Kernels& kernels, const std::uint8_t* query, Matrix<std::uint8_t> rows,
                     GuardedPages& hit_pages, Side side) {
  std::vector<std::int64_t> distances;
  for (std::size_t i = 0; i < rows.n_rows; ++i) {
    distances.push_back(naive_distance(query, rows.row(i), rows.n_columns));
  }
  for (const std::int64_t limit : limits_for(distances)) {
    std::vector<Hit> wanted;
    for (std::uint32_t i = 0; i < rows.n_rows; ++i) {
      if (distances[i] <= limit) wanted.push_back({0, i, static_cast<std::int32_t>(distances[i])});
    }
    Hit* hits = hit_pages.place<Hit>(rows.n_rows, side);
    const std::size_t n =
        kernels.scan_rows(query, rows.data, rows.stride, rows.n_rows, rows.n_columns, limit, hits);
    CHECK(n == wanted.size());
    CHECK(std::equal(wanted.begin(), wanted.end(), hits));
    CHECK(hit_pages.untouched());
  }
}

TEST_CASE("scan_rows") {
  GuardedPages query_pages(kMaxLength);
  GuardedPages row_pages(6 * kMaxLength);
  GuardedPages hit_pages(17 * sizeof(Hit));
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    Random random(1);
    const auto check = [&](Content content, std::size_t n_rows, std::size_t n_bytes,
                           std::ptrdiff_t stride, Side side) {
      CAPTURE(n_rows);
      CAPTURE(n_bytes);
      CAPTURE(stride);
      const std::size_t padded = (n_bytes + kQueryPadding - 1) / kQueryPadding * kQueryPadding;
      auto* query = query_pages.place<std::uint8_t>(padded, side);
      std::fill(query, query + padded, std::uint8_t{0});
      fill_query(query, random, content, n_bytes);
      const auto rows = place_rows(row_pages, random, content, n_rows, n_bytes, stride, side);
      check_scan_rows(*kernels, query, rows, hit_pages, side);
    };
    for (const std::size_t n_bytes : lengths()) {
      for (const std::ptrdiff_t stride : strides(n_bytes)) {
        for (const Side side : kSides) {
          for (const std::size_t n_rows : Sizes{0, 1, 5, 8, 17}) {
            check(Content::kRandom, n_rows, n_bytes, stride, side);
          }
        }
      }
      check(Content::kOpposite, 2, n_bytes, strides(n_bytes)[0], Side::kEnd);
    }
    for (const Content content : {Content::kRandom, Content::kOpposite}) {
      check(content, 5, kMaxLength, kMaxLength, Side::kEnd);
      check(content, 5, kMaxLength - 1, kMaxLength, Side::kBegin);
    }
  }
}

TEST_CASE("fill_tile") {
  GuardedPages row_pages((kMaxTileRows + 1) * 2100);
  GuardedPages word_pages(kMaxTileRows * 2048);
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    Random random(2);
    const std::size_t width = kernels->tile_rows;
    for (const std::size_t n_bytes : lengths()) {
      CAPTURE(n_bytes);
      const std::size_t n_words = (n_bytes + 7) / 8;
      for (const std::ptrdiff_t stride : strides(n_bytes)) {
        CAPTURE(stride);
        for (const Side side : kSides) {
          const std::size_t n_rows = random.below(width + 1);
          CAPTURE(n_rows);
          const auto rows =
              place_rows(row_pages, random, Content::kRandom, n_rows, n_bytes, stride, side);
          auto* words = word_pages.place<std::uint64_t>(width * n_words, side, 64);
          kernels->fill_tile(rows.data, stride, n_rows, n_bytes, words);
          std::vector<std::uint64_t> wanted(width * n_words);
          for (std::size_t row = 0; row < n_rows; ++row) {
            for (std::size_t i = 0; i < n_bytes; ++i) {
              wanted[i / 8 * width + row] |= std::uint64_t{rows.row(row)[i]} << i % 8 * 8;
            }
          }
          CHECK(std::equal(wanted.begin(), wanted.end(), words));
          CHECK(word_pages.untouched());
        }
      }
    }
  }
}

// Documents and queries in the layouts of the tile kernels, and all their distances.
class TileInput {
 public:
  TileInput(std::size_t tile_rows, Random& random, Content content, std::size_t n_rows,
            std::size_t n_words, std::size_t n_queries, Side side)
      : word_pages_(tile_rows * n_words * 8), query_pages_((n_queries + 3) / 4 * 4 * n_words * 8) {
    const std::size_t n_groups = (n_queries + kQueryGroup - 1) / kQueryGroup;
    auto* tile = word_pages_.place<std::uint64_t>(tile_rows * n_words, side, 64);
    auto* interleaved = query_pages_.place<std::uint64_t>(n_groups * kQueryGroup * n_words, side);
    std::fill(tile, tile + tile_rows * n_words, 0);
    std::fill(interleaved, interleaved + n_groups * kQueryGroup * n_words, 0);
    std::vector<std::uint64_t> documents(n_rows * n_words);
    std::vector<std::uint64_t> queries(n_queries * n_words);
    const bool opposite = content == Content::kOpposite;
    for (std::uint64_t& word : documents) word = opposite ? 0 : random.bits();
    for (std::uint64_t& word : queries) word = opposite ? ~std::uint64_t{0} : random.bits();
    for (std::size_t row = 0; row < n_rows; ++row) {
      for (std::size_t w = 0; w < n_words; ++w) {
        tile[w * tile_rows + row] = documents[row * n_words + w];
      }
    }
    for (std::size_t i = 0; i < n_queries; ++i) {
      for (std::size_t w = 0; w < n_words; ++w) {
        interleaved[(i / kQueryGroup * n_words + w) * kQueryGroup + i % kQueryGroup] =
            queries[i * n_words + w];
      }
    }
    const auto bytes_of = [&](const std::vector<std::uint64_t>& rows) {
      return Matrix<std::uint8_t>{.data = reinterpret_cast<const std::uint8_t*>(rows.data()),
                                  .n_rows = rows.size() / n_words,
                                  .n_columns = 8 * n_words,
                                  .stride = static_cast<std::ptrdiff_t>(8 * n_words)};
    };
    distances = naive_all_pairs(bytes_of(queries), bytes_of(documents));
    words = tile;
    query_words = interleaved;
  }

  const std::uint64_t* words;
  const std::uint64_t* query_words;
  std::vector<std::int32_t> distances;

 private:
  GuardedPages word_pages_;
  GuardedPages query_pages_;
};

// Calls check(kernels, random, content, n_rows, n_words, n_queries, side).
template <class Check>
void for_each_tile_shape(Check check) {
  for (const Kernels* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    Random random(3);
    for (const std::size_t n_words : Sizes{1, 2, 3, 12, 30, 31, 32, 33, 62, 63, 124, 130}) {
      CAPTURE(n_words);
      for (std::size_t n_rows = 1; n_rows <= kernels->tile_rows; ++n_rows) {
        CAPTURE(n_rows);
        for (const std::size_t n_queries : Sizes{1, 4, 5, 11}) {
          CAPTURE(n_queries);
          check(*kernels, random, Content::kRandom, n_rows, n_words, n_queries,
                random.below(2) == 0 ? Side::kBegin : Side::kEnd);
        }
      }
    }
    for (const std::size_t n_words : Sizes{31, 32, 1024}) {
      CAPTURE(n_words);
      check(*kernels, random, Content::kOpposite, kernels->tile_rows, n_words, 4, Side::kEnd);
    }
  }
}

TEST_CASE("scan_tile") {
  GuardedPages hit_pages(16 * kMaxTileRows * sizeof(Hit));
  GuardedPages limit_pages(16 * sizeof(std::int64_t));
  for_each_tile_shape([&](const Kernels& kernels, Random& random, Content content,
                          std::size_t n_rows, std::size_t n_words, std::size_t n_queries,
                          Side side) {
    const TileInput input(kernels.tile_rows, random, content, n_rows, n_words, n_queries, side);
    const std::size_t n_padded = (n_queries + kQueryGroup - 1) / kQueryGroup * kQueryGroup;
    const auto& distances = input.distances;
    const auto choices = limits_for({distances.begin(), distances.end()});
    for (std::size_t round = 0; round < choices.size() + 1; ++round) {
      auto* limits = limit_pages.place<std::int64_t>(n_padded, side);
      std::fill(limits, limits + n_padded, kNothing);
      std::vector<Hit> wanted;
      for (std::uint32_t i = 0; i < n_queries; ++i) {
        // In the last round each query has another limit.
        limits[i] = choices[round < choices.size() ? round : random.below(choices.size())];
        for (std::uint32_t row = 0; row < n_rows; ++row) {
          const std::int32_t distance = distances[i * n_rows + row];
          if (distance <= limits[i]) wanted.push_back({i, row, distance});
        }
      }
      Hit* hits = hit_pages.place<Hit>(n_padded * n_rows, side);
      const std::size_t n = kernels.scan_tile(input.words, n_rows, n_words, input.query_words,
                                              n_padded, limits, hits);
      CHECK(n == wanted.size());
      CHECK(std::equal(wanted.begin(), wanted.end(), hits));
      CHECK(hit_pages.untouched());
    }
  });
}

TEST_CASE("tile_distances") {
  GuardedPages out_pages(16 * 32 * sizeof(std::int32_t));
  for_each_tile_shape([&](const Kernels& kernels, Random& random, Content content,
                          std::size_t n_rows, std::size_t n_words, std::size_t n_queries,
                          Side side) {
    const TileInput input(kernels.tile_rows, random, content, n_rows, n_words, n_queries, side);
    for (const std::size_t stride : Sizes{n_rows, n_rows + 7}) {
      constexpr std::int32_t kUnwritten = -7;
      const std::size_t n_out = (n_queries - 1) * stride + n_rows;
      auto* out = out_pages.place<std::int32_t>(n_out, side);
      std::fill(out, out + n_out, kUnwritten);
      kernels.tile_distances(input.words, n_rows, n_words, input.query_words, n_queries, out,
                             stride);
      std::vector<std::int32_t> wanted(n_out, kUnwritten);
      for (std::size_t i = 0; i < n_queries; ++i) {
        std::copy_n(input.distances.data() + i * n_rows, n_rows, wanted.data() + i * stride);
      }
      CHECK(std::equal(wanted.begin(), wanted.end(), out));
      CHECK(out_pages.untouched());
    }
  });
}

}  // namespace
}  // namespace test
}  // namespace bitsift
