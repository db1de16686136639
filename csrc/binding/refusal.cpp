// SPDX-License-Identifier: MIT
#include "binding/refusal.h"

#include <string>
#include <utility>
#include <vector>

namespace cryptensor::binding {

// The first argument of the last overload. pybind11 tries all overloads without conversions before
// it tries them with; whoever takes no part in the first pass comes last in the second, behind an
// overload that only had to turn an int into a float.
struct Anything {
  py::object value;
};

}  // namespace cryptensor::binding

namespace pybind11::detail {

template <>
struct type_caster<cryptensor::binding::Anything> {
  PYBIND11_TYPE_CASTER(cryptensor::binding::Anything, const_name("object"));
  bool load(handle source, bool convert) {
    value.value = reinterpret_borrow<object>(source);
    return convert;
  }
  static handle cast(const cryptensor::binding::Anything&, return_value_policy, handle) {
    return ellipsis().release();  // stands for an argument that is missing
  }
};

}  // namespace pybind11::detail

namespace cryptensor::binding {
namespace {

std::string type_of(py::handle value) { return Py_TYPE(value.ptr())->tp_name; }

[[noreturn]] void refuse(const std::string& name, const std::string& allowed, const Anything& first,
                         const py::args& others, const py::kwargs& named) {
  std::vector<std::string> types;
  if (!py::isinstance<py::ellipsis>(first.value)) types.push_back(type_of(first.value));
  for (const py::handle other : others) types.push_back(type_of(other));
  for (const auto& [key, value] : named) {
    types.push_back(key.cast<std::string>() + "=" + type_of(value));
  }
  std::string given;
  for (const std::string& type : types) given += (given.empty() ? "" : ", ") + type;
  throw py::type_error(name + "() was called with (" + given + "); allowed: " + allowed);
}

}  // namespace

void refuse_by_type(py::handle scope) {
  const bool is_class = PyType_Check(scope.ptr());
  const auto members = py::dict(scope.attr("__dict__"));
  for (const auto& [key, member] : members) {
    const auto name = key.cast<std::string>();
    if (name.starts_with("_")) continue;
    if (PyType_Check(member.ptr()) || PyModule_Check(member.ptr())) {
      refuse_by_type(member);
      continue;
    }
    if (!py::isinstance<py::function>(member)) continue;
    if (!py::reinterpret_borrow<py::function>(member).is_cpp_function()) continue;
    const auto allowed = py::cast<std::string>(member.attr("__doc__"));
    const auto last = [name, allowed](const Anything& first, const py::args& others,
                                      const py::kwargs& named) {
      refuse(name, allowed, first, others, named);
    };
    const py::object sibling = scope.attr(key);
    const auto first = py::arg_v("_", Anything{}, "...");
    if (is_class) {
      const auto method = [last](const py::object&, const Anything& first, const py::args& others,
                                 const py::kwargs& named) { last(first, others, named); };
      scope.attr(key) = py::cpp_function(method, py::name(name.c_str()), py::is_method(scope),
                                         py::sibling(sibling), first);
    } else {
      scope.attr(key) = py::cpp_function(last, py::name(name.c_str()), py::scope(scope),
                                         py::sibling(sibling), first);
    }
  }
}

}  // namespace cryptensor::binding
