// SPDX-License-Identifier: Apache-2.0
// Batch kernels give every distance and every hit of the reference, whatever their layouts.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
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

// Magnitudes: none, random, or all the largest with all bits different, which gives the largest
// sums.
enum class Content { kHamming, kWeighted, kOpposite };

constexpr std::uint8_t kLargest = (1 << kMagnitudeBits) - 1;

struct Shape {
  std::size_t n_rows;
  std::size_t n_bytes;
  std::size_t n_queries;
  Content content;
  Side side;
  std::uint8_t largest = kLargest;  // of the magnitudes: 2^n - 1
};

// A tile and groups of queries in guarded pages, and all distances.
class Input {
 public:
  Input(const BatchKernel& kernel, Random& random, const Shape& shape)
      : tile_pages_(n_words(shape) * kernel.tile_word_bytes),
        group_pages_(n_groups(kernel, shape) * group_bytes(kernel, shape)),
        row_pages_(shape.n_rows * (shape.n_bytes + 5)) {
    const std::size_t n_bytes = shape.n_bytes;
    const bool opposite = shape.content == Content::kOpposite;
    const std::size_t padded = (n_bytes + kQueryPadding - 1) / kQueryPadding * kQueryPadding;

    // Rows that touch a guard with their last byte, forwards, backwards and with gaps.
    const auto gap = static_cast<std::ptrdiff_t>(random.below(6));
    const std::ptrdiff_t apart = static_cast<std::ptrdiff_t>(n_bytes) + gap;
    const std::ptrdiff_t stride = random.below(2) == 0 ? apart : -apart;
    const std::size_t span = (shape.n_rows - 1) * static_cast<std::size_t>(apart) + n_bytes;
    auto* bytes = row_pages_.place<std::uint8_t>(span, shape.side);
    if (opposite) {
      std::fill(bytes, bytes + span, std::uint8_t{0});
    } else {
      random.fill(bytes, span);
    }
    const std::uint8_t* first = stride < 0 ? bytes + span - n_bytes : bytes;
    const Matrix<std::uint8_t> rows = {first, shape.n_rows, n_bytes, stride};

    std::vector<std::uint8_t> codes(shape.n_queries * padded);
    std::vector<std::uint8_t> magnitudes(shape.n_queries * 8 * n_bytes, 1);
    for (std::size_t i = 0; i < shape.n_queries; ++i) {
      for (std::size_t j = 0; j < n_bytes; ++j) {
        codes[i * padded + j] = opposite ? std::uint8_t{0xFF} : random.byte();
      }
    }
    for (std::uint8_t& m : magnitudes) {
      if (shape.content == Content::kWeighted) m = random.byte() & shape.largest;
      if (opposite && takes_magnitudes(kernel)) m = kLargest;
    }
    const bool hamming = shape.content == Content::kHamming || !takes_magnitudes(kernel);

    tile = tile_pages_.place<std::byte>(n_words(shape) * kernel.tile_word_bytes, shape.side,
                                        kTileAlignment);
    kernel.fill_tile(rows.data, stride, shape.n_rows, n_bytes, const_cast<void*>(tile));
    CHECK(tile_pages_.untouched());
    auto* group = group_pages_.place<std::byte>(
        n_groups(kernel, shape) * group_bytes(kernel, shape), shape.side, kTileAlignment);
    groups = group;
    for (std::size_t query = 0; query < shape.n_queries; query += kernel.group_queries) {
      const std::size_t n = std::min(kernel.group_queries, shape.n_queries - query);
      const std::uint8_t* group_codes[kMaxGroupQueries];
      const std::uint8_t* group_magnitudes[kMaxGroupQueries];
      for (std::size_t i = 0; i < n; ++i) {
        group_codes[i] = codes.data() + (query + i) * padded;
        group_magnitudes[i] = magnitudes.data() + (query + i) * 8 * n_bytes;
      }
      kernel.fill_group(group_codes, hamming ? nullptr : group_magnitudes, n, n_bytes, group);
      group += group_bytes(kernel, shape);
    }
    CHECK(group_pages_.untouched());

    for (std::size_t i = 0; i < shape.n_queries; ++i) {
      for (std::size_t row = 0; row < shape.n_rows; ++row) {
        distances.push_back(naive_weighted_distance(codes.data() + i * padded,
                                                    magnitudes.data() + i * 8 * n_bytes,
                                                    rows.row(row), n_bytes));
      }
    }
  }

  static std::size_t n_groups(const BatchKernel& kernel, const Shape& shape) {
    return (shape.n_queries + kernel.group_queries - 1) / kernel.group_queries;
  }

