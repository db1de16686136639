// SPDX-License-Identifier: MIT
// Which instruction set the kernels use. Every choice computes the same bits.
#pragma once

#include <string_view>

namespace cryptensor {

enum class Isa {
  portable,  // plain C++, any processor
  avx512,    // AVX-512 F, BW, DQ, VL and VAES together
};

// The choice for this process, made on the first call: the best the processor has, or what the
// environment variable CRYPTENSOR_ISA (portable, avx512) asks for. Throws ConfigError if the value
// is unknown or the processor lacks what it asks for.
Isa isa();

// Whether kernels for `choice` can run here.
bool supported(Isa choice);

// The rule behind isa(): `request` is the value of CRYPTENSOR_ISA, empty for none.
Isa choose_isa(std::string_view request, bool has_avx512);

const char* name(Isa choice);

}  // namespace cryptensor
