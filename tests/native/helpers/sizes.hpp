// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <initializer_list>

namespace bitsift::test {

// For loops over literal sizes: a bare list of literals is a list of int.
using Sizes = std::initializer_list<std::size_t>;

}  // namespace bitsift::test