  const void* tile;
  const void* groups;
  std::vector<std::int32_t> distances;  // n_queries x n_rows

 private:
  static std::size_t n_words(const Shape& shape) { return (shape.n_bytes + 7) / 8; }
  static std::size_t group_bytes(const BatchKernel& kernel, const Shape& shape) {
    return kernel.group_header_bytes + n_words(shape) * kernel.group_word_bytes;
  }

  GuardedPages tile_pages_;
  GuardedPages group_pages_;
  GuardedPages row_pages_;
};

constexpr std::size_t kMostQueries = 260;
constexpr std::size_t kMostPadded = kMostQueries + kMaxGroupQueries;

// Calls check(kernel, random, shape) for the kernels of every level.
template <class Check>
void for_each_shape(Check check) {
  for (const Kernels* kernels : tested_kernels()) {
    for (const auto& [name, kernel] : batch_kernels(*kernels)) {
      CAPTURE(name);
      Random random(3);
      const auto try_shape = [&, kernel = kernel](Shape shape) {
        if (shape.n_bytes > kernel->max_code_bytes) return;
        if (shape.content == Content::kWeighted && !takes_magnitudes(*kernel)) return;
        // Sums of small magnitudes are flushed seldom.
        shape.largest = static_cast<std::uint8_t>((1u << random.below(kMagnitudeBits + 1)) - 1);
        CAPTURE(shape.n_rows);
        CAPTURE(shape.n_bytes);
        CAPTURE(shape.n_queries);
        shape.side = random.below(2) == 0 ? Side::kBegin : Side::kEnd;
        check(*kernel, random, shape);
      };
      const std::size_t rows = kernel->tile_rows;
      // Around the lengths at which sums are flushed (31 words, some of the runs), a slice is added
      // (24 and 31 bytes), and at which words and triples of words or bytes end.
      for (const std::size_t n_bytes :
           Sizes{1,  2,  7,  8,  9,  15, 16, 17, 23, 24,  25,  31,  32,  33,  47,  48,  49,
                 62, 63, 64, 65, 72, 79, 96, 97, 99, 128, 200, 247, 248, 249, 255, 256, 257}) {
        for (const std::size_t n_queries :
             {std::size_t{1}, kernel->group_queries, kernel->group_queries + 1, std::size_t{35}}) {
          for (const std::size_t n_rows :
               {std::size_t{1}, std::size_t{2}, rows / 2, rows / 2 + 1, rows - 1, rows}) {
            if (n_rows == 0) continue;
            // The oracle takes a moment for each of many pairs.
            if (n_queries > 2 * kernel->group_queries && n_rows > 130) continue;
            for (const Content content : {Content::kHamming, Content::kWeighted}) {
              try_shape({n_rows, n_bytes, n_queries, content, Side::kBegin});
            }
          }
        }
      }
      for (const std::size_t n_bytes :
           Sizes{31, 32, 64, 65, 1000, kMaxCodeBytes - 1, kMaxCodeBytes}) {
        try_shape({rows, n_bytes, 3, Content::kOpposite, Side::kBegin});
        try_shape({rows, n_bytes, 3, Content::kHamming, Side::kBegin});
      }
      // Around the numbers of queries at which a kernel begins another block of them.
      for (const std::size_t n_queries : Sizes{127, 128, 129, kMostQueries}) {
        try_shape({rows / 2, 25, n_queries, Content::kHamming, Side::kBegin});
      }
    }
  }
}

// The hits of a query come by ascending row.
bool rows_ascend(const std::vector<Hit>& hits, std::size_t n_queries) {
  std::vector<std::int64_t> last(n_queries, -1);
  return std::all_of(hits.begin(), hits.end(), [&](const Hit& hit) {
    const bool ascends = last[hit.query] < static_cast<std::int64_t>(hit.row);
    last[hit.query] = hit.row;
    return ascends;
  });
}

