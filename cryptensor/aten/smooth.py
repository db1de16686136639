# SPDX-License-Identifier: MIT
"""Smooth activations: trigonometric series on a window, straight lines beyond it, in one run.

|error| <= 2^-11 on the whole encodable range, value and derivative. The derivative that a backward
formula wants comes out of the opening of the forward pass and waits in the input's memo.

6 rounds, and each of two parties sends 25 to 28 bytes an element; elu takes 4 rounds and 12 bytes
more.
"""

from __future__ import annotations

from typing import Any

import torch

from .. import _C
from ..errors import ConfigError
from ..tensor import CrypTensor
from .operands import encode, engine_of, factor, float_dtype, lifted, wants_gradient, wrap
from .piecewise import times
from .table import implements

aten = torch.ops.aten

# softplus leaves out the switch to a straight line where it is smaller than the error bound.
_LEAST_THRESHOLD = 8.0


def _sigmoid(x: CrypTensor) -> _C.Secret:
    """sigmoid, which is also the derivative of softplus; once for a value."""
    found = x._memo.find("sigmoid", x._secret)
    return x._engine.activation("sigmoid", x._secret) if found is None else found


@implements(aten.sigmoid.default)
def sigmoid(x: CrypTensor) -> CrypTensor:
    return wrap(_sigmoid(x), x._engine, float_dtype(x))


@implements(aten.sigmoid_backward.default)
def sigmoid_backward(grad: Any, y: Any) -> CrypTensor:
    """grad * (y - y^2). Cost: two products one after another."""
    engine = engine_of(grad, y)
    value = factor(engine, y)
    return times(engine, grad, engine.sub(value, engine.square(value)), y.dtype)


@implements(aten.tanh.default)
def tanh(x: CrypTensor) -> CrypTensor:
    return wrap(x._engine.activation("tanh", x._secret), x._engine, float_dtype(x))


@implements(aten.tanh_backward.default)
def tanh_backward(grad: Any, y: Any) -> CrypTensor:
    """grad * (1 - y^2). Cost: two products one after another."""
    engine = engine_of(grad, y)
    slope = engine.sub(encode(engine, 1.0), engine.square(factor(engine, y)))
    return times(engine, grad, slope, y.dtype)


@implements(aten.erf.default)
def erf(x: CrypTensor) -> CrypTensor:
    """The gradient goes through cryptensor.functions, which keeps the derivative."""
    return wrap(x._engine.activation("erf", x._secret), x._engine, float_dtype(x))


def _with_derivative(name: str, x: CrypTensor) -> CrypTensor:
    if not wants_gradient(x):
        return wrap(x._engine.activation(name, x._secret), x._engine, x.dtype)
    value, derivative = x._engine.activation_with_derivative(name, x._secret)
    x._memo.keep(name, x._secret, derivative)
    return wrap(value, x._engine, x.dtype)


def _gradient(name: str, grad: Any, x: Any) -> CrypTensor:
    engine = engine_of(grad, x)
    x = lifted(engine, x)
    derivative = x._memo.find(name, x._secret)
    if derivative is None:
        derivative = engine.activation_with_derivative(name, x._secret)[1]
    return times(engine, grad, derivative, x.dtype)


def _gelu_name(approximate: str) -> str:
    return "gelu_tanh" if approximate == "tanh" else "gelu"


@implements(aten.gelu.default)
def gelu(x: CrypTensor, *, approximate: str = "none") -> CrypTensor:
    return _with_derivative(_gelu_name(approximate), x)


@implements(aten.gelu_backward.default)
def gelu_backward(grad: Any, x: Any, *, approximate: str = "none") -> CrypTensor:
    return _gradient(_gelu_name(approximate), grad, x)


@implements(aten.silu.default)
def silu(x: CrypTensor) -> CrypTensor:
    return _with_derivative("silu", x)


@implements(aten.silu_backward.default)
def silu_backward(grad: Any, x: Any) -> CrypTensor:
    return _gradient("silu", grad, x)


@implements(aten.mish.default)
def mish(x: CrypTensor) -> CrypTensor:
    return _with_derivative("mish", x)


@implements(aten.mish_backward.default)
def mish_backward(grad: Any, x: Any) -> CrypTensor:
    return _gradient("mish", grad, x)


def keep_sigmoid(x: CrypTensor) -> None:
    """Computes sigmoid(x) now, so that a backward formula compares nothing."""
    if wants_gradient(x) and x._memo.find("sigmoid", x._secret) is None:
        x._memo.keep("sigmoid", x._secret, _sigmoid(x))


