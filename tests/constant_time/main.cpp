// SPDX-License-Identifier: MIT
// Runs protocols under valgrind with all secrets marked as undefined memory: inputs, seeds, and
// with them shares and masks. A branch or an address that depends on one is an error that valgrind
// counts. Exits with 1 where the counts are not the expected ones, with 2 outside valgrind.
//
// The tables of a dealer apart are the exception: to prepare a series or a power of two it reads
// them at its own masks, which it made and may know. They are secret from the parties, who see of
// this neither the time (corrections are made ahead, in batches) nor the caches, unless they share
// the dealer's host; SECURITY.md excludes that.
//
// Valgrind knows no AVX-512: what runs here are the portable kernels. The vector kernels take the
// same steps in wider lanes, but nothing checks what the compiler makes of them.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "constant_time/marking_transport.h"
#include "correlation/point_function.h"
#include "crypto/prg.h"
#include "fixedpoint/fixedpoint.h"
#include "function/normalization.h"
#include "function/order.h"
#include "function/piecewise.h"
#include "function/power.h"
#include "function/smooth.h"
#include "net/memory_transport.h"
#include "protocol/additive/engine.h"

namespace cryptensor::constant_time {
namespace {

using protocol::Engine;
using protocol::Secret;
using protocol::Truncation;

// More than the 64 of a word of bits, and no multiple of it.
constexpr int64_t kElements = 70;

// For each tensor that is encoded, whether all of it is in range is asked once, and the answer is
// an error at all parties or none.
constexpr size_t kDecisions = 1;

at::Tensor secret_values(int64_t n) {
  at::Tensor values = at::arange(n, at::kDouble).sub(n / 2.0).mul(0.37);
  mark_secret(values.data_ptr(), values.nbytes());
  return values;
}

struct Operands {
  Engine& engine;
  Secret x, y;  // shared
};
using Program = std::function<void(const Operands&)>;

void party(const std::shared_ptr<net::Transport>& transport, int parties, bool third_party,
           const Program& program) {
  protocol::additive::AdditiveConfig config;
  config.parties = parties;
  config.third_party = third_party;
  config.timeout = std::chrono::minutes(5);
  protocol::additive::AdditiveEngine engine(transport, config);
  std::vector<Secret> inputs;
  for (int src = 0; src < 2; ++src) {
    protocol::Input input;
    input.sizes = {kElements};
    if (engine.rank() == src) input.values = secret_values(kElements);
    inputs.push_back(engine.share(engine.input({input}, src)[0]));
  }
  program({engine, inputs[0], inputs[1]});
  engine.shutdown();
}

void in_session(int parties, bool third_party, const Program& program) {
  const int ranks = parties + (third_party ? 1 : 0);
  net::MemoryHub hub(ranks);
  std::vector<std::thread> threads;
  std::exception_ptr failure;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      at::set_num_threads(1);
      const auto transport = std::make_shared<MarkingTransport>(hub.transport(rank));
      try {
        if (rank < parties) {
          party(transport, parties, third_party, program);
        } else {
          protocol::additive::serve_dealer(transport, parties, std::chrono::minutes(5));
        }
      } catch (...) {
        failure = std::current_exception();
        hub.abort(rank);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

// The errors that valgrind counts while `work` runs; equal ones count each time.
size_t errors_of(const std::function<void()>& work) {
  const size_t before = VALGRIND_COUNT_ERRORS;
  work();
  return VALGRIND_COUNT_ERRORS - before;
}

int failures = 0;

void report(const std::string& name, size_t errors, bool good) {
  std::printf("%-40s %4zu %s\n", name.c_str(), errors, good ? "ok" : "FAILED");
  std::fflush(stdout);
  failures += good ? 0 : 1;
}

// A test that cannot fail shows nothing: these depend on a secret, and must be seen.
volatile int sink = 0;

void branch(const Operands& o) {
  if (o.x.share().const_data_ptr<int64_t>()[3] > 0) sink = 1;
}

void look_up(const Operands& o) {
  static const int table[4] = {7, 5, 3, 1};
  sink = table[o.x.share().const_data_ptr<int64_t>()[3] & 3];
}

void check_planted() {
  const std::pair<const char*, Program> leaks[] = {{"a planted branch", branch},
                                                   {"a planted address", look_up}};
  for (const auto& [name, leak] : leaks) {
    const size_t errors = errors_of([&] { in_session(2, false, leak); });
    report(name, errors, errors > 2 * kDecisions);
  }
}

void check_prg() {
  crypto::Key key;
  mark_secret(key.bytes.data(), key.bytes.size());
  uint8_t bytes[1000];
  const size_t errors = errors_of([&] {
    const crypto::Prg prg(key);
    prg.fill(1, 2, bytes, sizeof bytes);
    const crypto::Prg child(prg.subkey(3, 4));
    child.fill(0, 0, bytes, 17);
    crypto::derive(key, "purpose", 1, 2);
  });
  report("keys and their streams", errors, errors == 0);
}

void check_encoding() {
  for (const int64_t n : {10, 1000}) {
    const at::Tensor values = secret_values(n), integers = values.to(at::kLong);
    const size_t errors = errors_of([&] {
      const at::Tensor encoded = fixedpoint::encode(values, 16);
      fixedpoint::decode(encoded, 16);
    });
    report("encode and decode " + std::to_string(n) + " numbers", errors, errors == kDecisions);
    const size_t of_integers = errors_of([&] { fixedpoint::encode(integers, 16); });
    report("encode " + std::to_string(n) + " integers", of_integers, of_integers == kDecisions);
  }
}

// The one-hot of many entries: its protocol reads a table at the opened index, which is public.
void check_points() {
  constexpr int kBits = 12;
  const correlation::PointFunction function(kBits);
  uint64_t point = 1234, words[correlation::PointFunction::public_words(kBits)];
  crypto::Block first{1, 2}, second{}, difference{3, 4};
  mark_secret(&point, sizeof point);
  mark_secret(&first, sizeof first);
  mark_secret(&difference, sizeof difference);
  std::vector<uint64_t> share(size_t{1} << kBits);
  const size_t errors = errors_of([&] {
    function.make_key(point, first, difference, &second, words);
    function.evaluate(0, first, words, share.data());
    function.evaluate(1, second, words, share.data());
  });
  report("keys of points and their vectors", errors, errors == 0);
}

struct Case {
  const char* name;
  Program run;
  // To prepare a series or a power of two, the dealer reads tables at its own mask.
  bool dealer_reads_tables = false;
};

const std::vector<Case>& cases() {
  const auto truncation = [](Truncation kind, int bits) {
    return [=](const Operands& o) { o.engine.truncate(o.x, bits, kind); };
  };
  static const ring::BilinearMap multiply{ring::Bilinear::multiply, {}};
  static const std::vector<Case> all = {
      {"reveal", [](const Operands& o) { o.engine.reveal(o.x, std::nullopt); }},
      {"mul", [](const Operands& o) { o.engine.settle(o.engine.product(multiply, o.x, o.y)); }},
      {"square", [](const Operands& o) { o.engine.settle(o.engine.square(o.x)); }},
      {"truncate interactive", truncation(Truncation::interactive, 16)},
      {"truncate exact", truncation(Truncation::exact, 13)},
      {"relu", [](const Operands& o) { o.engine.relu(o.x); }},
      {"relu of a product",
       [](const Operands& o) { o.engine.relu(o.engine.product(multiply, o.x, o.y)); }},
      {"relu of a known range", [](const Operands& o) { o.engine.relu(o.x, nullptr, 100.0); }},
      {"at_least_zero and select",
       [](const Operands& o) { o.engine.select(o.engine.at_least_zero(o.x), o.x, o.y); }},
      {"maximum", [](const Operands& o) { o.engine.maximum(o.x, o.y); }},
      {"is_zero", [](const Operands& o) { o.engine.is_zero(o.x); }},
      {"one_hot",
       [](const Operands& o) {
         o.engine.one_hot(o.engine.truncate(o.x, 16, Truncation::exact), 9);
       }},
      {"choose",
       [](const Operands& o) {
         o.engine.choose(o.engine.truncate(o.x, 16, Truncation::exact), o.x, 3);
       }},
      {"piecewise",
       [](const Operands& o) {
         function::piecewise(o.engine, o.x, {-1.0, 1.5},
                             {{{-1.0}, {0.0, 1.0}, {0.0, 0.0, 0.0, 1.0}}});
       }},
      {"sin_cos", [](const Operands& o) { function::sin_cos(o.engine, o.x); }, true},
      {"exp", [](const Operands& o) { function::exp(o.engine, o.x); }, true},
      {"log", [](const Operands& o) { function::log(o.engine, o.x); }, true},
      {"rsqrt", [](const Operands& o) { function::power(o.engine, o.x, -0.5); }, true},
      {"sort",
       [](const Operands& o) {
         function::sort(o.engine, o.x.rearranged(o.x.share().reshape({14, 5})), 1, false, true);
       }},
      {"softmax",
       [](const Operands& o) {
         function::softmax(o.engine, o.x.rearranged(o.x.share().reshape({14, 5})), 1);
       },
       true},
  };
  return all;
}

void check_protocols(const std::string& only) {
  struct Setting {
    const char* name;
    int parties;
    bool third_party;
  };
  for (const auto& [setting, parties, third_party] :
       {Setting{"2, dealer", 2, true}, {"2", 2, false}, {"3, dealer", 3, true}}) {
    for (const auto& [name, run, dealer_reads_tables] : cases()) {
      // Without a dealer apart, each party deals a part.
      if ((!only.empty() && only != name) || (dealer_reads_tables && !third_party)) continue;
      const size_t errors = errors_of([&] { in_session(parties, third_party, run); });
      report(std::string(name) + " (" + setting + ")", errors, errors == 2 * kDecisions);
    }
  }
  if (!only.empty()) return;
  const size_t errors = errors_of([&] {
    in_session(2, true, [](const Operands& o) { o.engine.truncate(o.x, 16, Truncation::one_bit); });
  });
  report("truncate one_bit (2, dealer)", errors, errors == 2 * kDecisions);
}

}  // namespace
}  // namespace cryptensor::constant_time

int main(int argc, char** argv) {
  using namespace cryptensor::constant_time;
  if (!RUNNING_ON_VALGRIND) {
    std::puts("run it under valgrind: make constant-time");
    return 2;
  }
  at::set_num_threads(1);
  check_planted();
  check_prg();
  check_encoding();
  check_points();
  check_protocols(argc > 1 ? argv[1] : "");
  if (failures > 0) std::printf("%d failed; the log of valgrind says where\n", failures);
  return failures > 0 ? 1 : 0;
}
