// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace bitsift::test {

// How this process executes AMX-TILE and AMX-INT8 instructions.
enum class Amx { kNative, kEmulated };

// Makes the instructions executable for all threads: by the processor or, if it lacks them, by a
// handler of SIGILL. Other causes of SIGILL go to the action that the program had set, or sets
// later by sigaction(), as if there were no emulator; then the emulator is off until this is called
// again.
//
// Emulated tiles follow the Intel SDM bit for bit. Where the processor would raise #UD or #GP (a
// tile that is not configured, operands whose sizes do not match, a bad configuration), the
// emulator prints the reason to stderr and aborts.
Amx enable_amx();

// How many instructions were emulated so far, in all threads.
std::uint64_t emulated_instructions();

}  // namespace bitsift::test
