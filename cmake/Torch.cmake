# SPDX-License-Identifier: MIT
# The targets ct_torch and ct_torch_python: the torch wheel of the configured Python.
#
# Not find_package(Torch): that one sets compiler flags for every target of the project and stops where a wheel with CUDA
# is installed without the CUDA toolkit, which this project does not need.
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c
          "import os, torch; print(os.path.dirname(torch.utils.cmake_prefix_path.removesuffix('/cmake')))"
  OUTPUT_VARIABLE CT_TORCH_ROOT
  OUTPUT_STRIP_TRAILING_WHITESPACE
  RESULT_VARIABLE CT_TORCH_MISSING
  ERROR_VARIABLE CT_TORCH_ERROR)
if(CT_TORCH_MISSING)
  message(FATAL_ERROR "${Python_EXECUTABLE} cannot import torch; install it first "
                      "(pip install torch==2.13.0).\n${CT_TORCH_ERROR}")
endif()
message(STATUS "torch: ${CT_TORCH_ROOT}")

add_library(ct_torch INTERFACE IMPORTED)
target_include_directories(
  ct_torch SYSTEM INTERFACE "${CT_TORCH_ROOT}/include" "${CT_TORCH_ROOT}/include/torch/csrc/api/include")
# The headers of the wheel need both: fmt is not installed as a library, and the Gloo backend hides behind its macro.
target_compile_definitions(ct_torch INTERFACE FMT_HEADER_ONLY USE_C10D_GLOO)
foreach(library torch_cpu torch c10)
  target_link_libraries(ct_torch INTERFACE "${CT_TORCH_ROOT}/lib/lib${library}.so")
endforeach()

# Without -fopenmp at::parallel_for silently runs on one thread. The runtime must be the one torch loads: a program links
# that file, the module finds its symbols in the libraries that torch has loaded. Fuzzers
# have one thread.
if(NOT CRYPTENSOR_SANITIZE MATCHES "tsan|fuzz")
  target_compile_options(ct_torch INTERFACE -fopenmp)
  file(GLOB CT_TORCH_OPENMP "${CT_TORCH_ROOT}/lib/libgomp*.so*" "${CT_TORCH_ROOT}/../torch.libs/libgomp*.so*")
  if(CT_TORCH_OPENMP)
    list(GET CT_TORCH_OPENMP 0 CT_TORCH_OPENMP)
    target_link_libraries(ct_torch
                          INTERFACE "$<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:${CT_TORCH_OPENMP}>")
  endif()
endif()

add_library(ct_torch_python INTERFACE IMPORTED)
target_link_libraries(ct_torch_python INTERFACE ct_torch "${CT_TORCH_ROOT}/lib/libtorch_python.so")
