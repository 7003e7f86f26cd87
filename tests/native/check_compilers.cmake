# SPDX-License-Identifier: Apache-2.0
# Which compilers the configuration takes, and what it says of the others.
#
# cmake -D SOURCE=FOLDER -P check_compilers.cmake

set(problems "")

# Compares the exit status, and what the error says, of a command of CMake.
function(check_case case accepted expected)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE error)
  if(accepted AND NOT result EQUAL 0)
    string(APPEND problems "  ${case}: refused: ${error}\n")
  elseif(NOT accepted AND result EQUAL 0)
    string(APPEND problems "  ${case}: accepted\n")
  endif()
  # The first line says it all.
  if(NOT accepted AND NOT error MATCHES "^CMake Error at [^\n]*\n *bitsift needs a C\\+\\+20 compiler, GCC [0-9]+, Clang [0-9]+, Apple Clang [0-9]+ or newer; got ${expected}[^\n]*\n.*apt install.*xcode-select.*CXX=")
    string(APPEND problems "  ${case}: says ${error}\n")
  endif()
  set(problems "${problems}" PARENT_SCOPE)
endfunction()

function(check_compiler id version simulated accepted expected)
  check_case("${id} ${version} ${simulated}" ${accepted} "${expected}" ${CMAKE_COMMAND}
    -D CMAKE_CXX_COMPILER_ID=${id} -D CMAKE_CXX_COMPILER_VERSION=${version}
    -D CMAKE_CXX_SIMULATE_ID=${simulated} -D CMAKE_CXX_COMPILER=/bin/c++
    -P ${SOURCE}/cpp/compilers.cmake)
  set(problems "${problems}" PARENT_SCOPE)
endfunction()

check_compiler(GNU        11.4.0 "" FALSE "GCC 11.4.0 \\(/bin/c\\+\\+\\)")
check_compiler(GNU        12.1.0 "" TRUE  "")
check_compiler(GNU        16.1.0 "" TRUE  "")
check_compiler(Clang      14.0.6 "" FALSE "Clang 14.0.6 \\(/bin/c\\+\\+\\)")
check_compiler(Clang      15.0.7 "" FALSE "Clang 15.0.7")
check_compiler(Clang      16.0.0 "" TRUE  "")
check_compiler(Clang      23.1.4 "" TRUE  "")
check_compiler(AppleClang 14.0.3 "" FALSE "Apple Clang 14.0.3")
check_compiler(AppleClang 15.0.0 "" TRUE  "")
check_compiler(MSVC       19.44  "" FALSE "MSVC")
check_compiler(Clang      19.1.0 MSVC FALSE "Clang for MSVC")

# The configuration itself, where there is no compiler: before CMake speaks.
function(check_configuration cxx expected)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/no_compiler)
  file(REMOVE_RECURSE ${folder})
  check_case("CXX=${cxx}" FALSE "${expected}" ${CMAKE_COMMAND} -E env CXX=${cxx}
    ${CMAKE_COMMAND} -G Ninja -S ${SOURCE} -B ${folder})
  file(REMOVE_RECURSE ${folder})
  set(problems "${problems}" PARENT_SCOPE)
endfunction()

check_configuration("no-such-compiler -O1" "none: CXX is no-such-compiler -O1, which is not in PATH")
find_program(FAILING NAMES false REQUIRED)
check_configuration("${FAILING}" "${FAILING}, which fails")

if(problems)
  message(FATAL_ERROR "compilers:\n${problems}")
endif()
