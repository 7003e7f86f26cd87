# SPDX-License-Identifier: Apache-2.0
# One row per level: name, architecture, flags. The flags of a file are exactly the features that
# dispatch.cpp tests before it calls anything in it; `scalar` is built for the architecture's floor.

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(BITSIFT_ARCH x86)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
  set(BITSIFT_ARCH arm)
else()
  set(BITSIFT_ARCH other)
endif()
if(CMAKE_OSX_ARCHITECTURES MATCHES ";")
  message(FATAL_ERROR "CMAKE_OSX_ARCHITECTURES must be one architecture; "
                      "got ${CMAKE_OSX_ARCHITECTURES}: build once for each")
endif()

add_library(bitsift_kernels STATIC)
target_include_directories(bitsift_kernels PUBLIC cpp)
target_link_libraries(bitsift_kernels PRIVATE bitsift_flags)
target_compile_options(bitsift_kernels PRIVATE -fno-exceptions)

function(bitsift_isa name arch)
  if(arch STREQUAL "any" OR arch STREQUAL BITSIFT_ARCH)
    set(source ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/levels/${name}.cpp)
    target_sources(bitsift_kernels PRIVATE ${source})
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${ARGN}")
    string(TOUPPER ${name} upper)
    target_compile_definitions(bitsift_kernels PUBLIC BITSIFT_HAVE_${upper})
  endif()
endfunction()

#           name    architecture  flags
bitsift_isa(scalar  any)
bitsift_isa(avx2    x86           -mavx2 -mf16c)
bitsift_isa(avx512  x86           -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vpopcntdq
                           -mavx512vbmi -mavx512vnni -mf16c)
bitsift_isa(amx     x86           -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vpopcntdq
                           -mavx512vbmi -mavx512vnni -mf16c -mamx-tile -mamx-int8)
bitsift_isa(neon    arm)
