# SPDX-License-Identifier: MIT
# How a folder of csrc becomes a target, and its tests and benchmarks become programs.

# Kernels for one instruction set: chosen at run time, so only these files may use more than baseline x86-64.
set(CT_AVX512_FLAGS -mavx512f -mavx512bw -mavx512dq -mavx512vl -mvaes -maes -mbmi2 -mavx2)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC bug 105593: its own AVX-512 headers look uninitialized to it.
  list(APPEND CT_AVX512_FLAGS -Wno-uninitialized -Wno-maybe-uninitialized)
endif()

function(ct_compile_options target)
  # psabi: portable kernels use vectors wider than the baseline's registers, never across files.
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wno-psabi)
  target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}/csrc")
endfunction()

# ct_add_layer(<name> SOURCES <files> DEPENDS <targets>): the static library ct_<name>.
function(ct_add_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPENDS")
  set(isa_sources ${ARG_SOURCES})
  list(FILTER isa_sources INCLUDE REGEX "_(avx512|vaes)\\.cpp$")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set_source_files_properties(${isa_sources} PROPERTIES COMPILE_OPTIONS "${CT_AVX512_FLAGS}")
  else()
    list(REMOVE_ITEM ARG_SOURCES ${isa_sources})
  endif()
  if(NOT ARG_SOURCES)  # headers only
    add_library(ct_${name} INTERFACE)
    target_include_directories(ct_${name} INTERFACE "${PROJECT_SOURCE_DIR}/csrc")
    target_link_libraries(ct_${name} INTERFACE ${ARG_DEPENDS})
    return()
  endif()
  add_library(ct_${name} STATIC ${ARG_SOURCES})
  ct_compile_options(ct_${name})
  target_link_libraries(ct_${name} PUBLIC ${ARG_DEPENDS})
endfunction()

# ct_add_test(<layer> SOURCES <files> DEPENDS <targets>): the program test_<layer>, run by ctest on the best instruction
# set of the machine and once more on the portable kernels.
function(ct_add_test layer)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPENDS")
  add_executable(test_${layer} EXCLUDE_FROM_ALL ${ARG_SOURCES})
  ct_compile_options(test_${layer})
  target_link_libraries(test_${layer} PRIVATE ct_${layer} ${ARG_DEPENDS} GTest::gtest GTest::gtest_main)
  add_dependencies(tests test_${layer})
  set(environment_native)
  set(environment_portable CRYPTENSOR_ISA=portable)
  foreach(isa native portable)
    add_test(NAME ${layer}.${isa} COMMAND test_${layer})
    set(environment ${environment_${isa}})
    if(CRYPTENSOR_SANITIZE STREQUAL "tsan")  # it cannot see the barriers of torch's OpenMP
      list(APPEND environment OMP_NUM_THREADS=1
                              "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/sanitizers/tsan.supp")
    endif()
    set_tests_properties(${layer}.${isa} PROPERTIES TIMEOUT 600 ENVIRONMENT "${environment}")
  endforeach()
endfunction()

# ct_add_benchmark(<file>_benchmark.cpp DEPENDS <targets>): a program named like its file.
function(ct_add_benchmark source)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "DEPENDS")
  cmake_path(GET source STEM name)
  add_executable(${name} EXCLUDE_FROM_ALL ${source})
  ct_compile_options(${name})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} benchmark::benchmark benchmark::benchmark_main)
  add_dependencies(benchmarks ${name})
endfunction()
