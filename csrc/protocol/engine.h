// SPDX-License-Identifier: MIT
// The operations on secrets that a front end calls. One call is one whole protocol with all its
// rounds. Engines: additive, replicated, and plaintext (one process, the oracle of the tests).
//
// A value has its own number of fraction bits. Products are left untruncated ("pending") and settle
// when somebody needs them: a comparison truncates in the same rounds. A product needs
// |result| < 2^(62 - fraction bits), which is 2^30 for a product of two 16-bit fractions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/forms.h"
#include "protocol/secret.h"
#include "protocol/statistics.h"
#include "ring/bilinear.h"

namespace cryptensor::protocol {

// See cost.h for rounds and bytes, SECURITY.md for what each assumes. Errors in units of the last
// place.
enum class Truncation : uint8_t {
  local,        // 2 parties, -1..+1, and a wrong result with probability |x| / 2^64
  one_bit,      // 2 parties, 0..+1
  interactive,  // any number, 0..+1 (an opened mask is used again where there is one)
  exact,        // any number, 0: the floor
};
const char* name(Truncation kind);

struct EngineConfig {
  int precision = 16;
  std::optional<Truncation> truncation;  // none: one_bit for two parties, else interactive
  // Values outside a function's domain raise RangeError on every party; that there are none is then
  // known to all.
  bool checked = false;
  // Rounds are what is scarce: fewer of them are worth more comparisons and bytes.
  bool few_rounds = false;
  // One party alone, without peers or dealer: counts and times are true, values mean nothing.
  bool rehearsal = false;
};

// One input tensor of the owner; the others may know the shape only, or nothing.
struct Input {
  at::Tensor values;                               // undefined: not given
  std::optional<std::vector<int64_t>> sizes = {};  // known shape
  // Whole numbers, which get no fraction bits. What the owner says counts.
  bool integers = false;
};

// The largest of each four, and for the first three whether it is that one (the fourth is it where
// none of them is). Of equal ones, the first.
struct Tournament {
  Secret largest;
  std::vector<Secret> wins;  // no fraction bits
};

// A value that loses so many of its fraction bits.
struct Cut {
  Secret value;
  int bits;
};

// [index = target] with no fraction bits, and the candidate where that holds, else 0.
struct Choice {
  Secret chosen, value;
};

// What a reveal is about to open, to whom: `dst` alone, or all. `operation` is what is running,
// from the outermost on with dots between; empty where the program itself reveals.
struct RevealRequest {
  std::string operation;
  std::vector<int64_t> sizes;
  std::optional<int> dst;
};

class Engine {
 public:
  explicit Engine(EngineConfig config) : config_(config) {}
  virtual ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  virtual int rank() const = 0;
  virtual int parties() const = 0;
  // Among how many of them the operands of all but products are shared.
  virtual int sharers() const { return parties(); }
  int precision() const { return config_.precision; }
  bool checked() const { return config_.checked; }
  bool few_rounds() const { return config_.few_rounds; }
  bool rehearses() const { return config_.rehearsal; }
  virtual Dealing dealing() const { return {}; }
  // For arithmetic that is known to stay in range, with more fraction bits than the precision.
  void set_checked(bool on) { config_.checked = on; }
  // The kind that is used where none is asked for.
  Truncation truncation() const {
    const Truncation standard = parties() == 1   ? Truncation::exact
                                : sharers() == 2 ? Truncation::one_bit
                                                 : Truncation::interactive;
    return config_.truncation.value_or(standard);
  }
  Statistics& statistics() { return statistics_; }
  virtual const char* provider() const = 0;
  // A step that the program repeats begins or ends. Only correlations of a store are counted by
  // steps: see correlation/stored.h.
  virtual void mark_step(bool /*begins*/) {}

  // Values of party `src`, owned by it. One round, in which the parties agree on src and shapes.
  // Bad values or shapes raise on every party: RangeError, ConfigError, ShapeError.
  virtual std::vector<Secret> input(const std::vector<Input>& inputs, int src) = 0;
  Secret encode_public(const at::Tensor& values) const;
  // Turns any operand into fresh additive shares. 0 rounds.
  virtual Secret share(const Secret& x) = 0;

  // The value whose part at this party is `share`; all parties bring theirs. ConfigError for
  // anything that no value has. 0 rounds.
  Secret import_share(const at::Tensor& share, int fraction_bits, int owner) const;

  // Linear and local: 0 rounds.
  Secret add(const Secret& a, const Secret& b);
  Secret subtract(const Secret& a, const Secret& b);
  Secret negate(const Secret& a) const;
  Secret sum(const Secret& a, at::IntArrayRef dims, bool keepdim) const;
  Secret cumulative_sum(const Secret& a, int64_t dim) const;
  // By a public number, with as few fraction bits as it needs; may settle `a` first.
  Secret scale(const Secret& a, double factor);
  // a * mantissa / 2^shift exactly: fraction bits grow by `shift`.
  Secret multiplied(const Secret& a, int64_t mantissa, int shift) const;
  // A public number of so many units of the last place.
  Secret public_units(int64_t units, int fraction_bits) const;
  // Joins values (cat, stack): aligned to common fraction bits, ready for one arrangement of
  // shares.
  std::vector<Secret> aligned(const std::vector<Secret>& values) const;
  Secret combined(const std::vector<Secret>& aligned_values, at::Tensor share) const;
  // Replaces the elements that `destination` views. Where that is a part of a value, a pending
  // `source` settles first, and the rest of the value takes on its fraction bits.
  void write(const Secret& destination, const Secret& source);

