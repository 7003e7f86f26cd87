// SPDX-License-Identifier: Apache-2.0
// What one or two queries against rows as they lie have in common: the cost of a vector,
// prefetching, and the report of the rows within the limits.
#pragma once

#include "kernels/kernels.hpp"

namespace bitsift {

// The cost of the bits in which a query and a row differ: one each.
template <class Simd>
struct UnitCost {
  using Vector = typename Simd::Vector;
  static constexpr std::size_t kVectorsPerFlush = Simd::kWordsPerFlush;
  static constexpr int kLocality = 3;  // of what is prefetched: L1
  static constexpr bool kUnrolls = true;
  // So many that the sums of a byte of four rows fit a byte: they can be crossed before flush().
  static constexpr std::size_t kVectorsPerCrossing = Simd::kMasksBytes ? 255 / 4 / 8 : 0;
  // What a vector of a row is compared with, and the same for some bytes of a vector.
  struct Part {
    Vector query;
  };
  struct MaskedPart : Part {
    Vector mask;
  };

  const std::uint8_t* query;

  // `load` takes the first byte of a code, and returns the part of it.
  template <class Load>
  Part part(Load load) const {
    return {load(query)};
  }
  template <class Load>
  MaskedPart masked_part(Load load, Vector mask) const {
    return {part(load), mask};
  }
  static Vector of(const Part& part, Vector document) {
    return Simd::count(Simd::exclusive_or(part.query, document));
  }
  static Vector of(const MaskedPart& part, Vector document) {
    return Simd::count_within(Simd::exclusive_or(part.query, document), part.mask);
  }
  static Vector add(Vector sums, Vector costs) { return Simd::add(sums, costs); }
  static Vector flush(Vector sums) { return Simd::lane_sums(sums); }
};

// The same with magnitudes: 2^p for each differing bit that plane p has. The cost of 8 bits fits a
// byte.
template <class Simd>
struct WeightedCost {
  static_assert(8 * ((std::size_t{1} << kMagnitudeBits) - 1) < 256);
  using Vector = typename Simd::Vector;
  static constexpr std::size_t kVectorsPerFlush = SIZE_MAX;
  static constexpr int kLocality = 2;  // L2: a row takes so long that its successors fall out of L1
  static constexpr bool kUnrolls = false;  // and so long that the cost of loops does not count
  static constexpr std::size_t kVectorsPerCrossing = 0;
  struct Part {
    Vector query;
    Vector planes[kMagnitudeBits];
  };
  using MaskedPart = Part;

  const std::uint8_t* query;
  const std::uint8_t* planes;
  std::size_t plane_stride;