// Hits are all pairs within the limits.
class HitCheck {
 public:
  void operator()(const BatchKernel& kernel, Random& random, const Shape& shape,
                  const Input& input) {
    std::vector<std::int32_t> sorted = input.distances;
    std::sort(sorted.begin(), sorted.end());
    const std::vector<std::int64_t> choices = {
        kAdmitNone,    0,         kAdmitAll,     sorted[sorted.size() / 2],
        sorted[0] - 1, sorted[0], sorted.back(), sorted.back() - 1};
    const std::size_t n_groups = Input::n_groups(kernel, shape);
    const std::size_t n_padded = n_groups * kernel.group_queries;
    // One limit for all; then for each query its own, without and with limits of the rows.
    for (std::size_t round = 0; round < choices.size() + 2; ++round) {
      const bool own = round >= choices.size();
      const bool with_rows = round == choices.size() + 1;
      auto* limits = limit_pages_.place<std::int64_t>(n_padded, shape.side);
      auto* row_limits = row_limit_pages_.place<std::int64_t>(kernel.tile_rows, shape.side);
      std::fill(limits, limits + n_padded, kAdmitNone);
      std::fill(row_limits, row_limits + kernel.tile_rows, kAdmitNone);
      const auto any = [&] { return choices[random.below(choices.size())]; };
      for (std::size_t i = 0; i < shape.n_queries; ++i) limits[i] = own ? any() : choices[round];
      for (std::size_t row = 0; with_rows && row < shape.n_rows; ++row) row_limits[row] = any();
      std::vector<Hit> wanted;
      for (std::uint32_t i = 0; i < n_padded; ++i) {
        for (std::uint32_t row = 0; row < shape.n_rows; ++row) {
          if (i >= shape.n_queries) continue;
          const std::int32_t distance = input.distances[i * shape.n_rows + row];
          if (distance <= limits[i] || distance <= row_limits[row]) {
            wanted.push_back({i, row, distance});
          }
        }
      }
      const std::size_t room = n_padded * kernel.tile_rows;
      Hit* hits = hit_pages_.place<Hit>(room, shape.side);
      const std::size_t n = kernel.scan(input.tile, shape.n_rows, shape.n_bytes, input.groups,
                                        n_groups, limits, with_rows ? row_limits : nullptr, hits);
      REQUIRE(n <= room);
      CHECK(hit_pages_.untouched());
      std::vector<Hit> found(hits, hits + n);
      CHECK(rows_ascend(found, n_padded));
      std::stable_sort(found.begin(), found.end(),
                       [](const Hit& a, const Hit& b) { return a.query < b.query; });
      if (with_rows) {
        // Limits of rows also admit the padding of a group, which callers ignore.
        std::erase_if(found, [&](const Hit& hit) { return hit.query >= shape.n_queries; });
      }
      CHECK(found == wanted);
    }
  }

 private:
  GuardedPages hit_pages_{kMostPadded * kMaxTileRows * sizeof(Hit)};
  GuardedPages limit_pages_{kMostPadded * sizeof(std::int64_t)};
  GuardedPages row_limit_pages_{kMaxTileRows * sizeof(std::int64_t)};
};

// Distances are those of all pairs.
class DistanceCheck {
 public:
  void operator()(const BatchKernel& kernel, Random& random, const Shape& shape,
                  const Input& input) {
    constexpr std::int32_t kUnwritten = -7;
    const std::size_t stride = shape.n_rows + random.below(8);
    const std::size_t n_out = (shape.n_queries - 1) * stride + shape.n_rows;
    auto* out = out_pages_.place<std::int32_t>(n_out, shape.side);
    std::fill(out, out + n_out, kUnwritten);
    kernel.distances(input.tile, shape.n_rows, shape.n_bytes, input.groups, shape.n_queries, out,
                     stride);
    std::vector<std::int32_t> wanted(n_out, kUnwritten);
    for (std::size_t i = 0; i < shape.n_queries; ++i) {
      std::copy_n(input.distances.data() + i * shape.n_rows, shape.n_rows,
                  wanted.data() + i * stride);
    }
    CHECK(std::equal(wanted.begin(), wanted.end(), out));
    CHECK(out_pages_.untouched());
  }

 private:
  GuardedPages out_pages_{kMostQueries * (kMaxTileRows + 7) * sizeof(std::int32_t)};
};

TEST_CASE("hits within limits, and distances, of every shape") {
  HitCheck check_hits;
  DistanceCheck check_distances;
  for_each_shape([&](const BatchKernel& kernel, Random& random, const Shape& shape) {
    const Input input(kernel, random, shape);  // the oracle takes most of the time
    check_hits(kernel, random, shape, input);
    check_distances(kernel, random, shape, input);
  });
}

TEST_CASE("ceilings return the number of pairs") {
  for (const Kernels* kernels : tested_kernels()) {
    CAPTURE(kernels->name);
    for (const auto& [name, kernel] : batch_kernels(*kernels)) {
      CAPTURE(name);
      CHECK(kernel->ceiling(0) == 0);
      CHECK(kernel->ceiling(1) > 0);
      CHECK(kernel->ceiling(7) == 7 * kernel->ceiling(1));
    }
  }
}

}  // namespace
}  // namespace test
}  // namespace bitsift
