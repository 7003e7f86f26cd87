// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/segments.hpp"

namespace bitsift {

inline constexpr std::size_t kMaxRows = std::size_t{1} << 40;

// A row at a distance. The distance (24 bits: at most 65,536 bits of magnitude 31) lies above the
// row (40 bits) in one number, so that comparing numbers compares (distance, row).
class Neighbor {
 public:
  Neighbor() = default;
  Neighbor(std::int32_t distance, std::int64_t row)
      : key_(static_cast<std::uint64_t>(distance) << kRowBits | static_cast<std::uint64_t>(row)) {}

  std::int32_t distance() const { return static_cast<std::int32_t>(key_ >> kRowBits); }
  std::int64_t row() const { return static_cast<std::int64_t>(key_ & kRowMask); }
  std::uint64_t key() const { return key_; }

 private:
  static constexpr int kRowBits = 40;
  static constexpr std::uint64_t kRowMask = (std::uint64_t{1} << kRowBits) - 1;
  std::uint64_t key_;
};

// The total order of results: (distance, id). Without ids a row's number is its id.
struct ByDistanceThenId {
  RowIds ids;

  bool operator()(Neighbor a, Neighbor b) const {
    if (ids.are_numbers() || a.distance() != b.distance()) return a.key() < b.key();
    return ids[static_cast<std::size_t>(a.row())] < ids[static_cast<std::size_t>(b.row())];
  }
};

}  // namespace bitsift
