// SPDX-License-Identifier: MIT
#include "core/cpu.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "core/errors.h"

namespace cryptensor {
namespace {

TEST(CpuTest, WithoutARequestTheBestIsChosen) {
  EXPECT_EQ(choose_isa("", true), Isa::avx512);
  EXPECT_EQ(choose_isa("", false), Isa::portable);
}

TEST(CpuTest, ARequestIsObeyed) {
  EXPECT_EQ(choose_isa("portable", true), Isa::portable);
  EXPECT_EQ(choose_isa("portable", false), Isa::portable);
  EXPECT_EQ(choose_isa("avx512", true), Isa::avx512);
}

TEST(CpuTest, WhatTheProcessorLacksIsRefused) {
  EXPECT_THROW(choose_isa("avx512", false), ConfigError);
}

TEST(CpuTest, AnUnknownRequestIsRefusedByItsName) {
  for (const char* request : {"avx2", "AVX512", "portable ", "native"}) {
    try {
      choose_isa(request, true);
      FAIL() << request;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find("'" + std::string(request) + "'"),
                std::string::npos);
    }
  }
}

TEST(CpuTest, TheChoiceOfThisProcessFollowsItsEnvironment) {
  const char* request = std::getenv("CRYPTENSOR_ISA");
  EXPECT_EQ(isa(), choose_isa(request == nullptr ? "" : request, supported(Isa::avx512)));
}

TEST(CpuTest, PortableIsAlwaysSupported) { EXPECT_TRUE(supported(Isa::portable)); }

TEST(CpuTest, NamesAreThoseOfTheEnvironmentVariable) {
  for (Isa choice : {Isa::portable, Isa::avx512}) {
    EXPECT_EQ(choose_isa(name(choice), true), choice);
  }
}

}  // namespace
}  // namespace cryptensor
