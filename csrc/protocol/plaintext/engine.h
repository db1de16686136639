// SPDX-License-Identifier: MIT
// The oracle: the same operations by one process that knows everything. Truncations round down and
// nothing fails by chance, so a protocol's result is this one within its declared error.
#pragma once

#include "protocol/engine.h"

namespace cryptensor::protocol::plaintext {

class PlaintextEngine final : public Engine {
 public:
  explicit PlaintextEngine(EngineConfig config);

  int rank() const override { return 0; }
  int parties() const override { return 1; }
  const char* provider() const override { return "plaintext"; }

  std::vector<Secret> input(const std::vector<Input>& inputs, int src) override;
  Secret share(const Secret& x) override {
    return Secret(x.share().clone(), x.fraction_bits(), kShared);
  }
  void synchronize(size_t) override {}
  void shutdown() override {}
  void abort() override {}

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
};

}  // namespace cryptensor::protocol::plaintext
