// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <initializer_list>

namespace bitsift::test {

// To loop over sizes that are written down: a bare list of literals is one of int.
using Sizes = std::initializer_list<std::size_t>;

}  // namespace bitsift::test
