// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace bitsift::test {

// How AMX-TILE and AMX-INT8 instructions are executed in this process.
enum class Amx { kNative, kEmulated };

// Makes them executable, by all threads: by the processor, or else by a handler of SIGILL. Whatever
// else raises SIGILL goes to the action that the program had set, or sets later by sigaction(), as
// if there were no emulator; after that the emulator is off until this is called again.
//
// Emulated tiles are bit for bit as the Intel SDM has them. Where the processor would raise #UD or
// #GP (a tile that is not configured, operands whose sizes do not match, a bad configuration) the
// emulator says so on stderr and aborts.
Amx enable_amx();

// How many instructions were emulated so far, in all threads.
std::uint64_t emulated_instructions();

}  // namespace bitsift::test
