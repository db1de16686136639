// SPDX-License-Identifier: MIT
// The forms of forms.h on values in the clear: for whoever knows a value, and for the oracle.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "protocol/forms.h"

namespace cryptensor::protocol {

// The coefficients of P(x + shift), in the ring.
std::vector<uint64_t> shifted_polynomial(const int64_t* coefficients, int degree, int64_t shift);

std::vector<at::Tensor> evaluate(const Piecewise& form, const at::Tensor& x);
std::vector<at::Tensor> evaluate(const Series& form, const at::Tensor& x);
// The low and the high results.
std::pair<at::Tensor, at::Tensor> evaluate(const PowerOfTwo& form, const at::Tensor& x);

}  // namespace cryptensor::protocol
