// SPDX-License-Identifier: MIT
// An engine without peers, for counting what a program costs.
#include "binding/binding.h"
#include "net/rehearsal_transport.h"
#include "protocol/additive/engine.h"

namespace cryptensor::binding {
namespace {

using namespace protocol;

std::shared_ptr<Engine> rehearsal_engine(int rank, int parties, int precision,
                                         const std::string& truncation, bool checked,
                                         bool few_rounds) {
  additive::AdditiveConfig config;
  config.parties = parties;
  config.third_party = true;
  config.precision = precision;
  config.truncation = parse_truncation(truncation);
  config.checked = checked;
  config.few_rounds = few_rounds;
  config.rehearsal = true;
  return std::make_shared<additive::AdditiveEngine>(
      std::make_shared<net::RehearsalTransport>(rank, parties + 1), config);
}

}  // namespace

void bind_rehearsal(py::module_& m, py::class_<Engine, std::shared_ptr<Engine>>& engine) {
  engine.def_property_readonly("rehearses", &Engine::rehearses).def("dealing", [](const Engine& e) {
    const Dealing dealt = e.dealing();
    return py::make_tuple(dealt.seconds, dealt.requests);
  });
  m.def("rehearsal_engine", &rehearsal_engine, py::arg("rank"), py::arg("parties"),
        py::arg("precision") = 16, py::arg("truncation") = "default", py::arg("checked") = false,
        py::arg("few_rounds") = false, release_gil());
}

}  // namespace cryptensor::binding
