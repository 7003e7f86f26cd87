// SPDX-License-Identifier: Apache-2.0
// Every architecture gives the results that NumPy computed for the golden file.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "encoding/packing.hpp"
#include "helpers/levels.hpp"
#include "helpers/sizes.hpp"
#include "oracle/golden_vectors.hpp"
#include "oracle/naive.hpp"
#include "rescoring/rescore.hpp"
#include "search/all_pairs.hpp"
#include "search/scan.hpp"

namespace bitsift::test {
namespace {

// Where an array lies, in values.
struct Place {
  std::size_t offset;   // from a 64-byte boundary
  std::size_t padding;  // between rows
};

// How the core is called for a case. Results must not depend on it.
struct Variant {
  const Kernels& kernels;
  std::size_t n_threads;
  Place place;
};

// A copy of an array, laid out as a variant asks.
template <class T>
class Placed {
 public:
  Placed(const VectorArray& array, const Variant& variant)
      : memory_(64 + sizeof(T) * (variant.place.offset +
                                  array.n_rows * (array.n_columns + variant.place.padding))) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    std::uint8_t* first =
        memory_.data() + (64 - address % 64) % 64 + variant.place.offset * sizeof(T);
    const std::size_t stride = (array.n_columns + variant.place.padding) * sizeof(T);
    const std::size_t row_size = array.n_columns * sizeof(T);
    for (std::size_t row = 0; row < array.n_rows && row_size > 0; ++row) {
      std::memcpy(first + row * stride, array.bytes.data() + row * row_size, row_size);
    }
    matrix = {.data = reinterpret_cast<const T*>(first),
              .n_rows = array.n_rows,
              .n_columns = array.n_columns,
              .stride = static_cast<std::ptrdiff_t>(stride)};
  }

  Matrix<T> matrix;

 private:
  std::vector<std::uint8_t> memory_;
};

// Memory for a result that detects writes beyond its ends.
template <class T>
class Output {
 public:
  explicit Output(std::size_t n) : bytes_((n + 2 * kMargin) * sizeof(T), kCanary) {}

  T* data() { return reinterpret_cast<T*>(bytes_.data()) + kMargin; }

  // Equal bits: a negative zero is not a zero.
  bool equals(const std::vector<T>& wanted) const {
    const std::size_t margin = kMargin * sizeof(T);
    const auto is_canary = [](std::uint8_t byte) { return byte == kCanary; };
    return bytes_.size() == 2 * margin + wanted.size() * sizeof(T) &&
           (wanted.empty() ||
            std::memcmp(bytes_.data() + margin, wanted.data(), wanted.size() * sizeof(T)) == 0) &&
           std::all_of(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(margin),
                       is_canary) &&
           std::all_of(bytes_.end() - static_cast<std::ptrdiff_t>(margin), bytes_.end(), is_canary);
  }

