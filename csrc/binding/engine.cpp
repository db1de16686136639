// SPDX-License-Identifier: MIT
// Secrets and engines. One call is one whole protocol, without the interpreter lock.
#include <pybind11/stl.h>
#include <torch/extension.h>

#include <optional>

#include "binding/binding.h"
#include "core/errors.h"
#include "fixedpoint/fixedpoint.h"
#include "function/range.h"
#include "protocol/additive/engine.h"
#include "protocol/engines.h"
#include "protocol/plaintext/engine.h"

namespace cryptensor::binding {
namespace {

using namespace protocol;

at::Tensor call(const py::function& fn, const at::Tensor& share) {
  return THPVariable_Unpack(fn(share).ptr());
}

// A tensor, a shape, or None where a party knows neither.
Input parse_input(const py::handle& given) {
  if (given.is_none()) return {};
  if (THPVariable_Check(given.ptr())) return {THPVariable_Unpack(given.ptr()).detach(), {}};
  return {{}, given.cast<std::vector<int64_t>>()};
}

std::vector<Secret> enter(Engine& engine, const py::list& given, int src, bool integers) {
  std::vector<Input> inputs;
  for (const py::handle item : given) {
    inputs.push_back(parse_input(item));
    inputs.back().integers = integers;
  }
  const py::gil_scoped_release no_gil;
  return engine.input(inputs, src);
}

py::list stats(Engine& engine) {
  py::list out;
  for (const auto& [name, cost] : engine.statistics().operations()) {
    py::dict row;
    row["operation"] = name;
    row["calls"] = cost.calls;
    row["rounds"] = cost.rounds;
    row["bytes_sent"] = cost.bytes_sent;
    row["bytes_received"] = cost.bytes_received;
    row["messages"] = cost.messages;
    row["dealer_bytes"] = cost.dealer_bytes;
    row["wait_seconds"] = cost.wait_seconds;
    out.append(row);
  }
  return out;
}

std::shared_ptr<Engine> engine_of(std::shared_ptr<net::Transport> transport, int parties,
                                  const std::string& provider, int precision,
                                  const std::string& truncation, bool checked, bool few_rounds,
                                  double timeout, const std::string& store, bool records,
                                  const std::string& engine) {
  SessionConfig config;
  config.parties = parties;
  config.provider = provider;
  config.store = store;
  config.records = records;
  config.precision = precision;
  config.truncation = parse_truncation(truncation);
  config.checked = checked;
  config.few_rounds = few_rounds;
  config.timeout = std::chrono::milliseconds(static_cast<int64_t>(timeout * 1e3));
  return make_engine(engine, std::move(transport), config);
}

ring::BilinearMap convolution(std::vector<int64_t> stride, std::vector<int64_t> padding,
                              std::vector<int64_t> dilation, int64_t groups) {
  return {ring::Bilinear::convolution,
          {std::move(stride), std::move(padding), std::move(dilation), groups}};
}

}  // namespace

std::optional<Truncation> parse_truncation(const std::string& kind) {
  if (kind == "default") return std::nullopt;
  for (const Truncation t :
       {Truncation::local, Truncation::one_bit, Truncation::interactive, Truncation::exact}) {
    if (kind == name(t)) return t;
  }
  throw ConfigError("truncation is '" + kind +
                    "'; allowed are default, local, one_bit, interactive, exact");
}

void bind_secret(py::module_& m) {
  m.attr("SHARED") = kShared;
  m.attr("PUBLIC") = kPublic;
  py::class_<Secret>(m, "Secret")
      .def_property_readonly("shape", [](const Secret& s) { return s.sizes().vec(); })
      .def_property_readonly("strides", [](const Secret& s) { return s.share().strides().vec(); })
      .def_property_readonly("storage_offset",
                             [](const Secret& s) { return s.share().storage_offset(); })
      .def_property_readonly("fraction_bits", &Secret::fraction_bits)
      // Which of the parties hold parts of a shared value is the engine's own affair.
      .def_property_readonly("owner",
                             [](const Secret& s) { return s.is_shared() ? kShared : s.owner(); })
      .def_property_readonly("version", &Secret::version)
      .def_property_readonly("is_public", &Secret::is_public)
      .def("same_storage", [](const Secret& a, const Secret& b) { return a.store() == b.store(); })
      // fn may only move elements: views, permutations, copies.
      .def("rearrange", [](const Secret& s,
                           const py::function& fn) { return s.rearranged(call(fn, s.share())); })
      .def("rearrange_many",
           [](const Secret& s, const py::function& fn) {
             std::vector<Secret> out;
             for (at::Tensor& t : fn(s.share()).cast<std::vector<at::Tensor>>()) {
               out.push_back(s.rearranged(std::move(t)));
             }
             return out;
           })
      .def("copy",
           [](const Secret& s) { return Secret(s.share().clone(), s.fraction_bits(), s.owner()); })
      // What this party holds of the value, for a file of its own: as secret as that file.
      .def("export_share", [](const Secret& s) { return s.share().clone(); })
      .def("reuse", [](const Secret& s) { s.store()->reused = true; })
      .def("public_value", [](const Secret& s) {
        if (!s.is_public()) throw Error("the value is secret; only reveal() opens it");
        return fixedpoint::decode(s.share(), s.fraction_bits());
      });
}

void bind_engine(py::module_& m) {
  const auto multiply = [] { return ring::BilinearMap{ring::Bilinear::multiply, {}}; };
  py::class_<Engine, std::shared_ptr<Engine>> engine(m, "Engine");
  engine.def_property_readonly("rank", &Engine::rank)
      .def_property("checked", &Engine::checked, &Engine::set_checked)
      .def_property_readonly("parties", &Engine::parties)
      .def_property_readonly("precision", &Engine::precision)
      .def_property_readonly("provider", &Engine::provider)
      .def(
          "input",
          [](Engine& e, const py::object& given, int src, bool integers) {
            py::list one;
            one.append(given);
            return enter(e, one, src, integers)[0];
          },
          py::arg("given"), py::arg("src"), py::arg("integers") = false)
      .def("input_many", &enter, py::arg("given"), py::arg("src"), py::arg("integers") = false)
      .def("public", &Engine::encode_public, release_gil())
      .def(
          "public",
          [](Engine& e, int64_t number) {
            return e.encode_public(at::scalar_tensor(number, at::kLong));
          },
          py::arg("number").noconvert(), release_gil())
      .def(
          "public",
          [](Engine& e, double number) {
            return e.encode_public(at::scalar_tensor(number, at::kDouble));
          },
          py::arg("number"), release_gil())
      .def("share", &Engine::share, release_gil())
      .def("import_share", &Engine::import_share, py::arg("share"), py::arg("fraction_bits"),
           py::arg("owner"))
      .def("add", &function::add, release_gil())
      .def("sub", &function::subtract, release_gil())
      .def("difference", &function::difference, release_gil())
      .def("neg", &Engine::negate, release_gil())
      .def(
          "sum",
          [](Engine& e, const Secret& a, std::vector<int64_t> dims, bool keepdim) {
            return function::sum(e, a, dims, keepdim);
          },
          release_gil())
      .def("cumsum", &function::cumulative_sum, release_gil())
      .def("scale", &function::scale, release_gil())
      .def(
          "mul",
          [multiply](Engine& e, const Secret& a, const Secret& b) {
            return function::product(e, multiply(), a, b);
          },
          release_gil())
      .def(
          "matmul",
          [](Engine& e, const Secret& a, const Secret& b) {
            return function::product(e, {ring::Bilinear::matmul, {}}, a, b);
          },
          release_gil())
      .def(
          "conv",
          [](Engine& e, const Secret& x, const Secret& w, std::vector<int64_t> stride,
             std::vector<int64_t> padding, std::vector<int64_t> dilation, int64_t groups) {
            return function::product(
                e, convolution(std::move(stride), std::move(padding), std::move(dilation), groups),
                x, w);
          },
          release_gil())
      .def("square", &function::square, release_gil())
      .def("settle", &Engine::settle, release_gil())
      .def("settle_together", &Engine::settle_together, release_gil())
      .def(
          "truncate",
          [](Engine& e, const Secret& a, int bits, const std::string& kind) {
            return e.truncate(a, bits, parse_truncation(kind));
          },
          release_gil())
      .def(
          "relu",
          [](Engine& e, const Secret& a, std::optional<double> bound) {
            return e.relu(a, nullptr, bound);
          },
          py::arg("a"), py::arg("bound") = py::none(), release_gil())
      .def(
          "relu_with_sign",
          [](Engine& e, const Secret& a, std::optional<double> bound) {
            std::optional<Secret> sign;
            Secret out = e.relu(a, &sign, bound);
            return std::pair<Secret, Secret>(std::move(out), *std::move(sign));
          },
          py::arg("a"), py::arg("bound") = py::none(), release_gil())
      .def("at_least_zero", &Engine::at_least_zero, release_gil())
      .def(
          "ltz",
          [](Engine& e, const Secret& a) {
            const Secret one(at::ones({}, at::kLong), 0, kPublic);
            return e.subtract(one, e.at_least_zero(a));
          },
          release_gil())
      .def("maximum", &Engine::maximum, release_gil())
      .def("select", &Engine::select, release_gil())
      .def("combine",
           [](Engine& e, const std::vector<Secret>& values, const py::function& fn) {
             const auto aligned = [&] {
               const py::gil_scoped_release no_gil;
               return function::aligned(e, values);
             }();
             std::vector<at::Tensor> shares;
             for (const Secret& s : aligned) shares.push_back(s.share());
             return e.combined(aligned, THPVariable_Unpack(fn(shares).ptr()));
           })
      .def("write", &Engine::write, release_gil())
      .def(
          "reveal",
          [](Engine& e, const Secret& a, std::optional<int> dst) -> std::optional<at::Tensor> {
            at::Tensor out;
            {
              const py::gil_scoped_release no_gil;
              out = e.reveal(a, dst);
            }
            return out.defined() ? std::optional(out) : std::nullopt;
          },
          py::arg("a"), py::arg("dst") = py::none())
      .def("stats", &stats)
      .def("reset_stats", [](Engine& e) { e.statistics().reset(); })
      // The guard gets operation, shape and dst, see Engine::guard_reveals.
      .def("guard_reveals",
           [](Engine& e, py::function guard) {
             e.guard_reveals([guard = std::move(guard)](const RevealRequest& request) {
               const py::gil_scoped_acquire gil;
               guard(request.operation, request.sizes, request.dst);
             });
           })
      .def("reveals", [](Engine& e) { return e.statistics().reveals; })
      .def("mark_step", &Engine::mark_step, py::arg("begins"), release_gil())
      .def("synchronize", &Engine::synchronize, py::arg("bytes") = 8, release_gil())
      .def(
          "shutdown",
          [](Engine& e) {
            e.shutdown();
            e.statistics().close();
          },
          release_gil())
      .def("abort", &Engine::abort, release_gil());
  bind_functions(m, engine);
  bind_rehearsal(m, engine);
  m.attr("ENGINES") = py::tuple(py::cast(engine_names()));
  m.def("make_engine", &engine_of, py::arg("transport"), py::arg("parties"), py::arg("provider"),
        py::arg("precision") = 16, py::arg("truncation") = "default", py::arg("checked") = false,
        py::arg("few_rounds") = false, py::arg("timeout") = 30.0, py::arg("store") = "",
        py::arg("records") = false, py::arg("engine") = "additive", release_gil());
  m.def(
      "plaintext_engine",
      [](int precision, const std::string& truncation, bool checked,
         bool few_rounds) -> std::shared_ptr<Engine> {
        EngineConfig config;
        config.precision = precision;
        config.truncation = parse_truncation(truncation);
        config.checked = checked;
        config.few_rounds = few_rounds;
        return std::make_shared<plaintext::PlaintextEngine>(config);
      },
      py::arg("precision") = 16, py::arg("truncation") = "default", py::arg("checked") = false,
      py::arg("few_rounds") = false);
  m.def(
      "serve_dealer",
      [](std::shared_ptr<net::Transport> transport, int parties, double timeout, size_t memory) {
        additive::serve_dealer(std::move(transport), parties,
                               std::chrono::milliseconds(static_cast<int64_t>(timeout * 1e3)),
                               memory);
      },
      py::arg("transport"), py::arg("parties"), py::arg("timeout"), py::arg("memory") = 0,
      release_gil());
  bind_costs(m);
}

}  // namespace cryptensor::binding
