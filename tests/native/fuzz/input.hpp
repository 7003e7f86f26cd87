// SPDX-License-Identifier: Apache-2.0
// What a fuzzer makes of its bytes: sizes and choices one by one, contents from a seed or from a
// pattern. So that few bytes reach every path, and one changed byte changes one thing.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "helpers/levels.hpp"
#include "helpers/random.hpp"
#include "kernels/dispatch.hpp"

namespace bitsift::test {

// Ends the process, which libFuzzer reports together with the input.
inline void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "fuzzer: %s\n", what.c_str());
  std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), end_(data + size) {}

  // Zero where the input has ended.
  std::uint8_t byte() { return data_ == end_ ? std::uint8_t{0} : *data_++; }
  bool flag() { return (byte() & 1) != 0; }
  std::size_t below(std::size_t n) {
    std::size_t x = byte();
    for (std::size_t limit = 256; limit < n; limit *= 256) x = x * 256 + byte();
    return x % n;
  }
  std::size_t between(std::size_t first, std::size_t last) {
    return first + below(last - first + 1);
  }
  template <class T>
  T one_of(const std::vector<T>& choices) {
    return choices[below(choices.size())];
  }
  Random random() {
    const std::uint64_t seed = byte();
    return Random(seed << 8 | byte());
  }

 private:
  const std::uint8_t* data_;
  const std::uint8_t* end_;
};

// As many bytes of the heap as n values take, so that AddressSanitizer sees a byte too many at
// either end. With an offset, the values begin that many bytes behind a multiple of the alignment.
template <class T>
class Exact {
 public:
  explicit Exact(std::size_t n, std::size_t offset = 0,
                 std::size_t alignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__)
      : n_(n),
        offset_(offset),
        bytes_(static_cast<std::byte*>(
                   ::operator new(offset + n * sizeof(T), std::align_val_t{alignment})),
               Delete{std::align_val_t{alignment}}) {
    if (n > 0) std::memset(get(), kCanary, n * sizeof(T));
  }

  T* get() const { return reinterpret_cast<T*>(bytes_.get() + offset_); }
  T& operator[](std::size_t i) const { return get()[i]; }
  T* begin() const { return get(); }
  T* end() const { return get() + n_; }
  std::size_t size() const { return n_; }
  bool same_bytes(const Exact& other) const {
    return n_ == other.n_ && (n_ == 0 || std::memcmp(get(), other.get(), n_ * sizeof(T)) == 0);
  }

 private:
  static constexpr int kCanary = 0xA5;
  struct Delete {
    std::align_val_t alignment;
    void operator()(std::byte* p) const { ::operator delete(p, alignment); }
  };
  std::size_t n_;
  std::size_t offset_;
  std::unique_ptr<std::byte, Delete> bytes_;
};

// Random bytes, or all bits clear, or all set.
inline void fill_bytes(Input& input, std::uint8_t* bytes, std::size_t n) {
  const std::size_t pattern = input.below(4);
  Random random = input.random();
  if (n == 0) return;
  if (pattern >= 2) {
    random.fill(bytes, n);
  } else {
    std::memset(bytes, pattern == 0 ? 0 : 0xFF, n);
  }
}

// Which floats a content has: those of [-1, 1), those of any exponent, or also those that are not
// finite. Zeros of both signs and subnormal numbers are among all but the first.
enum class Floats { kSmall, kFinite, kAny };

inline Floats some_floats(Input& input) {
  return input.one_of<Floats>({Floats::kSmall, Floats::kFinite, Floats::kAny});
}

template <class T>
T some_float(Random& random, Floats kind) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  if (kind == Floats::kSmall) return static_cast<T>(random.value());
  constexpr T kSpecial[] = {0,
                            -T{0},
                            1,
                            std::numeric_limits<T>::denorm_min(),
                            -std::numeric_limits<T>::denorm_min(),
                            std::numeric_limits<T>::min(),
                            std::numeric_limits<T>::max(),
                            std::numeric_limits<T>::lowest(),
                            std::numeric_limits<T>::infinity(),
                            -std::numeric_limits<T>::infinity(),
                            std::numeric_limits<T>::quiet_NaN()};
  const T x = random.below(4) == 0 ? kSpecial[random.below(std::size(kSpecial))]
                                   : std::bit_cast<T>(static_cast<Bits>(random.bits()));
  return kind == Floats::kFinite && !std::isfinite(x) ? T{0} : x;
}

template <class T>
void fill_values(Random& random, Floats kind, T* values, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) values[i] = some_float<T>(random, kind);
}
inline void fill_values(Random& random, Floats kind, Half* values, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    std::uint16_t bits = static_cast<std::uint16_t>(random.bits());
    if (kind == Floats::kSmall) bits &= 0xBBFF;  // below 1
    if (kind == Floats::kFinite && (bits & 0x7C00) == 0x7C00) bits &= 0x83FF;
    values[i].bits = bits;
  }
}

// NaN has many bits, of which no result promises any.
template <class T>
bool same(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof(T)) == 0;
  } else {
    return a == b;
  }
}
template <class A, class B>
bool all_same(const A& a, const B& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!same(a[i], b[i])) return false;
  }
  return true;
}

// The reference, and the levels that are compared with it.
inline const Kernels& scalar_kernels() { return *find_kernels("scalar"); }
inline const std::vector<const Kernels*>& other_kernels() {
  static const std::vector<const Kernels*> others(available_kernels().begin() + 1,
                                                  available_kernels().end());
  return others;
}

}  // namespace bitsift::test
