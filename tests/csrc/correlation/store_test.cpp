// SPDX-License-Identifier: MIT
// Stores from their dealing to their last lot.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "core/errors.h"
#include "correlation/dealer.h"
#include "correlation/store_claims.h"
#include "correlation/store_writer.h"
#include "correlation/stored.h"
#include "dealt.h"
#include "net/memory_transport.h"
#include "planned.h"

namespace cryptensor::correlation {
namespace {

namespace fs = std::filesystem;
using examples::words;
using net::Channel;
using planned::kSettings;

constexpr std::chrono::milliseconds kTimeout{20000};

class Store : public testing::Test {
 protected:
  Store() : plan_(Plan::of(kSettings, planned::served(3))) {
    std::string name = (fs::temp_directory_path() / "ct_store_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~Store() override { fs::remove_all(folder_); }

  void deal(StoreShape shape) {
    StoreWriter writer(folder_, plan_, shape);
    for (uint64_t lot = 0; lot < shape.lots; ++lot) EXPECT_TRUE(writer.deal(lot));
    writer.finish();
  }
  fs::path file(int party) const { return StoreWriter::path_of(folder_, party); }

  // Runs both parties; returns what each raised.
  using Program = std::function<void(StoredProvider&, int)>;
  std::vector<std::string> run(const Program& program, PlanSettings settings = kSettings) {
    net::MemoryHub hub(2);
    std::vector<std::string> raised(2);
    std::vector<std::thread> threads;
    for (int p = 0; p < 2; ++p) {
      threads.emplace_back([&, p] {
        Channel channel(hub.transport(p), 0, kTimeout);
        try {
          program(*StoredProvider::open(channel, file(p), settings), p);
        } catch (const StoreError& error) {
          raised[p] = error.what();
        }
        channel.flush();
      });
    }
    for (auto& thread : threads) thread.join();
    return raised;
  }

  void flip(const fs::path& path, uint64_t at) {
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(at);
    stream.put(byte);
  }

  Plan plan_;
  fs::path folder_;
};

// A party's shares of the products of one step after the other.
struct Shares {
  std::vector<at::Tensor> x, weights, products;
};

at::Tensor tensor(uint64_t numel) { return at::empty({static_cast<int64_t>(numel)}, at::kLong); }

void take_step(StoredProvider& provider, int party, MaskName& weight, int number, int64_t rows,
               Shares& out) {
  provider.mark_step(true);
  const bool opens = number == 0 || !provider.is_current(weight);
  const auto mask = [&](uint64_t numel, uint32_t holders, bool long_lived) {
    const MaskName name = provider.take_mask(numel, holders, long_lived);
    at::Tensor share = at::zeros({static_cast<int64_t>(numel)}, at::kLong);
    if (holders >> party & 1)
      provider.mask_prg(name).fill(kMaskStream, 0, share.data_ptr(), 8 * numel);
    (long_lived ? out.weights : out.x).push_back(share);
    return name;
  };
  planned::step(opens ? 0 : 1, rows, weight, mask, [&](const Descriptor& d) {
    const Correlation c = provider.take(d);
    EXPECT_EQ(c.corrections != nullptr, party == 1);
    if (d.kind != Kind::bilinear) return;
    at::Tensor share = tensor(d.correction_bytes() / 8);
    if (c.corrections) {
      std::memcpy(share.data_ptr(), c.corrections.get(), d.correction_bytes());
    } else {
      c.prg.fill(kProductStream, 0, share.data_ptr(), d.correction_bytes());
    }
    out.products.push_back(share);
  });
  if (!opens) out.weights.push_back(out.weights.back());
  provider.mark_step(false);
}

std::vector<Shares> take_steps(StoredProvider& provider, int party, int steps) {
  std::vector<Shares> out(1);
  MaskName weight;
  for (int i = 0; i < steps; ++i) take_step(provider, party, weight, i, 3, out[0]);
  return out;
}

TEST_F(Store, GivesProductsThatAddUpOverSeveralLots) {
  deal({3, 1});
  std::vector<Shares> shares(2);
  const auto raised = run([&](StoredProvider& provider, int p) {
    shares[p] = take_steps(provider, p, 5)[0];
    EXPECT_EQ(provider.dealer_bytes() > 0, p == 1);
  });
  EXPECT_EQ(raised, std::vector<std::string>(2));
  std::set<uint64_t> weights;
  for (int i = 0; i < 5; ++i) {
    const at::Tensor x = (shares[0].x[i] + shares[1].x[i]).view({3, 6});
    const at::Tensor w = (shares[0].weights[i] + shares[1].weights[i]).view({6, 4});
    const at::Tensor product = shares[0].products[i] + shares[1].products[i];
    EXPECT_EQ(words(product), words(at::mm(x, w).view({12}))) << i;
    weights.insert(words(w)[0]);
  }
  EXPECT_EQ(weights.size(), 3u) << "a weight's mask is a lot's";
  StoreFile first(file(0)), second(file(1));
  EXPECT_EQ(StoreClaims(first).left(), 0u);
  EXPECT_EQ(StoreClaims(second).left(), 0u);
}

TEST_F(Store, IsUsedUpOnceAndSaysSo) {
  deal({2, 0});
  std::set<uint64_t> first_words;
  for (int session = 0; session < 2; ++session) {
    std::vector<Shares> shares(2);
    run([&](StoredProvider& provider, int p) { shares[p] = take_steps(provider, p, 1)[0]; });
    first_words.insert(words(shares[1].x[0])[0]);
  }
  EXPECT_EQ(first_words.size(), 2u);
  for (const auto& what : run([](StoredProvider&, int) {})) {
    EXPECT_NE(what.find("used up, and one lot more is needed"), std::string::npos) << what;
    EXPECT_NE(what.find("0 of 2 lots are left"), std::string::npos) << what;
  }
}

TEST_F(Store, ARefusalIsAtBothParties) {
  deal({2, 1});
  const auto expect = [&](const std::string& at_0, const std::string& at_1,
                          const std::vector<std::string>& raised) {
    EXPECT_NE(raised[0].find(at_0), std::string::npos) << raised[0];
    EXPECT_NE(raised[1].find(at_1), std::string::npos) << raised[1];
  };
  const std::string differs = "departs from its plan: correlation 1 of step 1 of the lot";
  expect(differs, differs, run([&](StoredProvider& provider, int p) {
           Shares out;
           MaskName weight;
           take_step(provider, p, weight, 0, 3, out);
           provider.mark_step(true);
           provider.take_mask(18, 2, false);
           provider.take(Descriptor::make_comparison(13, Comparison::relu_truncate, 16));
         }));
  flip(file(1), StoreFile(file(1)).offset_of(1) + 100);
  expect("party 1 cannot use lot 1", "lot 1 of", run([](StoredProvider&, int) {}));
  auto settings = kSettings;
  settings.precision = 20;
  const std::string precision = "was dealt for precision 16, and the session has 20";
  expect(precision, precision, run([](StoredProvider&, int) {}, settings));
  fs::resize_file(file(1), fs::file_size(file(1)) - 1);
  expect("party 1 cannot use its store", "is truncated", run([](StoredProvider&, int) {}));
  fs::copy_file(file(0), file(1), fs::copy_options::overwrite_existing);
  expect("party 1 cannot use its store", "was dealt for party 0", run([](StoredProvider&, int) {}));
  fs::remove(file(0));
  expect("cannot be opened", "was dealt for party 0", run([](StoredProvider&, int) {}));
}

TEST_F(Store, FollowsWhoeverHasUsedMore) {
  deal({5, 0});
  // Party 1 has used lots that party 0 knows nothing of, as after a copy that was put back.
  StoreFile store(file(1));
  StoreClaims claims(store);
  EXPECT_TRUE(claims.claim(0));
  EXPECT_TRUE(claims.claim(1));
  EXPECT_FALSE(claims.claim(1));
  EXPECT_FALSE(claims.claim(5));
  EXPECT_EQ(run([](StoredProvider& provider, int p) { take_steps(provider, p, 3); }),
            std::vector<std::string>(2));
  EXPECT_EQ(claims.left(), 0u);
}

TEST_F(Store, ClaimsOfManyAreDisjoint) {
  deal({200, 0});
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::multiset<uint64_t> claimed;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      StoreFile store(file(0));
      StoreClaims claims(store);
      while (const auto lot = claims.claim_next(0)) {
        const std::lock_guard lock(mutex);
        claimed.insert(*lot);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(claimed.size(), 200u);
  EXPECT_EQ(std::set<uint64_t>(claimed.begin(), claimed.end()).size(), 200u);
}

TEST_F(Store, ALostPositionIsNotForgotten) {
  deal({2, 0});
  const auto claim = [&] {
    StoreFile store(file(0));
    StoreClaims(store).claim_next(0);
  };
  claim();
  const fs::path position = StoreClaims::path_of(file(0));
  flip(position, 9);
  EXPECT_THROW(claim(), StoreError);
  fs::resize_file(position, 33);
  EXPECT_THROW(claim(), StoreError);
  fs::remove(position);
  EXPECT_THROW(claim(), StoreError);
}

TEST_F(Store, EveryAlteredByteOfTheHeaderIsNoticed) {
  deal({1, 0});
  const uint64_t end = 152 + plan_.serialize().size();
  for (uint64_t at = 0; at < end; ++at) {
    if ((at >= 16 && at < 20) || (at >= 148 && at < 152)) continue;  // `used`; reserved
    flip(file(1), at);
    EXPECT_THROW(StoreFile{file(1)}, StoreError) << at;
    flip(file(1), at);
  }
  for (const uint64_t size : {0, 100, 151, 200}) {
    const fs::path cut = folder_ / "cut";
    fs::copy_file(file(1), cut, fs::copy_options::overwrite_existing);
    fs::resize_file(cut, size);
    EXPECT_THROW(StoreFile{cut}, StoreError) << size;
  }
}

TEST_F(Store, GoesOnWhereTheDealerWasStopped) {
  StoreShape shape{4, 2};
  {
    StoreWriter writer(folder_, plan_, shape);
    EXPECT_TRUE(writer.deal(0));
    EXPECT_TRUE(writer.deal(2));
    EXPECT_THROW(StoreWriter(folder_, plan_, shape), StoreError) << "two at once";
    EXPECT_THROW(writer.deal(4), ConfigError);
  }
  EXPECT_THROW(StoreFile{file(0)}, StoreError) << "unfinished";
  EXPECT_THROW(StoreWriter(folder_, plan_, {4, 1}), StoreError);
  EXPECT_THROW(StoreWriter(folder_, Plan::of(kSettings, planned::served(3, 4)), shape), StoreError);
  // Half of lot 3.
  const fs::path part = file(1).string() + ".part";
  fs::resize_file(part, fs::file_size(part) + 100);
  std::vector<bool> dealt;
  {
    StoreWriter writer(folder_, plan_, shape);
    for (uint64_t lot = 0; lot < 4; ++lot) dealt.push_back(writer.deal(lot));
    writer.finish();
  }
  EXPECT_EQ(dealt, (std::vector<bool>{false, true, false, true}));
  EXPECT_THROW(StoreWriter(folder_, plan_, shape), StoreError) << "it is finished";
  EXPECT_EQ(run([](StoredProvider& provider, int p) { take_steps(provider, p, 12); }),
            std::vector<std::string>(2));
  for (int p = 0; p < 2; ++p) {
    struct stat status;
    ASSERT_EQ(::stat(file(p).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
  }
}

TEST_F(Store, AStepThatBrokeOffIsLeftOut) {
  deal({1, 2});
  std::vector<Shares> shares(2);
  const auto raised = run([&](StoredProvider& provider, int p) {
    MaskName weight;
    take_step(provider, p, weight, 0, 3, shares[p]);
    provider.mark_step(true);
    provider.take_mask(18, 2, false);  // and an exception
    take_step(provider, p, weight, 1, 3, shares[p]);
  });
  EXPECT_EQ(raised, std::vector<std::string>(2));
  const at::Tensor x = shares[0].x[1] + shares[1].x[1],
                   w = shares[0].weights[1] + shares[1].weights[1];
  EXPECT_EQ(words(shares[0].products[1] + shares[1].products[1]),
            words(at::mm(x.view({3, 6}), w.view({6, 4})).view({12})));
}

}  // namespace
}  // namespace cryptensor::correlation
