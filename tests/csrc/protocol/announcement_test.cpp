// SPDX-License-Identifier: MIT
#include "protocol/additive/announcement.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

namespace cryptensor::protocol::additive {
namespace {

using Bytes = std::vector<uint8_t>;
using Sizes = std::vector<int64_t>;
using Status = Announcement::Status;

Announcement of(int src, std::vector<std::optional<Sizes>> shapes) {
  Announcement out;
  out.src = src;
  for (auto& shape : shapes) {
    const bool integers = shape && shape->size() == 2;
    out.entries.push_back({std::move(shape), integers});
  }
  return out;
}

void expect_refused(const Bytes& bytes, const char* why) {
  EXPECT_THROW(Announcement::parse(bytes), ProtocolError) << why;
}

TEST(Announcement, SurvivesTheWire) {
  for (const Announcement& a :
       {of(0, {}), of(3, {std::nullopt}), of(-1, {Sizes{}, Sizes{0}, Sizes{2, 3}, std::nullopt}),
        of(1, {Sizes(8, 2)}), of(1, std::vector<std::optional<Sizes>>(1000))}) {
    const Announcement back = Announcement::parse(a.serialize());
    EXPECT_EQ(back.src, a.src);
    EXPECT_EQ(back.status, a.status);
    ASSERT_EQ(back.entries.size(), a.entries.size());
    for (size_t i = 0; i < a.entries.size(); ++i) {
      EXPECT_EQ(back.entries[i].shape, a.entries[i].shape);
      EXPECT_EQ(back.entries[i].integers, a.entries[i].integers);
    }
  }
}

TEST(Announcement, AFailureCarriesItsClassAndNoText) {
  const auto failed = [](const Error& error) {
    Announcement a = of(2, {Sizes{2}});
    a.fail(error);
    EXPECT_EQ(a.reason, error.what());
    const Announcement back = Announcement::parse(a.serialize());
    EXPECT_EQ(back.reason, "");
    EXPECT_TRUE(back.entries.empty());
    return back.status;
  };
  EXPECT_EQ(failed(RangeError("secret 5")), Status::range);
  EXPECT_EQ(failed(ShapeError("s")), Status::shape);
  EXPECT_EQ(failed(ConfigError("c")), Status::config);
  EXPECT_EQ(failed(Error("e")), Status::config);
}

TEST(Announcement, RefusesEveryPrefixAndAnythingBehind) {
  const Bytes good = of(1, {Sizes{2, 3}, std::nullopt, Sizes{4}}).serialize();
  for (size_t n = 0; n < good.size(); ++n) {
    expect_refused(Bytes(good.begin(), good.begin() + n), "cut short");
  }
  Bytes longer = good;
  longer.push_back(0);
  expect_refused(longer, "a byte too many");
}

TEST(Announcement, RefusesMalformedFields) {
  const Bytes good = of(1, {Sizes{2, 3}}).serialize();
  const auto with = [&](size_t at, const auto& value) {
    Bytes out = good;
    std::memcpy(out.data() + at, &value, sizeof value);
    return out;
  };
  expect_refused(with(4, uint8_t{4}), "status");
  expect_refused(with(4, uint8_t{255}), "status");
  expect_refused(with(5, uint32_t{2}), "count");
  expect_refused(with(5, ~uint32_t{0}), "count");
  expect_refused(with(5, uint32_t{0}), "count");
  expect_refused(with(9, uint8_t{9}), "rank");
  expect_refused(with(9, uint8_t{254}), "rank");
  for (const int64_t size : {int64_t{-1}, (int64_t{1} << 31) + 1, int64_t{1} << 60,
                             std::numeric_limits<int64_t>::min()}) {
    expect_refused(with(10, size), "size");
    expect_refused(with(18, size), "size");
  }
}

TEST(Announcement, RefusesMoreElementsThanAValueMayHave) {
  expect_refused(of(0, {Sizes{1 << 16, 1 << 16}}).serialize(), "2^32 elements");
  expect_refused(of(0, {Sizes(8, int64_t{1} << 31)}).serialize(), "the product wraps");
  expect_refused(of(0, {Sizes{0, int64_t{1} << 31, int64_t{1} << 31, 4}}).serialize(),
                 "empty, and the product of the others wraps");
  EXPECT_NO_THROW(Announcement::parse(of(0, {Sizes{1 << 15, 1 << 16}}).serialize()));
}

TEST(Announcement, RandomMutationsNeverCrash) {
  std::mt19937_64 random(7);
  const Bytes good = of(1, {Sizes{2, 3}, std::nullopt, Sizes{4}, Sizes{}}).serialize();
  size_t accepted = 0;
  for (int round = 0; round < 100000; ++round) {
    Bytes bytes = good;
    for (uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
      const size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<uint8_t>(random());
          break;
        case 1:
          bytes[at] ^= static_cast<uint8_t>(1 << random() % 8);
          break;
        case 2:
          bytes.resize(at + 1);
          break;
        case 3:
          bytes.insert(bytes.begin() + at, static_cast<uint8_t>(random() % 3));
          break;
      }
    }
    try {
      ASSERT_EQ(Announcement::parse(bytes).serialize(), bytes);
      ++accepted;
    } catch (const ProtocolError&) {
    }
  }
  EXPECT_GT(accepted, 100u);
}

// The class of the error that each of the parties throws, "" for none.
std::string verdict(const std::vector<Announcement>& all) {
  std::string first;
  for (size_t rank = 0; rank < all.size(); ++rank) {
    std::string thrown;
    try {
      check_agreement(all, static_cast<int>(rank));
    } catch (const RangeError&) {
      thrown = "range";
    } catch (const ShapeError&) {
      thrown = "shape";
    } catch (const ConfigError&) {
      thrown = "config";
    }
    if (rank == 0) first = thrown;
    if (thrown != first) return "party 0: " + first + ", another: " + thrown;
  }
  return first;
}

TEST(Agreement, IsReachedWhereAllFits) {
  EXPECT_EQ(verdict({of(0, {}), of(0, {})}), "");
  EXPECT_EQ(verdict({of(1, {std::nullopt}), of(1, {Sizes{2}}), of(1, {Sizes{2}})}), "");
}

TEST(Agreement, FailsAlikeOnEveryParty) {
  Announcement range = of(0, {}), config = of(0, {});
  range.fail(RangeError("x"));
  config.fail(ConfigError("x"));
  const Announcement good = of(0, {Sizes{2}});
  EXPECT_EQ(verdict({range, good, good}), "range");
  EXPECT_EQ(verdict({good, good, config}), "config");
  EXPECT_EQ(verdict({good, of(1, {Sizes{2}})}), "config");
  EXPECT_EQ(verdict({of(2, {Sizes{2}}), of(2, {Sizes{2}})}), "config");
  EXPECT_EQ(verdict({of(-1, {Sizes{2}}), of(-1, {Sizes{2}})}), "config");
  EXPECT_EQ(verdict({of(0, {std::nullopt}), good}), "config");
  EXPECT_EQ(verdict({good, of(0, {Sizes{3}}), good}), "shape");
  EXPECT_EQ(verdict({good, good, of(0, {Sizes{2, 1}})}), "shape");
  EXPECT_EQ(verdict({good, of(0, {}), good}), "shape");
  EXPECT_EQ(verdict({good, of(0, {Sizes{2}, Sizes{2}})}), "shape");
}

TEST(Agreement, ThePartyAtFaultSeesItsOwnWords) {
  Announcement failed = of(0, {});
  failed.fail(RangeError("value at index [3] is 1e30"));
  const std::vector<Announcement> all{failed, of(0, {Sizes{2}})};
  try {
    check_agreement(all, 0);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const RangeError& error) {
    EXPECT_STREQ(error.what(), "value at index [3] is 1e30");
  }
}

}  // namespace
}  // namespace cryptensor::protocol::additive
