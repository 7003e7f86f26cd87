// SPDX-License-Identifier: Apache-2.0
// Where an id is: a hash table from ids to row numbers. The ids themselves stay in the caller's
// array, row by row; the table keeps 8 bytes a row and compares with the array.
//
// One thread writes at a time, any number read meanwhile, and no one waits. A reader gives the rows
// that it knows, and entries for others count for nothing. So new ids may be entered before their
// rows are published. To enter an id that was there, on a row that is in the set no more, replaces
// an entry that readers of older rows may still want: this changes the version. A reader compares
// the version, after it has looked up, with the one that its rows were published with, and if it is
// another, cannot rely on what it has found missing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/row_mask.hpp"

namespace bitsift {

// The rows that a caller knows.
struct IdentifiedRows {
  const std::int64_t* ids;  // not negative; each on one row of the mask
  std::size_t n_rows;
  RowMask mask;
};

class IdIndex {
 public:
  // Holds the ids of up to `capacity` rows. The seed decides where ids lie: whoever chooses the ids
  // must not know it.
  IdIndex(std::size_t capacity, std::uint64_t seed);

  std::size_t capacity() const { return capacity_; }
  // Rows entered.
  std::size_t size() const { return size_; }
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // Enters all rows of a new index. Of rows with the same id, which have been removed but the last,
  // the last one counts. There must be room.
  void build(const std::int64_t* ids, std::size_t n);

  // Enters rows behind the `known` ones, whose ids are `new_ids`: there must be room. If one of
  // them is on a known row already, or comes twice, enters none and returns its number.
  std::optional<std::size_t> enter(const IdentifiedRows& known, const std::int64_t* new_ids,
                                   std::size_t n);

  // Writes the row of each id, -1 where there is none.
  void find(const IdentifiedRows& known, const std::int64_t* ids, std::size_t n,
            std::int64_t* rows) const;
  std::int64_t find_one(const IdentifiedRows& known, std::int64_t id) const {
    return find_from(place_of(id), known, id);
  }

 private:
  // An entry is a row number + 1 below the tag, some bits of the id's hash; 0: none.
  using Entry = std::uint64_t;
  struct Place {
    std::size_t first;
    Entry tag;
  };

  Place place_of(std::int64_t id) const;
  std::int64_t find_from(const Place& place, const IdentifiedRows& known, std::int64_t id) const;
  std::size_t next(std::size_t i) const { return i + 1 == n_slots_ ? 0 : i + 1; }

  std::size_t capacity_;
  std::size_t n_slots_;
  std::uint64_t seed_;
  std::unique_ptr<std::atomic<Entry>[]> slots_;
  std::size_t size_ = 0;
  std::atomic<std::uint64_t> version_{0};
};

}  // namespace bitsift
