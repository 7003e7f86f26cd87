# SPDX-License-Identifier: Apache-2.0
# Kernel files are built with flags that not every processor has, so nothing in their object files
# may be shared: of an inline function that two files hold, the linker keeps either one, and a
# static initialiser runs before anything has asked the processor.
#
# cmake -D NM=nm -D OBJDUMP=objdump -D OBJECTS=a.o,b.o -D SOURCES=a.cpp,b.hpp -P check_hermetic.cmake

# Compilers emit calls of the first two; the others are how distributions harden them.
set(allowed_symbols "^(memcpy|memset|__memcpy_chk|__memset_chk|__stack_chk_fail|__stack_chk_guard)$")
set(allowed_includes [[^(<cstddef>|<cstdint>|<immintrin\.h>|<arm_[a-z]+\.h>]]
                     [[|"kernels/(generic|kernels|loops/[a-z]+)\.hpp")$]])
list(JOIN allowed_includes "" allowed_includes)

set(problems "")
function(problem text)
  set(problems "${problems}  ${text}\n" PARENT_SCOPE)
endfunction()

function(output_of result)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  set(${result} "${output}" PARENT_SCOPE)
endfunction()

string(REPLACE "," ";" objects "${OBJECTS}")
if(NOT objects)
  problem("no object files")
endif()
foreach(object IN LISTS objects)
  get_filename_component(name ${object} NAME)
  output_of(symbols ${NM} -P ${object})
  string(REGEX MATCHALL "[^\n]+" symbols "${symbols}")
  set(defined "")
  foreach(line IN LISTS symbols)
    string(REGEX MATCH "^([^ ]+) ([A-Za-z?])" matched "${line}")
    set(symbol ${CMAKE_MATCH_1})
    set(type ${CMAKE_MATCH_2})
    if(type MATCHES "^[uvVwW]$")
      problem("${name}: weak symbol ${symbol}")
    elseif(type STREQUAL "U")
      if(NOT symbol MATCHES "${allowed_symbols}")
        problem("${name}: undefined symbol ${symbol}")
      endif()
    elseif(type MATCHES "^[A-Z]$")
      list(APPEND defined ${symbol})
    endif()
  endforeach()
  list(LENGTH defined n_defined)
  if(NOT n_defined EQUAL 1)
    problem("${name}: wanted one global symbol, the table; got ${n_defined} global symbols: ${defined}")
  elseif(NOT defined MATCHES "^_ZN7bitsift[0-9]+k[A-Z][A-Za-z0-9]*KernelsE$|^_ZN7bitsift[0-9]+k[A-Z][A-Za-z0-9]*KernelE$")
    problem("${name}: wanted bitsift::k*Kernels or k*Kernel as the one global symbol; got ${defined}")
  endif()
  output_of(sections ${OBJDUMP} -h ${object})
  if(sections MATCHES "\\.(init_array|ctors)")
    problem("${name}: static initialisation (section ${CMAKE_MATCH_0})")
  endif()
endforeach()

string(REPLACE "," ";" sources "${SOURCES}")
foreach(source IN LISTS sources)
  get_filename_component(name ${source} NAME)
  file(STRINGS ${source} lines REGEX "^[ \t]*#[ \t]*(include|import)")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^[ \t]*#[ \t]*(include|import)[ \t]*([<\"][^>\"]*[>\"]).*$" "\\2"
           included "${line}")
    if(NOT included MATCHES "${allowed_includes}")
      problem("${name}: includes ${included}")
    endif()
  endforeach()
endforeach()

if(problems)
  message(FATAL_ERROR "Not hermetic:\n${problems}")
endif()
list(LENGTH objects n_objects)
message(STATUS "${n_objects} hermetic object files")
