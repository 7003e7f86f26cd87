# SPDX-License-Identifier: Apache-2.0
# Which compilers build bitsift: a row for each, with the oldest version. README.md and
# CONTRIBUTING.md say the same. Apple numbers its own: Apple Clang 15 is made from LLVM 16.
#
# cmake -D CMAKE_CXX_COMPILER_ID=GNU -D CMAKE_CXX_COMPILER_VERSION=11.4 -P cpp/compilers.cmake

#         CMake's name  our name     oldest version
set(BITSIFT_COMPILERS
          GNU           "GCC"         12
          Clang         "Clang"       16
          AppleClang    "Apple Clang" 15)

# Indented: CMake leaves such lines as they are.
set(BITSIFT_COMPILER_REMEDY
"  Linux:   apt install g++      (Fedora: dnf install gcc-c++)
  macOS:   xcode-select --install
  Windows: the Windows Subsystem for Linux, and as on Linux
  A compiler that is not the default: CXX=clang++-16 pip install ...")

function(bitsift_refuse_compiler came)
  list(LENGTH BITSIFT_COMPILERS length)
  math(EXPR last "${length} - 1")
  foreach(i RANGE 1 ${last} 3)
    list(SUBLIST BITSIFT_COMPILERS ${i} 2 name_and_version)
    list(JOIN name_and_version " " name_and_version)
    list(APPEND wanted ${name_and_version})
  endforeach()
  list(JOIN wanted ", " wanted)
  message(FATAL_ERROR "  bitsift needs a C++20 compiler, ${wanted} or newer; got ${came}\n"
                      "${BITSIFT_COMPILER_REMEDY}\n")
endfunction()

# Before CXX is enabled: stops where no compiler answers. CMake would say so later and in its own
# words. CXX is named without the user's doing, too: scikit-build-core sets it to the compiler that
# built Python. On macOS c++ is there, and fails, before the developer tools are.
function(bitsift_require_some_compiler)
  if(CMAKE_CXX_COMPILER)
    return()
  endif()
  set(names c++ g++ clang++)
  set(places)
  set(sought "no c++, g++ or clang++ was found")
  if(NOT "$ENV{CXX}" STREQUAL "")
    # Options may follow the name. CMake looks for this one in PATH alone.
    separate_arguments(names NATIVE_COMMAND "$ENV{CXX}")
    list(GET names 0 names)
    set(places NO_CMAKE_PATH NO_CMAKE_ENVIRONMENT_PATH NO_CMAKE_SYSTEM_PATH)
    set(sought "CXX is $ENV{CXX}, which is not in PATH")
  endif()
  find_program(BITSIFT_ANY_COMPILER NAMES ${names} ${places} NO_CACHE)
  if(NOT BITSIFT_ANY_COMPILER)
    bitsift_refuse_compiler("none: ${sought}")
  endif()
  execute_process(COMMAND ${BITSIFT_ANY_COMPILER} --version
                  RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE error)
  if(NOT result EQUAL 0)
    bitsift_refuse_compiler("${BITSIFT_ANY_COMPILER}, which fails: ${error}")
  endif()
endfunction()

# After CXX is enabled: stops unless the compiler is one of the list.
function(bitsift_require_known_compiler)
  list(FIND BITSIFT_COMPILERS "${CMAKE_CXX_COMPILER_ID}" i)
  if(CMAKE_CXX_SIMULATE_ID)  # it has that compiler's options and headers
    bitsift_refuse_compiler(
      "${CMAKE_CXX_COMPILER_ID} for ${CMAKE_CXX_SIMULATE_ID} (${CMAKE_CXX_COMPILER})")
  elseif(i EQUAL -1)
    bitsift_refuse_compiler("${CMAKE_CXX_COMPILER_ID} (${CMAKE_CXX_COMPILER})")
  endif()
  math(EXPR i "${i} + 1")
  list(SUBLIST BITSIFT_COMPILERS ${i} 2 name_and_version)
  list(POP_BACK name_and_version oldest)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS oldest)
    bitsift_refuse_compiler(
      "${name_and_version} ${CMAKE_CXX_COMPILER_VERSION} (${CMAKE_CXX_COMPILER})")
  endif()
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  bitsift_require_known_compiler()
endif()
