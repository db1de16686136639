# SPDX-License-Identifier: MIT
# CRYPTENSOR_SANITIZE=asan|tsan|fuzz: flags for every target that is defined after this file.
if(CRYPTENSOR_SANITIZE STREQUAL "asan")
  # No vptr check: it needs the type information of torch's classes, which the wheel hides.
  set(CT_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all)
elseif(CRYPTENSOR_SANITIZE STREQUAL "tsan")
  set(CT_SANITIZE_FLAGS -fsanitize=thread)
elseif(CRYPTENSOR_SANITIZE STREQUAL "fuzz")
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "CRYPTENSOR_SANITIZE=fuzz needs clang; the compiler is ${CMAKE_CXX_COMPILER_ID}")
  endif()
  set(CT_SANITIZE_FLAGS -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all)
elseif(CRYPTENSOR_SANITIZE)
  message(FATAL_ERROR "CRYPTENSOR_SANITIZE is '${CRYPTENSOR_SANITIZE}'; allowed: asan, tsan, fuzz or empty")
endif()
if(CT_SANITIZE_FLAGS)
  # GCC sees out-of-bounds accesses in instrumented code that are none.
  set(CMAKE_COMPILE_WARNING_AS_ERROR OFF)
  add_compile_options(${CT_SANITIZE_FLAGS} -fno-omit-frame-pointer)
  add_link_options(${CT_SANITIZE_FLAGS})
endif()
