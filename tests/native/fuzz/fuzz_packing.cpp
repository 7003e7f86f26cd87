// SPDX-License-Identifier: Apache-2.0
// Packing gives the bits of level `scalar`, and the same word on whether all values are finite.
#include <cstring>

#include "fuzz/input.hpp"

namespace bitsift::test {
namespace {

template <class Value, class Threshold, class Pack>
void compare(Input& input, std::size_t n, Pack pack) {
  const Floats kind = some_floats(input);
  Random random = input.random();
  const Exact<Value> values(n);
  const Exact<Threshold> thresholds(n);
  fill_values(random, kind, values.get(), n);
  fill_values(random, input.flag() ? kind : Floats::kFinite, thresholds.get(), n);
  if constexpr (std::is_same_v<Value, Threshold>) {
    for (std::size_t i = 0; i < n; i += 1 + random.below(8)) thresholds[i] = values[i];
  }
  const Exact<std::uint8_t> wanted((n + 7) / 8);
  const bool finite = (scalar_kernels().*pack)(values.get(), thresholds.get(), n, wanted.get());
  for (const Kernels* kernels : other_kernels()) {
    const Exact<std::uint8_t> found((n + 7) / 8, input.below(8));
    expect((kernels->*pack)(values.get(), thresholds.get(), n, found.get()) == finite,
           std::string(kernels->name) + " differs from scalar on what is finite");
    expect(found.same_bytes(wanted), std::string(kernels->name) + " packs other bits than scalar");
  }
}

void compare_bools(Input& input, std::size_t n) {
  const Exact<std::uint8_t> values(n, input.below(8));
  fill_bytes(input, values.get(), n);
  const Exact<std::uint8_t> wanted((n + 7) / 8);
  scalar_kernels().pack_bool(values.get(), n, wanted.get());
  for (const Kernels* kernels : other_kernels()) {
    const Exact<std::uint8_t> found((n + 7) / 8, input.below(8));
    kernels->pack_bool(values.get(), n, found.get());
    expect(found.same_bytes(wanted), std::string(kernels->name) + " packs other bools than scalar");
  }
}

}  // namespace
}  // namespace bitsift::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bitsift;
  test::Input input(data, size);
  const std::size_t n = input.flag() ? input.between(1, 3000) : input.between(1, 200);
  switch (input.below(4)) {
    case 0:
      test::compare<float, float>(input, n, &Kernels::pack_f32);
      break;
    case 1:
      test::compare<Half, float>(input, n, &Kernels::pack_f16);
      break;
    case 2:
      test::compare<double, double>(input, n, &Kernels::pack_f64);
      break;
    default:
      test::compare_bools(input, n);
  }
  return 0;
}
