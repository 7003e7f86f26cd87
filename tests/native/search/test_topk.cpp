// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "helpers/random.hpp"
#include "helpers/sizes.hpp"
#include "search/topk.hpp"

namespace bitsift::test {
namespace {

struct Offer {
  std::int32_t distance;
  std::int64_t row;

  bool operator==(const Offer&) const = default;
};

std::vector<Offer> offers(Random& random, std::size_t n, std::size_t n_distances) {
  std::vector<Offer> result;
  for (std::size_t row = 0; row < n; ++row) {
    result.push_back(
        {static_cast<std::int32_t>(random.below(n_distances)), static_cast<std::int64_t>(row)});
  }
  return result;
}

void shuffle(std::vector<Offer>& offers, Random& random) {
  for (std::size_t i = offers.size(); i > 1; --i) std::swap(offers[i - 1], offers[random.below(i)]);
}

std::vector<Offer> sorted_and_cut(std::vector<Offer> offers, const std::int64_t* ids,
                                  std::size_t k) {
  std::sort(offers.begin(), offers.end(), [&](const Offer& a, const Offer& b) {
    if (a.distance != b.distance) return a.distance < b.distance;
    return ids == nullptr ? a.row < b.row : ids[a.row] < ids[b.row];
  });
  offers.resize(std::min(k, offers.size()));
  return offers;
}

std::vector<Offer> found_by(TopK& best) {
  std::vector<Offer> result;
  for (const Neighbor neighbor : best.sorted()) {
    result.push_back({neighbor.distance(), neighbor.row()});
  }
  return result;
}

void offer_all(TopK& best, const std::vector<Offer>& offers, bool only_within_limit) {
  for (const Offer& offer : offers) {
    if (only_within_limit && offer.distance > best.limit()) continue;
    best.offer(offer.distance, offer.row);
  }
}

// Calls check(random, offers, k) for many numbers of rows, of different distances and of results.
template <class Check>
void for_each_case(Check check) {
  Random random(1);
  for (const std::size_t n : Sizes{0, 1, 2, 5, 63, 64, 65, 127, 128, 129, 1000, 3000}) {
    for (const std::size_t n_distances : Sizes{1, 2, 7, 65537}) {
      for (const std::size_t k :
           Sizes{0, 1, 2, 10, 32, 33, 64, 500, n, n + 1, 10 * n + 7, SIZE_MAX}) {
        CAPTURE(n);
        CAPTURE(n_distances);
        CAPTURE(k);
        check(random, offers(random, n, n_distances), k);
      }
    }
  }
}

TEST_CASE("neighbors are ordered as numbers, and hold the extremes") {
  constexpr std::int64_t kLastRow = (std::int64_t{1} << 40) - 1;
  const Neighbor last(65536 * 31, kLastRow);
  CHECK(last.distance() == 65536 * 31);
  CHECK(last.row() == kLastRow);
  const Neighbor farther(3, 0);
  const Neighbor nearer(2, kLastRow);
  CHECK(ByDistanceThenId{nullptr}(nearer, farther));
  CHECK(!ByDistanceThenId{nullptr}(farther, nearer));
  const std::int64_t ids[] = {9, 8};
  CHECK(ByDistanceThenId{nullptr}(Neighbor(1, 0), Neighbor(1, 1)));
  CHECK(ByDistanceThenId{ids}(Neighbor(1, 1), Neighbor(1, 0)));
  CHECK(!ByDistanceThenId{ids}(Neighbor(1, 1), Neighbor(1, 1)));
}

// A TopK that counts distances, or does not.
TopK top_k(std::size_t k, const std::vector<Offer>& all, const std::int64_t* ids, bool counted) {
  if (!counted) return {k, all.size(), ByDistanceThenId{ids}};
  std::int32_t farthest = 0;
  for (const Offer& offer : all) farthest = std::max(farthest, offer.distance);
  return {k, all.size(), ByDistanceThenId{ids}, Counting{.max_distance = farthest, .share = k / 2}};
}

TEST_CASE("rows in ascending order, their numbers as ids") {
  for_each_case([](Random&, const std::vector<Offer>& all, std::size_t k) {
    for (const int options : {0, 1, 2, 3}) {
      const bool only_within_limit = options % 2 == 1;
      TopK best = top_k(k, all, nullptr, options >= 2);
      offer_all(best, all, only_within_limit);
      CHECK(found_by(best) == sorted_and_cut(all, nullptr, k));
    }
  });
}

TEST_CASE("rows in any order, ids of their own") {
  for_each_case([](Random& random, std::vector<Offer> all, std::size_t k) {
    const std::vector<std::int64_t> ids = random.ids(all.size());
    shuffle(all, random);
    for (const int options : {0, 1, 2, 3}) {
      const bool only_within_limit = options % 2 == 1;
      TopK best = top_k(k, all, ids.data(), options >= 2);
      offer_all(best, all, only_within_limit);
      CHECK(found_by(best) == sorted_and_cut(all, ids.data(), k));
    }
  });
}

TEST_CASE("falling distances: every row is admitted") {
  for (const std::size_t k : Sizes{1, 10, 100}) {
    CAPTURE(k);
    std::vector<Offer> all;
    for (std::int32_t i = 0; i < 5000; ++i) all.push_back({5000 - i, i});
    for (const bool counted : {false, true}) {
      TopK best = top_k(k, all, nullptr, counted);
      offer_all(best, all, true);
      CHECK(found_by(best) == sorted_and_cut(all, nullptr, k));
    }
  }
}

TEST_CASE("the results of several threads, merged") {
  for_each_case([](Random& random, const std::vector<Offer>& all, std::size_t k) {
    const std::vector<std::int64_t> ids = random.ids(all.size());
    for (const std::int64_t* of_case : {static_cast<const std::int64_t*>(nullptr), ids.data()}) {
      std::vector<TopK> parts;
      for (const bool counted : {false, true, true}) {
        parts.push_back(top_k(k, all, of_case, counted));
      }
      std::vector<std::vector<Offer>> shares(3);
      for (const Offer& offer : all) shares[random.below(3)].push_back(offer);
      for (std::size_t i = 0; i < 3; ++i) offer_all(parts[i], shares[i], true);
      parts[0].take(parts[1]);
      parts[0].take(parts[2]);
      CHECK(found_by(parts[0]) == sorted_and_cut(all, of_case, k));
    }
  });
}

TEST_CASE("the limit never excludes a result, and never rises") {
  Random random(2);
  const auto all = offers(random, 2000, 500);
  for (const std::size_t k : Sizes{1, 7, 100}) {
    CAPTURE(k);
    const std::int32_t worst = sorted_and_cut(all, nullptr, k).back().distance;
    TopK best(k, all.size(), ByDistanceThenId{nullptr});
    std::int64_t before = best.limit();
    CHECK(before == kAdmitAll);
    for (const Offer& offer : all) {
      best.offer(offer.distance, offer.row);
      CHECK(best.limit() <= before);
      before = best.limit();
      // At the worst distance itself later rows lose, by their number.
      CHECK(before >= worst - 1);
    }
    CHECK(before < kAdmitAll);
  }
}

TEST_CASE("distance_of_best() bounds the distance of a share of the rows") {
  Random random(3);
  for (const std::size_t n_distances : Sizes{1, 30, 700, 50000}) {
    const auto all = offers(random, 3000, n_distances);
    for (const std::size_t k : Sizes{25, 100, 1000}) {
      CAPTURE(n_distances);
      CAPTURE(k);
      const std::size_t share = k / 2;
      TopK best = top_k(k, all, nullptr, true);
      std::vector<Offer> offered;
      for (const Offer& offer : all) {
        offered.push_back(offer);
        if (!best.offer(offer.distance, offer.row) || offered.size() < share) continue;
        const std::int64_t said = best.distance_of_best(share);
        const std::int32_t exact = sorted_and_cut(offered, nullptr, share).back().distance;
        CHECK(said >= exact);
        // Up to 1,024 different distances have bins of their own.
        if (n_distances <= 1024) CHECK(said == exact);
      }
      CHECK(best.distance_of_best(share) < kAdmitAll);
    }
  }
}

TEST_CASE("with counted distances, the limit is always exact") {
  Random random(4);
  const auto all = offers(random, 2000, 300);
  TopK best = top_k(50, all, nullptr, true);
  std::vector<Offer> offered;
  for (const Offer& offer : all) {
    offered.push_back(offer);
    best.offer(offer.distance, offer.row);
    if (offered.size() < 50) {
      CHECK(best.limit() == kAdmitAll);
    } else {
      CHECK(best.limit() == sorted_and_cut(offered, nullptr, 50).back().distance - 1);
    }
  }
}

TEST_CASE("k = 0 admits no row") {
  TopK best(0, 10, ByDistanceThenId{nullptr});
  CHECK(best.limit() == kAdmitNone);
  best.offer(0, 0);
  CHECK(best.sorted().empty());
}

TEST_CASE("k costs no memory beyond the rows") {
  TopK best(SIZE_MAX, 3, ByDistanceThenId{nullptr});
  for (std::int64_t row = 0; row < 3; ++row) best.offer(1, row);
  CHECK(best.sorted().size() == 3);
}

}  // namespace
}  // namespace bitsift::test
