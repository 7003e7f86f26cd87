// SPDX-License-Identifier: Apache-2.0
// The functions of the Python module: each file of bindings/ adds its own.
#pragma once

#include <pybind11/pybind11.h>

namespace bitsift {

void register_diagnostics(pybind11::module_& m);
void register_encoding(pybind11::module_& m);
void register_files(pybind11::module_& m);
void register_floats(pybind11::module_& m);
void register_one_query(pybind11::module_& m);
void register_ranges(pybind11::module_& m);
void register_rescoring(pybind11::module_& m);
void register_rows(pybind11::module_& m);
void register_search(pybind11::module_& m);
void register_segments(pybind11::module_& m);

}  // namespace bitsift
