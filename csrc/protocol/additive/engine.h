// SPDX-License-Identifier: MIT
// The engine of n >= 2 parties with additive shares and a dealer. Semi-honest parties; the dealer
// is none of them and colludes with none.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "correlation/plan.h"
#include "correlation/provider.h"
#include "correlation/selection_layout.h"
#include "net/channel.h"
#include "protocol/additive/exchange.h"
#include "protocol/additive/links.h"
#include "protocol/engine.h"

namespace cryptensor::protocol::additive {

struct AdditiveConfig : EngineConfig {
  int parties = 2;
  bool third_party = false;  // the dealer is rank `parties` of the transport; else the last party
  std::string store;         // this party's file of dealt correlations; empty: there is a dealer
  bool records = false;      // notes what is taken, see recording()
  std::chrono::milliseconds timeout{30000};
};

class AdditiveEngine : public Engine {
 public:
  // Shakes hands with all others. ConfigError on every party when their settings differ.
  AdditiveEngine(std::shared_ptr<net::Transport> transport, const AdditiveConfig& config);
  ~AdditiveEngine() override;

  int rank() const override { return links_.rank(); }
  int parties() const override { return links_.parties(); }
  const char* provider() const override {
    return stored() ? "stored" : config_.third_party ? "third_party" : "first_party";
  }

  Dealing dealing() const override;

  std::vector<Secret> input(const std::vector<Input>& inputs, int src) override;
  Secret share(const Secret& x) override;
  void mark_step(bool begins) override { provider_->mark_step(begins); }
  // What was taken so far, at the last party. ConfigError where the session does not record.
  const correlation::Recording& recording() const;
  correlation::PlanSettings plan_settings() const;
  void synchronize(size_t bytes) override;
  void shutdown() override;
  void abort() override { links_.channel().abort(); }

 protected:
  at::Tensor opened(const Secret& a, std::optional<int> dst) override;
  Secret shared_product(const ring::BilinearMap& map, const Secret& a, const Secret& b) override;
  Secret shared_square(const Secret& a) override;
  std::vector<Secret> shared_truncate(const std::vector<Cut>& cuts, Truncation kind) override;
  Secret shared_relu(const Secret& a, int shift, std::optional<Secret>* sign,
                     std::optional<int> bits_known) override;
  Secret shared_at_least_zero(const Secret& a) override;
  std::vector<Secret> shared_piecewise(const Secret& a, const Piecewise& form) override;
  std::vector<Secret> shared_series(const Secret& a, const Series& form) override;
  std::pair<Secret, Secret> shared_power_of_two(const Secret& a, const PowerOfTwo& form) override;
  Secret shared_is_zero(const Secret& a) override;
  Secret shared_one_hot(const Secret& index, int64_t size) override;
  Choice shared_choose(const Secret& index, const Secret& candidates, int64_t target) override;
  Tournament shared_tournament(const Secret& a) override;

  const Links& links() const { return links_; }

 private:
  // A value on its way to being opened under a mask: cached already, or an item of an exchange.
  struct Masking;
  Masking prepare(Exchange& exchange, const Secret& x, PartySet holders, PartySet receivers);
  void complete(const Exchange& exchange, Masking& masking) const;

  void handshake();
  bool stored() const { return !config_.store.empty(); }
  std::unique_ptr<correlation::Provider> first_party(const crypto::Key& root) const;
  bool is_open(const Secret& x) const;
  Secret beaver_product(const ring::BilinearMap& map, const Secret& a, const Secret& b);
  Secret owned_product(const ring::BilinearMap& map, const Secret& a, const Secret& b,
                       bool left_is_owner);
  at::Tensor dealt_product(const ring::BilinearMap& map, const Masking& left, const Masking& right);
  Secret truncate_local(const Secret& a, int bits) const;
  at::Tensor with_random_low_bits(const at::Tensor& share, int bits);
  std::vector<Secret> truncate_one_bit(const std::vector<Cut>& cuts);
  std::vector<Secret> truncate_opened(const std::vector<Cut>& cuts);
  Secret truncate_exact(const Secret& a, int bits);
  Secret compare(const Secret& a, correlation::Comparison mode, int shift,
                 std::optional<Secret>* sign, std::optional<int> bits_known);
  static Buffer open_under(const correlation::Correlation& dealt, Round& round, const at::Tensor& x,
                           const correlation::CharactersLayout& layout);
  void one_hot_by_tables(const at::Tensor& x, const correlation::OneHotLayout& layout,
                         uint64_t* out);
  void one_hot_by_points(const at::Tensor& x, const correlation::OneHotLayout& layout,
                         uint64_t* out);
  at::Tensor zero_share(at::IntArrayRef sizes);
  at::Tensor mask_share(const correlation::MaskName& mask, at::IntArrayRef sizes) const;
  bool adds_constants() const { return rank() == 0; }

  AdditiveConfig config_;
  Links links_;
  std::unique_ptr<correlation::Provider> provider_;
  std::vector<std::unique_ptr<crypto::Prg>> pair_prgs_;  // one with each other party
  uint64_t zero_shares_ = 0;
  bool running_ = true;
};

correlation::Significant significant_bits(std::optional<int> bits_known);

// The thresholds as the protocol compares with them, less a public base.
std::vector<uint64_t> less_base(const std::vector<int64_t>& thresholds, int64_t base);
std::vector<uint64_t> relative_thresholds(const std::vector<int64_t>& thresholds);

// Runs the dealer of a session with `parties` parties until they are done. `memory`: bytes that it
// may hold for them, 0 for any number; see correlation/serving.h.
void serve_dealer(std::shared_ptr<net::Transport> transport, int parties,
                  std::chrono::milliseconds timeout, size_t memory = 0);

}  // namespace cryptensor::protocol::additive
