// SPDX-License-Identifier: MIT
// Plans, the dealing of stores, and what is left of one.
#include <pybind11/stl.h>

#include "binding/binding.h"
#include "core/errors.h"
#include "correlation/store_claims.h"
#include "correlation/store_writer.h"
#include "protocol/additive/engine.h"

namespace cryptensor::binding {
namespace {

using namespace correlation;
using protocol::Truncation;
using protocol::additive::AdditiveEngine;

std::string as_bytes(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

std::string truncation_name(const PlanSettings& settings) {
  if (settings.truncation == PlanSettings::kDefault) return "default";
  return protocol::name(static_cast<Truncation>(settings.truncation));
}

uint8_t truncation_code(const std::string& kind) {
  if (kind == "default") return PlanSettings::kDefault;
  for (const Truncation t :
       {Truncation::local, Truncation::one_bit, Truncation::interactive, Truncation::exact}) {
    if (kind == protocol::name(t)) return static_cast<uint8_t>(t);
  }
  throw StoreError("the plan has a truncation that no session has");
}

Plan make_plan(uint8_t parties, uint8_t precision, const std::string& truncation, bool checked,
               uint64_t before, uint64_t start, const std::vector<std::string>& entries) {
  std::vector<std::vector<uint8_t>> bodies;
  for (const std::string& entry : entries) bodies.emplace_back(entry.begin(), entry.end());
  return Plan::of({parties, precision, truncation_code(truncation), checked}, before, start,
                  bodies);
}

// Of the engine of the last party, which alone has the list.
Plan plan_of(protocol::Engine& engine) {
  auto* additive = dynamic_cast<AdditiveEngine*>(&engine);
  if (additive == nullptr) throw ConfigError("the session does not record what it takes");
  return Plan::of(additive->plan_settings(), additive->recording());
}

py::list entries(const Plan& plan) {
  py::list out;
  for (const Descriptor& d : plan.entries()) out.append(py::bytes(as_bytes(d.serialize())));
  return out;
}

// What each correlation is, its corrections in bytes and the products that the dealer computes.
py::list rows(const Plan& plan) {
  py::list out;
  for (const Descriptor& d : plan.entries()) {
    out.append(py::make_tuple(describe(d), d.correction_bytes(), multiplications(d)));
  }
  return out;
}

py::dict status(const std::string& path) {
  StoreFile store(path);
  store.check_size();
  const StoreClaims claims(store);
  const auto& settings = store.plan().settings();
  py::dict out;
  out["party"] = store.party();
  out["parties"] = static_cast<int>(settings.parties);
  out["precision"] = static_cast<int>(settings.precision);
  out["truncation"] = truncation_name(settings);
  out["checked"] = settings.checked;
  out["lots"] = store.shape().lots;
  out["lots_left"] = claims.left();
  out["steps"] = store.plan().has_steps() ? store.shape().steps + 1 : 1;
  out["bytes"] = store.file_bytes();
  out["digest"] =
      py::bytes(std::string(store.plan().digest().begin(), store.plan().digest().end()));
  return out;
}

}  // namespace

void bind_store(py::module_& m) {
  py::class_<Plan>(m, "Plan")
      .def(py::init(&make_plan), py::kw_only(), py::arg("parties"), py::arg("precision"),
           py::arg("truncation"), py::arg("checked"), py::arg("before"), py::arg("start"),
           py::arg("entries"))
      .def_static("of", &plan_of, py::arg("engine"))
      .def_property_readonly("parties", [](const Plan& p) { return int{p.settings().parties}; })
      .def_property_readonly("precision", [](const Plan& p) { return int{p.settings().precision}; })
      .def_property_readonly("truncation",
                             [](const Plan& p) { return truncation_name(p.settings()); })
      .def_property_readonly("checked", [](const Plan& p) { return p.settings().checked; })
      .def_property_readonly("before", &Plan::before_size)
      .def_property_readonly("start", &Plan::start_size)
      .def_property_readonly("step", &Plan::step_size)
      .def_property_readonly("digest",
                             [](const Plan& p) {
                               return py::bytes(std::string(p.digest().begin(), p.digest().end()));
                             })
      .def("lot_bytes", &Plan::lot_bytes, py::arg("steps"))
      .def("entries", &entries)
      .def("rows", &rows);
  // Several threads may deal lots of one writer at once.
  py::class_<StoreWriter>(m, "StoreWriter")
      .def(py::init([](const std::string& folder, const Plan& plan, uint64_t lots, uint64_t steps) {
             return std::make_unique<StoreWriter>(folder, plan, StoreShape{lots, steps});
           }),
           py::arg("folder"), py::arg("plan"), py::arg("lots"), py::arg("steps"), release_gil())
      .def("deal", &StoreWriter::deal, py::arg("lot"), release_gil())
      .def("finish", &StoreWriter::finish, release_gil());
  m.def("store_status", &status, py::arg("path"));
}

}  // namespace cryptensor::binding
