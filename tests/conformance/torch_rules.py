# SPDX-License-Identifier: MIT
"""The steps of torch_programs.py, with the bound of each."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch_programs import RULES, UNIT, Step, Value

from cryptensor.tensor import CrypTensor

PRECISE = 2.0**-11  # of functions: absolute for the bounded ones, relative for the others


def truncated(bound):
    return bound + UNIT


def product_bound(a: Value, b: Value, combine=torch.mul, terms: int = 1):
    x, y = a.exact.abs(), b.exact.abs()
    return combine(x, b.bound) + combine(a.bound, y) + combine(a.bound, b.bound) + 2 * UNIT * terms


def number_bound(x: Value, number: float):
    """A public number is rounded to the precision."""
    return truncated(x.bound * abs(number) + (x.exact.abs() + x.bound) * UNIT / 2)


def between(function, x: Value):
    """How far a monotone function may be off for arguments within the bound."""
    at = function(x.exact)
    ends = [(function(x.exact + s * x.bound) - at).abs() for s in (-1, 1)]
    return torch.maximum(*ends)


def widest(x: Value, dim: int):
    """The largest bound along a dimension, everywhere."""
    return x.bound.amax(dim, keepdim=True).expand_as(x.bound)


def rule(function):
    RULES[function.__name__] = function
    return function


def binary(name: str, function: Callable, bound: Callable, allows: Callable = lambda x, y: True):
    def make(program, x):
        y = program.beside(x)
        if y is None or not allows(x, y):
            return None
        return Step(function, [x, y], bound(x, y))

    RULES[name] = make


def unary(name: str, function: Callable, bound: Callable, allows: Callable = lambda x: True):
    def make(program, x):
        if not isinstance(x.secret, CrypTensor) or not allows(x):
            return None
        return Step(function, [x], bound(x))

    RULES[name] = make


def sum_bound(x, y):
    return x.bound + y.bound


def larger_bound(x, y):
    return torch.maximum(*torch.broadcast_tensors(x.bound, y.bound))


def unsure(x, y):
    """Where the order of two values is not known; on the border a value may be either side."""
    return ((x.exact - y.exact).abs() <= x.bound + y.bound + UNIT).double()


def quotient(x, y):
    return x / (y.abs() + 0.5)


def quotient_bound(x, y):
    divisor = y.exact.abs() + 0.5
    smallest = (divisor - y.bound).clamp_min(0.25)
    value = x.exact.abs() / divisor
    off = (x.bound + value * y.bound) / smallest
    return off + (value + off) * PRECISE + 4 * UNIT


def has_elements(*values):
    return all(v.exact.numel() for v in values)


binary("add", torch.add, sum_bound)
binary("sub", torch.sub, sum_bound)
binary(
    "rsub", lambda x, y: torch.rsub(x, y, alpha=2), lambda x, y: 2 * x.bound + 2 * y.bound + UNIT
)
binary("mul", torch.mul, product_bound)
binary("maximum", torch.maximum, larger_bound)
binary("minimum", torch.minimum, larger_bound)
binary("greater", lambda x, y: (x > y).double(), unsure)
binary("at_most", lambda x, y: (x <= y).double(), unsure)
binary("div", quotient, quotient_bound)
binary(
    "where",
    lambda x, y: torch.where(x > y, x, 2 * y),
    lambda x, y: (
        x.bound
        + 2 * y.bound
        + 2 * UNIT
        + unsure(x, y) * (x.exact.abs() + 2 * y.exact.abs() + x.bound + 2 * y.bound)
    ),
)
binary(
    "add_in_place",
    lambda x, y: x.add_(y),
    sum_bound,
    lambda x, y: (
        isinstance(x.secret, CrypTensor)
        and torch.broadcast_shapes(x.exact.shape, y.exact.shape) == x.exact.shape
    ),
)


@rule
def matmul(program, x):
    if x.exact.dim() != 2:
        return None

    def fits(y):
        secret = isinstance(x.secret, CrypTensor) or isinstance(y.secret, CrypTensor)
        return secret and y.exact.dim() == 2 and x.exact.shape[1] == y.exact.shape[0]

    y = program.fitting(fits)
    if y is None:
        return None
    return Step(torch.matmul, [x, y], product_bound(x, y, torch.matmul))


@rule
def gram(program, x):
    if x.exact.dim() != 2 or not isinstance(x.secret, CrypTensor):
        return None
    turned = Value(x.secret, x.exact.t(), x.bound.t())
    return Step(lambda a: a @ a.t(), [x], product_bound(x, turned, torch.matmul))


@rule
def number(program, x):
    if not isinstance(x.secret, CrypTensor):
        return None
    factor = program.random.choice([-1.0, 0.5, 3.0, 0.3, -1.7, 1e-3, 0.0])
    offset = program.random.choice([0.0, 1.25, -7.1])
    return Step(lambda t: t * factor + offset, [x], number_bound(x, factor) + UNIT)


@rule
def view(program, x):
    if not isinstance(x.secret, CrypTensor):
        return None
    views = [lambda t: t.flatten(), lambda t: t.unsqueeze(0), lambda t: t[..., None]]
    if x.exact.dim():
        step, start = program.random.randint(1, 2), program.random.randint(0, 1)
        views += [
            lambda t: t[start::step],
            lambda t: t.flip(0),
            lambda t: t.transpose(0, -1),
            lambda t: t.movedim(0, -1)[..., :2],
            lambda t: torch.cat([t, t[:1]]),
            lambda t: torch.stack([t, t]).flatten(0, 1),
        ]
        if x.exact.shape[0]:
            views += [lambda t: t[0], lambda t: t[-1:].expand(2, *t.shape[1:])]
    function = program.random.choice(views)
    return Step(function, [x], function(x.bound))


@rule
def write_through_a_view(program, x):
    """x[part] op= y, through a view of a copy."""
    if not isinstance(x.secret, CrypTensor) or x.exact.dim() == 0 or x.exact.shape[0] < 2:
        return None
    target = x.exact[1:].shape
    y = program.fitting(
        lambda y: (
            y.exact.dim() <= len(target)
            and all(a in (1, b) for a, b in zip(y.exact.shape[::-1], target[::-1], strict=False))
        )
    )
    if y is None:
        return None
    multiplies = program.random.random() < 0.5

    def apply(a, b):
        part = a.transpose(0, -1)[..., 1:].transpose(0, -1)
        if multiplies:
            part.mul_(-0.5)
        else:
            a[1:] = b
        return a

    bound = x.bound.clone()
    inner = bound.transpose(0, -1)[..., 1:].transpose(0, -1)
    if multiplies:
        inner.copy_(inner * 0.5)
        bound += UNIT
    else:
        bound[1:] = y.bound + UNIT
        bound[:1] += UNIT
    return Step(apply, [x, y], bound)


@rule
def reduction(program, x):
    if not isinstance(x.secret, CrypTensor) or x.exact.dim() == 0:
        return None
    dim = program.random.randrange(x.exact.dim())
    keep = program.random.random() < 0.5
    kind = program.random.choice(["sum", "mean", "cumsum", "amax", "sum of all", "squares"])
    count = x.exact.shape[dim]
    total = x.bound.sum(dim, keepdim=keep)
    if kind == "sum":
        return Step(lambda t: t.sum(dim, keepdim=keep), [x], total)
    if kind == "sum of all":
        return Step(torch.sum, [x], x.bound.sum())
    if kind == "cumsum":
        return Step(lambda t: t.cumsum(dim), [x], x.bound.cumsum(dim))
    if count == 0:
        return None
    if kind == "amax":
        return Step(lambda t: t.amax(dim, keepdim=keep), [x], x.bound.amax(dim, keepdim=keep))
    if kind == "squares":
        bound = product_bound(x, x).sum(dim, keepdim=keep)
        return Step(lambda t: (t * t).sum(dim, keepdim=keep), [x], bound)
    rounding = (x.exact.sum(dim, keepdim=keep).abs() + total) * UNIT / 2 + 2 * UNIT
    return Step(lambda t: t.mean(dim, keepdim=keep), [x], total / count + rounding)


@rule
def order(program, x):
    if not isinstance(x.secret, CrypTensor) or x.exact.dim() == 0 or not has_elements(x):
        return None
    dim = program.random.randrange(x.exact.dim())
    down = program.random.random() < 0.5
    k = min(2, x.exact.shape[dim])
    if program.random.random() < 0.5:
        return Step(lambda t: t.sort(dim, descending=down).values, [x], widest(x, dim))
    largest = widest(x, dim).narrow(dim, 0, k)
    return Step(lambda t: t.topk(k, dim).values, [x], largest)


@rule
def one_hot_of_largest(program, x):
    """Where the largest is beyond doubt."""
    if not isinstance(x.secret, CrypTensor) or x.exact.dim() == 0 or x.exact.shape[-1] < 2:
        return None
    if not has_elements(x):
        return None
    best = x.exact.topk(2, -1).values
    if bool((best[..., 0] - best[..., 1] <= 2 * x.bound.amax(-1) + 2 * UNIT).any()):
        return None
    size = x.exact.shape[-1]

    def apply(t):
        return F.one_hot(t.argmax(-1), size).double()

    return Step(apply, [x], torch.zeros_like(x.exact))


unary("neg", torch.neg, lambda x: x.bound)
unary("relu", torch.relu, lambda x: x.bound)
unary("abs", torch.abs, lambda x: x.bound + UNIT)
unary("square", torch.square, lambda x: product_bound(x, x))
unary("clamp", lambda t: t.clamp(-1.5, 2.0), lambda x: x.bound + UNIT)
unary("sigmoid", torch.sigmoid, lambda x: x.bound / 4 + PRECISE)
unary("tanh", torch.tanh, lambda x: x.bound + PRECISE)
unary("gelu", F.gelu, lambda x: 1.13 * x.bound + PRECISE)


def of_magnitude(function, offset):
    def whole(t):
        return function(t.abs() + offset)

    def bound(x):
        inside = Value(x.secret, x.exact.abs() + offset, x.bound + UNIT)
        inside.bound = torch.minimum(inside.bound, inside.exact - offset / 2)
        off = between(function, inside)
        return off + (function(inside.exact).abs() + off) * PRECISE + 3 * UNIT

    return whole, bound


unary("log", *of_magnitude(torch.log, 0.5))
unary("sqrt", *of_magnitude(torch.sqrt, 0.25))
unary("rsqrt", *of_magnitude(torch.rsqrt, 0.5))
unary("reciprocal", *of_magnitude(torch.reciprocal, 0.5))


def exp_bound(x):
    off = between(torch.exp, x)
    return off + (torch.exp(x.exact) + off) * PRECISE + 2 * UNIT


unary("exp", torch.exp, exp_bound)
unary(
    "softmax",
    lambda t: t.softmax(-1),
    lambda x: widest(x, -1) / 2 + PRECISE,
    lambda x: x.exact.dim() > 0 and has_elements(x),
)
