// SPDX-License-Identifier: Apache-2.0
// The sums of rescoring are the bits of level `scalar`, also of values that are not finite.
#include <algorithm>

#include "fuzz/input.hpp"

namespace bitsift::test {
namespace {

void fill(Random& random, Floats kind, float* values, std::size_t n) {
  fill_values(random, kind, values, n);
}
void fill(Random& random, Floats kind, Half* values, std::size_t n) {
  fill_values(random, kind, values, n);
}
void fill(Random& random, Floats, std::int8_t* values, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<std::int8_t>(random.byte());
}

// sum(kernels, query, vectors, n_vectors, n_ahead, n, first, second) calls one kernel.
template <class Value, class Sum>
void compare(Input& input, Sum sum) {
  const std::size_t n = input.flag() ? input.between(1, 1100) : input.between(1, 70);
  const std::size_t n_all = input.below(40);
  const std::size_t n_ahead = input.below(n_all + 1);
  const std::size_t n_vectors = n_all - n_ahead;
  const Floats kind = some_floats(input);
  Random random = input.random();
  const Exact<float> floats(n);
  fill_values(random, kind, floats.get(), n);
  const Exact<double> query(n);
  std::copy(floats.get(), floats.get() + n, query.get());
  const Exact<double> base(n);
  const Exact<double> step(n);
  fill_values(random, kind, base.get(), n);
  fill_values(random, kind, step.get(), n);
  const bool is_exact = input.flag();
  for (std::size_t i = 0; is_exact && i < n; ++i) step[i] = static_cast<double>(floats[i]);
  std::vector<Exact<Value>> vectors;
  const Exact<const Value*> pointers(n_all);
  for (std::size_t i = 0; i < n_all; ++i) {
    vectors.emplace_back(n, alignof(Value) * input.below(8));
    fill(random, kind, vectors.back().get(), n);
    pointers[i] = vectors.back().get();
  }
  const bool with_squares = input.flag();
  const auto sums_of = [&](const Kernels& kernels, const Exact<double>& first,
                           const Exact<double>& second) {
    sum(kernels, query.get(), pointers.get(), Scale{base.get(), step.get(), is_exact}, n_vectors,
        n_ahead, n, first.get(), with_squares ? second.get() : nullptr);
  };
  const Exact<double> wanted(n_vectors);
  const Exact<double> wanted_squares(n_vectors);
  sums_of(scalar_kernels(), wanted, wanted_squares);
  for (const Kernels* kernels : other_kernels()) {
    const Exact<double> found(n_vectors);
    const Exact<double> found_squares(n_vectors);
    sums_of(*kernels, found, found_squares);
    expect(all_same(found, wanted) && all_same(found_squares, wanted_squares),
           std::string(kernels->name) + " sums to other bits than scalar");
  }
}

}  // namespace
}  // namespace bitsift::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bitsift;
  test::Input input(data, size);
  using Count = std::size_t;
  switch (input.below(6)) {
    case 0:
      test::compare<float>(input, [](const Kernels& kernels, const double* q, auto x, Scale,
                                     Count m, Count ahead, Count n, double* dots, double* squares) {
        kernels.dot_f32(q, x, m, ahead, n, dots, squares);
      });
      break;
    case 1:
      test::compare<Half>(input, [](const Kernels& kernels, const double* q, auto x, Scale, Count m,
                                    Count ahead, Count n, double* dots, double* squares) {
        kernels.dot_f16(q, x, m, ahead, n, dots, squares);
      });
      break;
    case 2:
      test::compare<std::int8_t>(
          input, [](const Kernels& kernels, const double* q, auto x, Scale scale, Count m,
                    Count ahead, Count n, double* dots,
                    double* squares) { kernels.dot_i8(q, x, scale, m, ahead, n, dots, squares); });
      break;
    case 3:
      test::compare<float>(input, [](const Kernels& kernels, const double* q, auto x, Scale,
                                     Count m, Count ahead, Count n, double* squares,
                                     double*) { kernels.l2_f32(q, x, m, ahead, n, squares); });
      break;
    case 4:
      test::compare<Half>(input, [](const Kernels& kernels, const double* q, auto x, Scale, Count m,
                                    Count ahead, Count n, double* squares,
                                    double*) { kernels.l2_f16(q, x, m, ahead, n, squares); });
      break;
    default:
      test::compare<std::int8_t>(
          input, [](const Kernels& kernels, const double* q, auto x, Scale scale, Count m,
                    Count ahead, Count n, double* squares,
                    double*) { kernels.l2_i8(q, x, scale, m, ahead, n, squares); });
  }
  return 0;
}
