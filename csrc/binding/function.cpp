// SPDX-License-Identifier: MIT
// Functions of secrets, as methods of the engine.
#include <pybind11/stl.h>
#include <torch/extension.h>

#include <optional>

#include "binding/binding.h"
#include "function/normalization.h"
#include "function/order.h"
#include "function/piecewise.h"
#include "function/power.h"
#include "function/smooth.h"

namespace cryptensor::binding {

using protocol::Engine;
using protocol::Secret;

void bind_functions(py::module_& m, py::class_<Engine, std::shared_ptr<Engine>>& engine) {
  py::class_<function::SortingNetwork>(m, "SortingNetwork");
  engine.def("piecewise", &function::piecewise, py::arg("x"), py::arg("thresholds"),
             py::arg("outputs"), release_gil());
  engine.def(
      "activation",
      [](Engine& e, const std::string& name, const Secret& x) {
        return function::smooth(e, function::smooth_function(name), x);
      },
      release_gil());
  engine.def(
      "activation_with_derivative",
      [](Engine& e, const std::string& name, const Secret& x) {
        return function::smooth_with_derivative(e, function::smooth_function(name), x);
      },
      release_gil());
  engine.def("sin_cos", &function::sin_cos, release_gil());
  engine.def("exp", &function::exp, release_gil());
  engine.def("log", [](Engine& e, const Secret& x) { return function::log(e, x); }, release_gil());
  engine.def(
      "power",
      [](Engine& e, const Secret& x, double exponent) { return function::power(e, x, exponent); },
      release_gil());
  m.attr("INVERSE_BITS") = function::kInverseBits;
  engine.def("reciprocal", &function::reciprocal, py::arg("x"),
             py::arg("fraction_bits") = py::none(), release_gil());
  engine.def("quotient", &function::quotient, release_gil());
  engine.def("softmax", &function::softmax, release_gil());
  engine.def("log_softmax", &function::log_softmax, release_gil());
  engine.def("logsumexp", &function::logsumexp, release_gil());
  engine.def(
      "standardize",
      [](Engine& e, const Secret& x, double eps, const std::optional<Secret>& weight) {
        const auto out = function::standardize(e, x, eps, weight);
        return std::make_tuple(out.values, out.mean, out.inverse_deviation);
      },
      py::arg("x"), py::arg("eps"), py::arg("weight") = py::none(), release_gil());
  engine.def("largest", &function::largest, release_gil());
  engine.def("largest_with_index", &function::largest_with_index, release_gil());
  engine.def(
      "sort",
      [](Engine& e, const Secret& x, int64_t dim, bool descending) {
        return function::sort(e, x, dim, descending, false).values;
      },
      release_gil());
  engine.def(
      "sort_with_index",
      [](Engine& e, const Secret& x, int64_t dim, bool descending) {
        auto out = function::sort(e, x, dim, descending, true);
        return std::make_tuple(out.values, *out.indices, *std::move(out.network));
      },
      release_gil());
  engine.def(
      "unsort",
      [](Engine& e, const function::SortingNetwork& network, const Secret& sorted) {
        return function::unsort(e, network, sorted);
      },
      release_gil());
  engine.def("is_zero", &Engine::is_zero, release_gil());
  engine.def("one_hot", &Engine::one_hot, release_gil());
}

}  // namespace cryptensor::binding