  template <class Load>
  Part part(Load load) const {
    Part result;
    result.query = load(query);
    for (std::size_t p = 0; p < kMagnitudeBits; ++p) {
      result.planes[p] = load(planes + p * plane_stride);
    }
    return result;
  }
  template <class Load>
  MaskedPart masked_part(Load load, Vector mask) const {
    MaskedPart result = part(load);
    for (Vector& plane : result.planes) plane = Simd::bitwise_and(plane, mask);
    return result;
  }
  static Vector of(const Part& part, Vector document) {
    const Vector differing = Simd::exclusive_or(part.query, document);
    const auto counts = [&](std::size_t p) {
      return Simd::count(Simd::bitwise_and(differing, part.planes[p]));
    };
    Vector cost = counts(kMagnitudeBits - 1);
    for (std::size_t p = kMagnitudeBits - 1; p-- > 0;) cost = Simd::twice_plus(cost, counts(p));
    return Simd::lane_sums(cost);
  }
  static Vector add(Vector sums, Vector costs) { return Simd::add_lanes(sums, costs); }
  static Vector flush(Vector sums) { return sums; }
};

// Asks for the lines `ahead` bytes behind these, or for none if `ahead` is 0. Nothing need be
// there.
// Inlined in any case: GCC drops calls of functions that do nothing but prefetch.
template <class Cost>
[[gnu::always_inline]] inline void prefetch_behind(const std::uint8_t* bytes, std::size_t n_bytes,
                                                   std::size_t ahead) {
  constexpr std::size_t kCacheLine = 64;
  if (ahead == 0) return;
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(bytes) + ahead;
  for (std::size_t i = 0; i < n_bytes; i += kCacheLine) {
    __builtin_prefetch(reinterpret_cast<const void*>(first + i), 0, Cost::kLocality);
  }
}

template <std::size_t kValue>
struct Index {
  static constexpr std::size_t value = kValue;
};

// Calls body(Index<i>) for i in [kBegin, kEnd).
template <std::size_t kBegin, std::size_t kEnd, class Body>
[[gnu::always_inline]] inline void for_each_index(const Body& body) {
  if constexpr (kBegin < kEnd) {
    body(Index<kBegin>{});
    for_each_index<kBegin + 1, kEnd>(body);
  }
}

// The costs of the first kVectors vectors of a row.
template <class Simd, std::size_t kQueries, std::size_t kVectors, class Cost>
[[gnu::always_inline]] inline void whole_vector_costs(const Cost* costs, const std::uint8_t* code,
                                                      typename Simd::Vector* sums) {
  for_each_index<0, kVectors>([&](auto v) {
    constexpr std::size_t kOffset = v.value * 8 * Simd::kLanes;
    const auto document = Simd::load(code + kOffset);
    for (std::size_t q = 0; q < kQueries; ++q) {
      const auto part =
          costs[q].part([](const std::uint8_t* query) { return Simd::load(query + kOffset); });
      const auto of_part = Cost::of(part, document);
      // Concealed, or compilers load in another order, which is slower from memory.
      sums[q] = Simd::concealed(v.value == 0 ? of_part : Cost::add(sums[q], of_part));
    }
  });
}

// Calls measure(first, n_present, distances) for the rows, as many at once as a vector has lanes,
// and reports those within the limits. The limits are tested for kGroups vectors together, all of
// which have rows if there are more than one.
template <class Simd, std::size_t kQueries, std::size_t kGroups, class Measure>
inline std::size_t report_rows(std::size_t begin, std::size_t end, const std::int64_t* limits,
                               Hit* hits, Measure measure) {
  using Vector = typename Simd::Vector;
  constexpr std::size_t kRows = Simd::kLanes;
  // A distance within the limit is negative once this is added.
  Vector beyond[kQueries];
  for (std::size_t q = 0; q < kQueries; ++q) {
    beyond[q] = Simd::broadcast(static_cast<std::uint64_t>(-limits[q] - 1));
  }
  std::size_t n_hits = 0;
  for (std::size_t first = begin; first < end; first += kGroups * kRows) {
    const std::size_t n_present = end - first < kRows ? end - first : kRows;
    Vector distances[kGroups][kQueries];
    for (std::size_t g = 0; g < kGroups; ++g) {
      measure(first + g * kRows, n_present, distances[g]);
    }
    for (std::size_t q = 0; q < kQueries; ++q) {
      Vector any = Simd::add_lanes(distances[0][q], beyond[q]);
      for (std::size_t g = 1; g < kGroups; ++g) {
        any = Simd::bitwise_or(any, Simd::add_lanes(distances[g][q], beyond[q]));
      }
      if ((Simd::negative_lanes(any) & ((1u << n_present) - 1)) == 0) continue;
      for (std::size_t g = 0; g < kGroups; ++g) {
        std::uint32_t near = Simd::negative_lanes(Simd::add_lanes(distances[g][q], beyond[q])) &
                             ((1u << n_present) - 1);
        std::uint64_t of_rows[kRows];
        Simd::store_lanes(of_rows, distances[g][q]);
        for (; near != 0; near &= near - 1) {
          const auto row = static_cast<std::uint32_t>(__builtin_ctz(near));
          hits[n_hits++] = {static_cast<std::uint32_t>(q),
                            static_cast<std::uint32_t>(first + g * kRows) + row,
                            static_cast<std::int32_t>(of_rows[row])};
        }
      }
    }
  }
  return n_hits;
}

}  // namespace bitsift
