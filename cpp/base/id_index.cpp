// SPDX-License-Identifier: Apache-2.0
#include "base/id_index.hpp"

#include <algorithm>
#include <vector>

#include "base/interruption.hpp"
#include "base/platform.hpp"

namespace bitsift {
namespace {

constexpr int kRowBits = 40;
constexpr std::uint64_t kRowPart = (std::uint64_t{1} << kRowBits) - 1;
// Of the slots, 4 in 5 hold an entry at most: then an id is found after 3 slots on average, which
// mostly lie in one cache line.
constexpr std::size_t kFullParts = 4;
constexpr std::size_t kParts = 5;
// Ids whose slots are fetched from memory at once.
constexpr std::size_t kAtOnce = 32;
constexpr std::size_t kIdsBetweenChecks = std::size_t{1} << 16;

// The finalizer of SplitMix64 (Steele, Lea, Flood, doi:10.1145/2660193.2660195).
std::uint64_t hash_of(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9;
  x ^= x >> 27;
  x *= 0x94d049bb133111eb;
  return x ^ x >> 31;
}

}  // namespace

IdIndex::IdIndex(std::size_t capacity, std::uint64_t seed)
    : capacity_(capacity),
      n_slots_(capacity / kFullParts * kParts + kParts),
      seed_(seed),
      slots_(std::make_unique<std::atomic<Entry>[]>(n_slots_)) {}

IdIndex::Place IdIndex::place_of(std::int64_t id) const {
  const std::uint64_t hash = hash_of(static_cast<std::uint64_t>(id) ^ seed_);
  // The lower bits say little of the place.
  return {static_cast<std::size_t>(upper_product(hash, n_slots_)), hash << kRowBits};
}

void IdIndex::build(const std::int64_t* ids, std::size_t n) {
  Checkpoint checkpoint(kIdsBetweenChecks);
  for (std::size_t begin = 0; begin < n; begin += kAtOnce) {
    const std::size_t end = std::min(n, begin + kAtOnce);
    checkpoint.did(end - begin);
    for (std::size_t i = begin; i < end; ++i) prefetch(&slots_[place_of(ids[i]).first], 1);
    for (std::size_t i = begin; i < end; ++i) {
      const Place place = place_of(ids[i]);
      std::size_t slot = place.first;
      Entry entry;
      while ((entry = slots_[slot].load(std::memory_order_relaxed)) != 0 &&
             (((entry ^ place.tag) & ~kRowPart) != 0 || ids[(entry & kRowPart) - 1] != ids[i])) {
        slot = next(slot);
      }
      size_ += entry == 0;
      slots_[slot].store(place.tag | (i + 1), std::memory_order_relaxed);
    }
  }
}

std::optional<std::size_t> IdIndex::enter(const IdentifiedRows& known, const std::int64_t* new_ids,
                                          std::size_t n) {
  struct Change {
    std::size_t slot;
    Entry before;
  };
  std::vector<Change> changes;
  changes.reserve(n);
  std::optional<std::size_t> refused;
  bool has_replaced = false;
  const auto undo = [&] {
    for (std::size_t i = changes.size(); i-- > 0;) {
      slots_[changes[i].slot].store(changes[i].before, std::memory_order_relaxed);
    }
  };
  Checkpoint checkpoint(kIdsBetweenChecks);
  try {
    for (std::size_t begin = 0; begin < n && !refused; begin += kAtOnce) {
      const std::size_t end = std::min(n, begin + kAtOnce);
      checkpoint.did(end - begin);
      for (std::size_t i = begin; i < end; ++i) {
        prefetch(&slots_[place_of(new_ids[i]).first], 1);
      }
      for (std::size_t i = begin; i < end; ++i) {
        const Place place = place_of(new_ids[i]);
        std::size_t slot = place.first;
        bool is_known = false;
        bool replaces = false;
        for (Entry entry; (entry = slots_[slot].load(std::memory_order_relaxed)) != 0;
             slot = next(slot)) {
          if (((entry ^ place.tag) & ~kRowPart) != 0) continue;
          const std::size_t row = (entry & kRowPart) - 1;
          if (row < known.n_rows) {
            if (known.ids[row] != new_ids[i]) continue;
            is_known = known.mask[row];
            replaces = !is_known;
            break;
          }
          // A row that is new too, or one that was entered and never published.
          if (row - known.n_rows >= i || new_ids[row - known.n_rows] != new_ids[i]) continue;
          is_known = true;
          break;
        }
        if (is_known) {
          refused = i;
          break;
        }
        if (replaces && !has_replaced) {
          // First: a reader that meets the new entry must find another version afterwards.
          version_.fetch_add(1, std::memory_order_release);
          has_replaced = true;
        }
        changes.push_back({slot, slots_[slot].load(std::memory_order_relaxed)});
        const Entry entry = place.tag | (known.n_rows + i + 1);
        slots_[slot].store(entry, std::memory_order_release);
      }
    }
  } catch (...) {
    undo();
    throw;
  }
  if (refused) {
    undo();
    return refused;
  }
  for (const Change& change : changes) size_ += change.before == 0;
  return std::nullopt;
}

std::int64_t IdIndex::find_from(const Place& place, const IdentifiedRows& known,
                                std::int64_t id) const {
  std::size_t slot = place.first;
  for (Entry entry; (entry = slots_[slot].load(std::memory_order_acquire)) != 0;
       slot = next(slot)) {
    if (((entry ^ place.tag) & ~kRowPart) != 0) continue;
    const std::size_t row = (entry & kRowPart) - 1;
    if (row >= known.n_rows || known.ids[row] != id) continue;
    return known.mask[row] ? static_cast<std::int64_t>(row) : -1;
  }
  return -1;
}

void IdIndex::find(const IdentifiedRows& known, const std::int64_t* ids, std::size_t n,
                   std::int64_t* rows) const {
  Checkpoint checkpoint(kIdsBetweenChecks);
  Place places[kAtOnce];
  for (std::size_t begin = 0; begin < n; begin += kAtOnce) {
    const std::size_t end = std::min(n, begin + kAtOnce);
    checkpoint.did(end - begin);
    for (std::size_t i = begin; i < end; ++i) {
      places[i - begin] = place_of(ids[i]);
      prefetch(&slots_[places[i - begin].first], 1);
    }
    // First what the tags say; meanwhile the ids of these rows come from memory.
    for (std::size_t i = begin; i < end; ++i) {
      Place& place = places[i - begin];
      Entry entry;
      while ((entry = slots_[place.first].load(std::memory_order_acquire)) != 0 &&
             ((entry ^ place.tag) & ~kRowPart) != 0) {
        place.first = next(place.first);
      }
      const std::size_t row = (entry & kRowPart) - 1;
      if (entry != 0 && row < known.n_rows) prefetch(known.ids + row, 1);
    }
    for (std::size_t i = begin; i < end; ++i) rows[i] = find_from(places[i - begin], known, ids[i]);
  }
}

}  // namespace bitsift
