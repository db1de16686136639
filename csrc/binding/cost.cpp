// SPDX-License-Identifier: MIT
// Declared costs, for the tests and benchmarks that hold engines to them.
#include <pybind11/stl.h>

#include <optional>
#include <variant>

#include "binding/binding.h"
#include "function/cost.h"
#include "protocol/cost.h"
#include "protocol/replicated/cost.h"

namespace cryptensor::binding {
namespace {

using namespace protocol;

py::dict as_dict(const Cost& cost) {
  py::dict out;
  out["rounds"] = cost.rounds;
  out["bytes_sent"] = cost.bytes_sent;
  out["dealer_bytes"] = cost.dealer_bytes;
  return out;
}

// A number of parties, or an engine: what this party of it pays.
using Paid = std::variant<int, std::shared_ptr<Engine>>;
Payer payer_of(const Paid& paid) {
  const auto* engine = std::get_if<std::shared_ptr<Engine>>(&paid);
  return engine == nullptr ? Payer(std::get<int>(paid)) : Payer(**engine);
}

// Of whole functions: parties and precision come first.
void bind_function_costs(py::module_& m) {
  namespace of = function::cost;
  const auto def = [&m](const char* name, auto cost) {
    // The arguments behind the session are those of `cost`.
    [&]<class C, class... A>(Cost (C::*)(const of::Session&, A...) const) {
      m.def(name, [cost](const Paid& parties, int precision, A... rest) {
        return as_dict(cost({payer_of(parties), precision}, rest...));
      });
    }(&decltype(cost)::operator());
  };
  using Bits = std::optional<int>;
  def("activation", [](const of::Session& s, std::string name, size_t n, bool with_derivative) {
    return of::smooth(s, function::smooth_function(name), n, with_derivative);
  });
  def("sin_cos", [](const of::Session& s, size_t n) { return of::sin_cos(s, n); });
  def("exp", [](const of::Session& s, size_t n) { return of::exp(s, n); });
  def("log", [](const of::Session& s, size_t n) { return of::log(s, n); });
  def("power", [](const of::Session& s, size_t n, double a) { return of::power(s, n, a); });
  def("reciprocal",
      [](const of::Session& s, size_t n, Bits bits) { return of::reciprocal(s, n, bits); });
  def("quotient",
      [](const of::Session& s, size_t n, int bits) { return of::quotient(s, n, bits); });
  def("softmax",
      [](const of::Session& s, size_t rows, size_t n) { return of::softmax(s, rows, n); });
  def("log_softmax",
      [](const of::Session& s, size_t rows, size_t n) { return of::log_softmax(s, rows, n); });
  def("standardize", [](const of::Session& s, size_t rows, size_t n, double eps) {
    return of::standardize(s, rows, n, eps);
  });
  def("largest", [](const of::Session& s, size_t rows, size_t n, bool with_index) {
    return of::largest(s, rows, n, with_index);
  });
  def("largest_in_few_rounds", [](const of::Session& s, size_t rows, size_t n, bool with_index) {
    return of::largest({s.payer, s.precision, true}, rows, n, with_index);
  });
  def("sort", [](const of::Session& s, size_t rows, size_t n, bool with_indices) {
    return of::sort(s, rows, n, with_indices);
  });
  def("unsort", [](const of::Session& s, size_t rows, size_t n) { return of::unsort(s, rows, n); });
}

}  // namespace

void bind_costs(py::module_& parent) {
  py::module_ m =
      parent.def_submodule("cost", "What each protocol declares that it costs one party.");
  // What is between the parties among whom the operands are shared.
  const auto of_sharers = [](const Paid& paid, const auto& cost) {
    const Payer payer = payer_of(paid);
    return as_dict(payer.part_of(cost(payer.sharers())));
  };
  m.def("relu", [=](size_t n, const Paid& parties, int shift) {
    return of_sharers(parties, [&](int k) { return cost::relu(n, k, shift); });
  });
  m.def("at_least_zero", [=](size_t n, const Paid& parties) {
    return of_sharers(parties, [&](int k) { return cost::at_least_zero(n, k); });
  });
  m.def("truncate", [=](const std::string& kind, size_t n, const Paid& parties, int bits) {
    const Truncation truncation = parse_truncation(kind).value();
    return of_sharers(parties, [&](int k) { return cost::truncate(truncation, n, k, bits); });
  });
  m.def("product", [](size_t left, size_t right, size_t out, const Paid& parties) {
    const Payer payer = payer_of(parties);
    return as_dict(payer.replicated ? replicated::cost::product({{left}, {right}}, payer.rank)
                                    : cost::product(left, right, out, payer.parties));
  });
  m.def("owned_product",
        [](size_t known, bool known_is_open, size_t sent, size_t out, int parties) {
          const auto both = cost::owned_product(known, known_is_open, sent, out, parties);
          return py::make_tuple(as_dict(both.owner), as_dict(both.others));
        });
  m.def("square", [](size_t n, const Paid& parties) {
    const Payer payer = payer_of(parties);
    return as_dict(payer.replicated ? replicated::cost::product({{n}}, payer.rank)
                                    : cost::square(n, payer.parties));
  });
  m.def("reveal", [](size_t n, int parties) { return as_dict(cost::reveal(n, parties)); });
  m.def("piecewise", [=](size_t n, const Paid& parties, const std::vector<int64_t>& thresholds,
                         int degree) {
    return of_sharers(parties, [&](int k) { return cost::piecewise(n, k, thresholds, degree); });
  });
  m.def("series", [=](size_t n, const Paid& parties, int harmonics) {
    return of_sharers(parties, [&](int k) { return cost::series(n, k, harmonics); });
  });
  m.def("power_of_two", [=](size_t n, const Paid& parties, int entries) {
    return of_sharers(parties, [&](int k) { return cost::power_of_two(n, k, entries); });
  });
  m.def("is_zero", [=](size_t n, const Paid& parties) {
    return of_sharers(parties, [&](int k) { return cost::is_zero(n, k); });
  });
  m.def("one_hot", [](size_t n, const Paid& parties, size_t size) {
    const Payer payer = payer_of(parties);
    const auto both = cost::one_hot(n, payer.sharers(), size);
    return py::make_tuple(as_dict(payer.part_of(both.last)), as_dict(payer.part_of(both.others)));
  });
  m.def("choose", [=](size_t n, const Paid& parties) {
    return of_sharers(parties, [&](int k) { return cost::choose(n, k); });
  });
  m.def("tournament", [=](size_t groups, const Paid& parties) {
    return of_sharers(parties, [&](int k) { return cost::tournament(groups, k); });
  });
  // Of the replicated engine: operands that were not replicated before, as (elements, owner), where
  // PAIR owns what parties 0 and 1 share.
  m.attr("PAIR") = kPair;
  m.def("replicated_product", [](const std::vector<std::pair<size_t, int>>& operands, int rank) {
    std::vector<replicated::cost::Operand> given;
    for (const auto& [n, owner] : operands) given.push_back({n, owner});
    return as_dict(replicated::cost::product(given, rank));
  });
  m.def("handover",
        [](size_t n, int rank) { return as_dict(replicated::cost::handover(n, rank)); });
  m.def("replicated_reveal",
        [](size_t n, int owner, bool is_replicated, std::optional<int> dst, int rank) {
          const auto to = dst ? additive::only(*dst) : additive::everyone(3);
          return as_dict(replicated::cost::reveal(n, owner, is_replicated, to, rank));
        });
  bind_function_costs(m);
}

}  // namespace cryptensor::binding
