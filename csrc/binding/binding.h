// SPDX-License-Identifier: MIT
#pragma once

#include <torch/csrc/utils/pybind.h>

#include <memory>
#include <optional>
#include <string>

#include "protocol/engine.h"

namespace cryptensor::binding {

namespace py = pybind11;

void bind_errors(py::module_& m);
void bind_transports(py::module_& m);
void bind_interference(py::module_& m);
void bind_secret(py::module_& m);
void bind_engine(py::module_& m);
void bind_costs(py::module_& parent);
void bind_store(py::module_& m);
void bind_functions(py::module_& m,
                    py::class_<protocol::Engine, std::shared_ptr<protocol::Engine>>& engine);

void bind_rehearsal(py::module_& m,
                    py::class_<protocol::Engine, std::shared_ptr<protocol::Engine>>& engine);

std::optional<protocol::Truncation> parse_truncation(const std::string& kind);  // ConfigError

// Protocols run for as long as the network takes.
using release_gil = py::call_guard<py::gil_scoped_release>;

}  // namespace cryptensor::binding
