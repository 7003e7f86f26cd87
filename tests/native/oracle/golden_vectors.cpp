// SPDX-License-Identifier: Apache-2.0
#include "oracle/golden_vectors.hpp"

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "kernels/kernels.hpp"

namespace bitsift::test {
namespace {

class Reader {
 public:
  explicit Reader(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    content_.assign(std::istreambuf_iterator<char>(file), {});
  }

  template <class T>
  T number() {
    T result;
    std::memcpy(&result, take(sizeof(T)), sizeof(T));
    return result;
  }
  std::vector<std::uint8_t> bytes(std::size_t n) {
    const char* begin = take(n);
    return {begin, begin + n};
  }
  bool at_end() const { return at_ == content_.size(); }

 private:
  const char* take(std::size_t n) {
    if (n > content_.size() - at_) throw std::runtime_error("the file of vectors ends too early");
    at_ += n;
    return content_.data() + at_ - n;
  }

  std::string content_;
  std::size_t at_ = 0;
};

std::size_t size_of(ValueType type) {
  constexpr std::size_t kSizes[] = {1, 4, 8, 2, 4, 8, 1};
  const auto i = static_cast<std::size_t>(type);
  if (i >= std::size(kSizes)) throw std::runtime_error("unknown type in the file of vectors");
  return kSizes[i];
}

Vectors read(const std::string& path) {
  Reader reader(path);
  if (reader.bytes(8) != std::vector<std::uint8_t>{'B', 'S', 'V', 'E', 'C', 'T', '0', '1'}) {
    throw std::runtime_error(path + " is not a file of vectors");
  }
  const auto n_arrays = reader.number<std::uint32_t>();
  const auto n_cases = reader.number<std::uint32_t>();
  Vectors result;
  for (std::uint32_t i = 0; i < n_arrays; ++i) {
    VectorArray array;
    array.type = ValueType{reader.number<std::uint32_t>()};
    array.n_rows = reader.number<std::uint32_t>();
    array.n_columns = reader.number<std::uint32_t>();
    array.bytes = reader.bytes(array.n_rows * array.n_columns * size_of(array.type));
    result.arrays.push_back(std::move(array));
  }
  for (std::uint32_t i = 0; i < n_cases; ++i) {
    VectorCase read_case;
    read_case.kind = CaseKind{reader.number<std::int32_t>()};
    read_case.k = static_cast<std::size_t>(reader.number<std::int32_t>());
    read_case.option = reader.number<std::int32_t>();
    for (const VectorArray*& array : read_case.arrays) {
      const auto number = reader.number<std::int32_t>();
      array = number < 0 ? nullptr : &result.arrays.at(static_cast<std::size_t>(number));
    }
    result.cases.push_back(read_case);
  }
  if (!reader.at_end()) throw std::runtime_error("the file of vectors goes on after its end");
  return result;
}

}  // namespace

template <class T>
std::vector<T> VectorArray::values() const {
  if (size_of(type) != sizeof(T)) throw std::runtime_error("an array of another type was wanted");
  std::vector<T> result(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(result.data(), bytes.data(), bytes.size());
  return result;
}

template std::vector<std::uint8_t> VectorArray::values() const;
template std::vector<std::int32_t> VectorArray::values() const;
template std::vector<std::int64_t> VectorArray::values() const;
template std::vector<Half> VectorArray::values() const;
template std::vector<float> VectorArray::values() const;
template std::vector<double> VectorArray::values() const;

const Vectors& vectors() {
  static const Vectors read_once = read(BITSIFT_VECTORS);
  return read_once;
}

}  // namespace bitsift::test
