// SPDX-License-Identifier: MIT
// What a call with wrong arguments says. pybind11 would print the arguments, and with them tensors
// that are nobody else's business.
#pragma once

#include "binding/binding.h"

namespace cryptensor::binding {

// Gives every function and method of `scope`, a module or a class, and of the classes and modules
// in it, a last overload that raises a TypeError with the types of the arguments.
void refuse_by_type(py::handle scope);

}  // namespace cryptensor::binding