 private:
  static constexpr std::size_t kMargin = 16;
  static constexpr std::uint8_t kCanary = 0xA5;
  std::vector<std::uint8_t> bytes_;
};

std::vector<std::int64_t> as_rows(const VectorArray& array) {
  const auto narrow = array.values<std::int32_t>();
  return {narrow.begin(), narrow.end()};
}

template <class Value, class Threshold>
bool packs(const VectorCase& of_case, const Variant& variant) {
  const VectorArray& codes = *of_case.arrays[2];
  const Placed<Value> values(*of_case.arrays[0], variant);
  auto thresholds = of_case.arrays[1]->values<Threshold>();
  if (thresholds.size() == 1) thresholds.resize(values.matrix.n_columns, thresholds[0]);
  Output<std::uint8_t> out(codes.bytes.size());
  const bool finite =
      pack(variant.kernels, values.matrix, thresholds.data(), variant.n_threads, out.data());
  return out.equals(codes.bytes) && finite == (of_case.option == 1);
}

bool packs_bools(const VectorCase& of_case, const Variant& variant) {
  const VectorArray& codes = *of_case.arrays[2];
  const Placed<std::uint8_t> values(*of_case.arrays[0], variant);
  Output<std::uint8_t> out(codes.bytes.size());
  pack(variant.kernels, values.matrix, variant.n_threads, out.data());
  return out.equals(codes.bytes);
}

bool searches(const VectorCase& of_case, const Variant& variant) {
  const Placed<std::uint8_t> codes(*of_case.arrays[0], variant);
  const Placed<std::uint8_t> queries(*of_case.arrays[1], variant);
  std::vector<std::int64_t> ids;
  if (of_case.arrays[2] != nullptr) ids = of_case.arrays[2]->values<std::int64_t>();
  const std::int64_t* ids_data = of_case.arrays[2] != nullptr ? ids.data() : nullptr;
  const std::size_t n_out = queries.matrix.n_rows * of_case.k;
  Output<std::int32_t> distances(n_out);
  Output<std::int64_t> rows(n_out);
  scan(variant.kernels, codes.matrix, {.codes = queries.matrix},
       {.k = of_case.k, .ids = ids_data, .n_threads = variant.n_threads}, distances.data(),
       rows.data());
  return distances.equals(of_case.arrays[3]->values<std::int32_t>()) &&
         rows.equals(as_rows(*of_case.arrays[4]));
}

bool finds_all_pairs(const VectorCase& of_case, const Variant& variant) {
  const Placed<std::uint8_t> a(*of_case.arrays[0], variant);
  const Placed<std::uint8_t> b(*of_case.arrays[1], variant);
  Output<std::int32_t> distances(a.matrix.n_rows * b.matrix.n_rows);
  all_pairs(variant.kernels, a.matrix, b.matrix, variant.n_threads, distances.data());
  return distances.equals(of_case.arrays[2]->values<std::int32_t>());
}

template <class Value>
bool rescores(const VectorCase& of_case, const Variant& variant) {
  constexpr Metric kMetrics[] = {Metric::kCosine, Metric::kDot, Metric::kL2};
  const Placed<Value> originals(*of_case.arrays[0], variant);
  const Placed<float> queries(*of_case.arrays[1], variant);
  const auto candidate_rows = as_rows(*of_case.arrays[2]);
  const Matrix<std::int64_t> candidates = {
      .data = candidate_rows.data(),
      .n_rows = of_case.arrays[2]->n_rows,
      .n_columns = of_case.arrays[2]->n_columns,
      .stride = static_cast<std::ptrdiff_t>(of_case.arrays[2]->n_columns * sizeof(std::int64_t))};
  std::vector<std::int64_t> ids;
  if (of_case.arrays[3] != nullptr) ids = of_case.arrays[3]->values<std::int64_t>();
  const std::int64_t* ids_data = of_case.arrays[3] != nullptr ? ids.data() : nullptr;
  const std::size_t n_out = queries.matrix.n_rows * of_case.k;
  Output<float> scores(n_out);
  Output<std::int64_t> rows(n_out);
  rescore(variant.kernels, kMetrics[of_case.option], originals.matrix, queries.matrix,
          {candidates, ids_data, of_case.k}, variant.n_threads, scores.data(), rows.data());
  return scores.equals(of_case.arrays[4]->values<float>()) &&
         rows.equals(as_rows(*of_case.arrays[5]));
}

bool passes(const VectorCase& of_case, const Variant& variant) {
  const ValueType type = of_case.arrays[0]->type;
  switch (of_case.kind) {
    case CaseKind::kPacking:
      if (type == ValueType::kFloat32) return packs<float, float>(of_case, variant);
      if (type == ValueType::kFloat16) return packs<Half, float>(of_case, variant);
      if (type == ValueType::kFloat64) return packs<double, double>(of_case, variant);
      return type == ValueType::kBool && packs_bools(of_case, variant);
    case CaseKind::kSearch:
      return searches(of_case, variant);
    case CaseKind::kAllPairs:
      return finds_all_pairs(of_case, variant);
    case CaseKind::kRescoring:
      if (type == ValueType::kFloat32) return rescores<float>(of_case, variant);
      return type == ValueType::kFloat16 && rescores<Half>(of_case, variant);
  }
  return false;
}

void check_all(CaseKind kind) {
  std::size_t n_cases = 0;
  for (const Kernels* kernels : tested_kernels()) {
    CAPTURE(kernels->name);
    for (const std::size_t n_threads : Sizes{1, 2, 7}) {
      CAPTURE(n_threads);
      for (const auto& place :
           {Place{0, 0}, Place{1, 0}, Place{3, 5}, Place{8, 64}, Place{63, 1}}) {
        CAPTURE(place.offset);
        CAPTURE(place.padding);
        for (std::size_t i = 0; i < vectors().cases.size(); ++i) {
          if (vectors().cases[i].kind != kind) continue;
          CAPTURE(i);
          CHECK(passes(vectors().cases[i], Variant{*kernels, n_threads, place}));
          ++n_cases;
        }
      }
    }
  }
  CHECK(n_cases > 0);
}

TEST_CASE("packing vectors") { check_all(CaseKind::kPacking); }
TEST_CASE("search vectors") { check_all(CaseKind::kSearch); }
TEST_CASE("all pairs vectors") { check_all(CaseKind::kAllPairs); }
TEST_CASE("rescoring vectors") { check_all(CaseKind::kRescoring); }

}  // namespace
}  // namespace bitsift::test
