// SPDX-License-Identifier: Apache-2.0
// Breaks each rule of check_hermetic.cmake once: a kernel file must not look like this.
#include <vector>

namespace bitsift {

std::vector<int> leaky_numbers = {1, 2, 3};

int leaky_sum() {
  leaky_numbers.push_back(4);
  int sum = 0;
  for (const int number : leaky_numbers) sum += number;
  return sum;
}

}  // namespace bitsift
