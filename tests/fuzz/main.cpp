// SPDX-License-Identifier: MIT
// One target as a program of libFuzzer.
#include "fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cryptensor::fuzz::CT_FUZZ_TARGET({data, size});
  return 0;
}