  // Products are pending: fraction bits add up, operands settle first when too many would result.
  Secret product(const ring::BilinearMap& map, const Secret& a, const Secret& b);
  Secret square(const Secret& a);
  // The same where the caller knows that the result stays below 2^62 in units of its last place:
  // no operand settles, however many fraction bits it has.
  Secret wide_product(const ring::BilinearMap& map, const Secret& a, const Secret& b);

  Secret settle(const Secret& a);
  Secret truncate(const Secret& a, int bits, std::optional<Truncation> kind);
  // Several values, each by its own number of bits, in the rounds of one (but for the exact kind).
  std::vector<Secret> truncate_together(const std::vector<Cut>& cuts);
  std::vector<Secret> settle_together(const std::vector<Secret>& values);

  // max(x, 0), truncated in the same rounds. With `sign`, also [x >= 0] with no fraction bits. With
  // `bound`, |x| < bound is taken as known: the significant bits alone are compared, which is half
  // of the work for a bound up to 2^(31 - precision). Beyond the bound the result is wrong.
  Secret relu(const Secret& a, std::optional<Secret>* sign = nullptr,
              std::optional<double> bound = std::nullopt);
  Secret at_least_zero(const Secret& a);
  Secret maximum(const Secret& a, const Secret& b);
  // bit ? a : b, for a bit without fraction bits.
  Secret select(const Secret& bit, const Secret& a, const Secret& b);

  // Functions of one opening; see forms.h. Thresholds and periods are in units of the last place of
  // `a`. |a| < 2^62 in those units.
  std::vector<Secret> piecewise(const Secret& a, const Piecewise& form);
  std::vector<Secret> series(const Secret& a, const Series& form);
  // The low and the high results.
  std::pair<Secret, Secret> power_of_two(const Secret& a, const PowerOfTwo& form);

  // [a = 0], exactly.
  Secret is_zero(const Secret& a);
  // For integers 0 <= index < size, no fraction bits: the shape of index and one more dimension. An
  // index out of range gives no 1 or a wrong one.
  Secret one_hot(const Secret& index, int64_t size);
  // Element by element, for a shared index of 0 to kMostChoices - 1 without fraction bits.
  Choice choose(const Secret& index, const Secret& candidates, int64_t target);
  static constexpr int64_t kMostChoices = 16;
  // The largest along dimension 0, which has four elements.
  Tournament tournament(const Secret& a);

  // The only way to a clear value. dst: the rank that learns it; none: all. Undefined elsewhere.
  at::Tensor reveal(const Secret& a, std::optional<int> dst);
  // `guard` sees each reveal of a value that is not public before any of it is sent, and forbids it
  // by an exception. It must decide alike at all parties.
  void guard_reveals(std::function<void(const RevealRequest&)> guard) {
    reveal_guard_ = std::move(guard);
  }

  // One round of so many bytes each way: returns when all parties have reached it.
  virtual void synchronize(size_t bytes) = 0;

  virtual void shutdown() = 0;
  virtual void abort() = 0;

  // Excess of fraction bits over two precisions that a product may have: averages by 2 to 16 are
  // divisions that only move the point.
  static constexpr int kSlackBits = 4;

 protected:
  // Encoded, with as many fraction bits as the input has. RangeError, ConfigError.
  at::Tensor encoded_input(const Input& input) const;
  // The value as this party's part of something with `owner`.
  at::Tensor contribution(const Secret& x, int owner) const;
  bool is_local(const Secret& a) const { return !a.is_shared(); }
  at::Tensor zeros_like_share(at::IntArrayRef sizes) const;
  // Does this party hold the clear value of x?
  bool holds(const Secret& x) const { return x.is_public() || x.owner() == rank(); }

  // `value`, computed of a, at those who hold a; zeros elsewhere.
  at::Tensor known(const Secret& a, const at::Tensor& value) const;

  virtual at::Tensor opened(const Secret& a, std::optional<int> dst) = 0;
  virtual Secret shared_product(const ring::BilinearMap& map, const Secret& a, const Secret& b) = 0;
  virtual Secret shared_square(const Secret& a) = 0;
  virtual std::vector<Secret> shared_truncate(const std::vector<Cut>& cuts, Truncation kind) = 0;
  virtual Secret shared_relu(const Secret& a, int shift, std::optional<Secret>* sign,
                             std::optional<int> bits_known) = 0;
  virtual Secret shared_at_least_zero(const Secret& a) = 0;
  virtual std::vector<Secret> shared_piecewise(const Secret& a, const Piecewise& form) = 0;
  virtual std::vector<Secret> shared_series(const Secret& a, const Series& form) = 0;
  virtual std::pair<Secret, Secret> shared_power_of_two(const Secret& a,
                                                        const PowerOfTwo& form) = 0;
  virtual Secret shared_is_zero(const Secret& a) = 0;
  virtual Secret shared_one_hot(const Secret& index, int64_t size) = 0;
  virtual Choice shared_choose(const Secret& index, const Secret& candidates, int64_t target) = 0;
  virtual Tournament shared_tournament(const Secret& a) = 0;

  EngineConfig config_;
  Statistics statistics_;

 private:
  void check_dimensions(const Secret& a) const;
  Truncation checked_truncation(const Cut& cut, std::optional<Truncation> kind) const;
  Secret raised(const Secret& a, int fraction_bits) const;
  Secret local_product(const ring::BilinearMap& map, const Secret& a, const Secret& b) const;
  int product_limit() const { return 2 * config_.precision + kSlackBits; }

  std::function<void(const RevealRequest&)> reveal_guard_;
};

}  // namespace cryptensor::protocol
