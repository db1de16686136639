// SPDX-License-Identifier: MIT
#include "core/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdlib>
#include <string>

#include "core/errors.h"

namespace cryptensor {
namespace {

#if defined(__x86_64__)
// Clang's builtin does not know it by name.
bool has_vaes() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_VAES) != 0;
}
#endif

// The builtin also asks the operating system whether it saves the 512-bit registers.
bool has_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && has_vaes();
#else
  return false;
#endif
}

}  // namespace

Isa isa() {
  static const Isa choice = [] {
    const char* request = std::getenv("CRYPTENSOR_ISA");
    return choose_isa(request == nullptr ? "" : request, has_avx512());
  }();
  return choice;
}

bool supported(Isa choice) {
  // Asked for each PRG: on a virtual machine CPUID is an exit to its host.
  static const bool has = has_avx512();
  return choice == Isa::portable || has;
}

Isa choose_isa(std::string_view request, bool has_avx512) {
  if (request.empty()) return has_avx512 ? Isa::avx512 : Isa::portable;
  if (request == "portable") return Isa::portable;
  if (request != "avx512") {
    throw ConfigError("CRYPTENSOR_ISA is '" + std::string(request) +
                      "'; allowed: portable, avx512, or unset for the best of this processor");
  }
  if (!has_avx512) {
    throw ConfigError(
        "CRYPTENSOR_ISA is 'avx512', but this processor lacks one of AVX-512 F, BW, DQ, VL and "
        "VAES; unset it or set it to portable");
  }
  return Isa::avx512;
}

const char* name(Isa choice) { return choice == Isa::avx512 ? "avx512" : "portable"; }

}  // namespace cryptensor
