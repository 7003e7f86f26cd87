// SPDX-License-Identifier: Apache-2.0
// The expected results in tests/golden/kernels; make_kernel_vectors.py describes the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bitsift::test {

enum class ValueType : std::uint32_t {
  kUint8,
  kInt32,
  kInt64,
  kFloat16,
  kFloat32,
  kFloat64,
  kBool,
};

struct VectorArray {
  ValueType type;
  std::size_t n_rows;
  std::size_t n_columns;
  std::vector<std::uint8_t> bytes;

  // The bytes as values.
  template <class T>
  std::vector<T> values() const;
};

enum class CaseKind : std::int32_t { kPacking, kSearch, kAllPairs, kRescoring };

struct VectorCase {
  CaseKind kind;
  std::size_t k;
  std::int32_t option;
  const VectorArray* arrays[6];  // nullptr for none
};

struct Vectors {
  std::vector<VectorArray> arrays;
  std::vector<VectorCase> cases;
};

// Throws std::runtime_error if the file is not what it should be.
const Vectors& vectors();

}  // namespace bitsift::test