@implements(aten.softplus.default)
def softplus(x: CrypTensor, beta: float = 1, threshold: float = 20) -> CrypTensor:
    """log(1 + exp(beta * x)) / beta; |error| <= 2^-11 / beta.

    Raises ConfigError for beta <= 0, and for a threshold below 8: from there on the straight line
    that PyTorch switches to would differ visibly.
    """
    if beta <= 0:
        raise ConfigError(f"softplus: beta is {beta}; it must be positive")
    if threshold < _LEAST_THRESHOLD:
        raise ConfigError(
            f"softplus: threshold is {threshold}; it must be at least {_LEAST_THRESHOLD}"
        )
    engine = x._engine
    if beta == 1:
        keep_sigmoid(x)
        return wrap(engine.activation("softplus", x._secret), engine, x.dtype)
    scaled = engine.scale(x._secret, float(beta))
    if wants_gradient(x):
        x._memo.keep(("softplus", beta), x._secret, engine.activation("sigmoid", scaled))
    value = engine.scale(engine.activation("softplus", scaled), 1.0 / beta)
    return wrap(value, engine, x.dtype)


@implements(aten.softplus_backward.default)
def softplus_backward(grad: Any, x: Any, beta: float, threshold: float) -> CrypTensor:
    """grad * sigmoid(beta * x)."""
    engine = engine_of(grad, x)
    x = lifted(engine, x)
    slope = x._memo.find(("softplus", beta), x._secret)
    if slope is None:
        scaled = engine.scale(x._secret, float(beta))
        slope = _sigmoid(x) if beta == 1 else engine.activation("sigmoid", scaled)
    return times(engine, grad, slope, x.dtype)


@implements(aten.log_sigmoid_forward.default)
def log_sigmoid(x: CrypTensor) -> tuple[CrypTensor, torch.Tensor]:
    """log(sigmoid(x)) = x - softplus(x)."""
    engine = x._engine
    keep_sigmoid(x)
    value = engine.sub(x._secret, engine.activation("softplus", x._secret))
    return wrap(value, engine, x.dtype), torch.empty(0)


@implements(aten.log_sigmoid_backward.default)
def log_sigmoid_backward(grad: Any, x: Any, buffer: Any) -> CrypTensor:
    """grad * (1 - sigmoid(x))."""
    engine = engine_of(grad, x)
    x = lifted(engine, x)
    return times(engine, grad, engine.sub(encode(engine, 1.0), _sigmoid(x)), x.dtype)


@implements(aten.elu.default)
def elu(x: CrypTensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> CrypTensor:
    """scale * x for x > 0, else scale * alpha * (exp(input_scale * x) - 1); also selu and celu.

    |error| <= 2^-11 * |scale * alpha|. Cost: one relu and one smooth activation. Raises
    ConfigError for input_scale <= 0.
    """
    if input_scale <= 0:
        raise ConfigError(f"elu: input_scale is {input_scale}; it must be positive")
    engine = x._engine
    argument = x._secret if input_scale == 1 else engine.scale(x._secret, float(input_scale))
    curved = engine.activation("expm1_negative", argument)
    positive, sign = engine.relu_with_sign(x._secret)
    value = engine.add(_scaled(engine, positive, scale), _scaled(engine, curved, scale * alpha))
    result = wrap(value, engine, x.dtype)
    if wants_gradient(x):
        # curved is 0 where x >= 0, so that the slope is linear in what is known already.
        steep = scale * alpha * input_scale
        slope = engine.add(_scaled(engine, curved, steep), encode(engine, float(steep)))
        if scale != steep:
            slope = engine.add(slope, engine.scale(sign, float(scale - steep)))
        x._memo.keep(("elu", alpha, scale, input_scale), x._secret, slope)
    return result


@implements(aten.celu.default)
def celu(x: CrypTensor, alpha: float = 1.0) -> CrypTensor:
    return elu(x, alpha, 1, 1.0 / float(alpha))


def _scaled(engine: Any, value: Any, number: float) -> Any:
    return value if number == 1 else engine.scale(value, float(number))


@implements(aten.elu_backward.default)
def elu_backward(
    grad: Any, alpha: float, scale: float, input_scale: float, is_result: bool, x: Any
) -> CrypTensor:
    """grad * slope. x is the input, or the result of the in-place form (for alpha > 0)."""
    engine = engine_of(grad, x)
    x = lifted(engine, x)
    slope = x._memo.find(("elu", alpha, scale, input_scale), x._secret)
    if slope is None:
        slope = _elu_slope(x, alpha, scale, input_scale, is_result)
    return times(engine, grad, slope, x.dtype)


def _elu_slope(
    x: CrypTensor, alpha: float, scale: float, input_scale: float, is_result: bool
) -> _C.Secret:
    engine = x._engine
    sign = engine.at_least_zero(x._secret)
    steep = scale * alpha * input_scale
    if is_result:  # below 0 the result is scale * alpha * (e - 1)
        zero = encode(engine, 0.0)
        negative = engine.scale(engine.select(sign, zero, engine.settle(x._secret)), input_scale)
    else:
        argument = _scaled(engine, x._secret, input_scale)
        negative = engine.scale(engine.activation("expm1_negative", argument), float(steep))
    slope = engine.add(negative, encode(engine, float(steep)))
    return engine.add(slope, engine.scale(sign, float(scale - steep)))
