# SPDX-License-Identifier: MIT
"""Random programs of an engine, with a bound on how far a real engine may be from the oracle.

A program is drawn while the oracle runs it, so that every value stays in the range that the
engines promise. A bound is elementwise and in units of the value, not of its last place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from engines import C
from hypothesis import strategies as st

SIZE = 3  # every value is SIZE x SIZE, so that any two fit in any operation
RING_LIMIT = 2.0**60  # products need less than 2^62; the bounds must fit as well


@dataclass
class Value:
    secret: object
    exact: torch.Tensor  # the oracle's value
    bound: torch.Tensor

    @property
    def is_bit(self) -> bool:
        return self.secret.fraction_bits == 0 and bool(
            ((self.exact == 0) | (self.exact == 1)).all()
        )


@dataclass(frozen=True)
class Step:
    """apply(engine, *operands) on the values with these numbers; its result is the next value."""

    name: str
    operands: tuple[int, ...]
    apply: Callable


def truncated(bound, place):
    """After dropping bits down to last places of `place`, by a protocol and by the oracle.

    The oracle takes the floor and the protocol is at most one place off; where the operands
    differ already, their floors may be one place further apart.
    """
    return bound + place * (1 + (bound > 0).to(bound.dtype))


def settled(engine, value: Value):
    """Bound and exact value once the pending bits are gone."""
    bits = value.secret.fraction_bits - engine.precision
    if bits <= 0:
        return value.bound, value.exact
    place = 2.0**-engine.precision
    return truncated(value.bound, place), (value.exact / place).floor() * place


def product_bound(engine, a: Value, b: Value, combine=torch.mul):
    """As if both were settled first: they are when they have too many bits together."""
    (ea, va), (eb, vb) = settled(engine, a), settled(engine, b)
    va, vb = torch.maximum(va.abs(), a.exact.abs()), torch.maximum(vb.abs(), b.exact.abs())
    return combine(va, eb) + combine(ea, vb) + combine(ea, eb)


def sign_bound(value: Value):
    return (value.exact.abs() <= value.bound).to(torch.float64)


class Builder:
    """Draws steps and runs them on the oracle."""

    def __init__(self, draw, precision: int, parties: int) -> None:
        self.draw = draw
        self.parties = parties
        self.engine = C.plaintext_engine(precision)
        self.values: list[Value] = []
        self.steps: list[Step] = []

    def enter(self, values: torch.Tensor, is_public: bool) -> None:
        secret = self.engine.public(values) if is_public else self.engine.input(values, 0)
        self.append(secret, torch.zeros_like(values))

    def append(self, secret, bound) -> bool:
        """Keeps a value unless it leaves the range."""
        exact = self.raw(secret)
        if float((exact.abs() + bound).max()) * 2.0**secret.fraction_bits >= RING_LIMIT:
            return False
        self.values.append(Value(secret, exact, bound))
        return True

    def raw(self, secret):
        """The value with all its bits; shares of the oracle are the values."""
        seen = []
        secret.rearrange(lambda share: seen.append(share.clone()) or share)
        return seen[0].to(torch.float64) / 2.0**secret.fraction_bits

    def step(self) -> None:
        rule = self.draw(st.sampled_from(RULES))
        pick = st.integers(0, len(self.values) - 1)
        numbers = tuple(self.draw(pick) for _ in range(rule.arity))
        bits = [i for i, value in enumerate(self.values) if value.is_bit]
        if rule.allows is is_bit_first and bits:  # else it would hardly ever come up
            numbers = (self.draw(st.sampled_from(bits)), *numbers[1:])
        operands = [self.values[i] for i in numbers]
        if not rule.allows(operands):
            return
        made = rule.make(self, operands)
        if made is None:
            return
        apply, bound = made
        secret = apply(self.engine, *[v.secret for v in operands])
        if self.append(secret, bound):
            self.steps.append(Step(rule.name, numbers, apply))


@dataclass(frozen=True)
class Rule:
    """make(builder, operands) gives a call and the bound of its result, or None."""

    name: str
    arity: int
    make: Callable
    allows: Callable = lambda operands: True


def simple(method, bound):
    def make(builder, operands):
        return lambda e, *xs: getattr(e, method)(*xs), bound(builder.engine, *operands)

    return make


def make_scale(builder, operands):
    factor = builder.draw(st.sampled_from([-1.0, 0.5, 0.25, 3.0, 0.3, -1.7, 0.001]))
    bound, _ = settled(builder.engine, operands[0])
    return lambda e, x: e.scale(x, factor), abs(factor) * bound


def make_truncate(builder, operands):
    (x,) = operands
    kinds = ["interactive", "exact"] + ["one_bit"] * (builder.parties == 2)
    kind = builder.draw(st.sampled_from(kinds))
    most = min(32, x.secret.fraction_bits)
    if most < 1:
        return None
    bits = builder.draw(st.integers(1, most))
    place = 2.0 ** (bits - x.secret.fraction_bits)
    return lambda e, v: e.truncate(v, bits, kind), truncated(x.bound, place)


def make_write(builder, operands):
    row = builder.draw(st.integers(0, SIZE - 1))
    x, y = operands
    if y.secret.fraction_bits - x.secret.fraction_bits > 32:
        return None  # the most that one truncation drops

    def apply(e, a, b):
        target = a.rearrange(torch.clone)
        e.square(target)  # an opening of the old value, which the new one must not meet
        e.write(target.rearrange(lambda t: t[row]), b.rearrange(lambda t: t[row]))
        return target

    place = 2.0**-x.secret.fraction_bits
    dropped = y.secret.fraction_bits > x.secret.fraction_bits
    bound = x.bound.clone()
    bound[row] = truncated(y.bound[row], place) if dropped else y.bound[row]
    return apply, bound


def make_combine(builder, operands):
    def cut(ts):
        return torch.cat([ts[0][:1], ts[1][1:]])

    return lambda e, *xs: e.combine(list(xs), cut), cut([v.bound for v in operands])


def make_sum(builder, operands):
    dim = builder.draw(st.integers(0, 1))

    def apply(e, x):
        return e.sum(x, [dim], True).rearrange(lambda t: t.expand(SIZE, SIZE))

    return apply, operands[0].bound.sum(dim, keepdim=True).expand(SIZE, SIZE)


def arrangement(name, fn):
    return Rule(name, 1, lambda builder, ops: (lambda e, x: x.rearrange(fn), fn(ops[0].bound)))


def maximum_bound(engine, a, b):
    return settled(engine, a)[0] + settled(engine, b)[0]


def select_bound(engine, bit, a, b):
    difference = Value(None, a.exact - b.exact, a.bound + b.bound)
    place = 2.0**-engine.precision  # a - b may settle before it is multiplied
    wide = Value(None, difference.exact, truncated(difference.bound, place))
    inner = wide.exact.abs() * bit.bound + (wide.bound + place) * (1 + bit.bound)
    return inner + b.bound


def is_bit_first(operands):
    return operands[0].is_bit


def relu_bound(engine, value):
    return settled(engine, value)[0]


RULES = [
    Rule("add", 2, simple("add", lambda e, a, b: a.bound + b.bound)),
    Rule("sub", 2, simple("sub", lambda e, a, b: a.bound + b.bound)),
    Rule("neg", 1, simple("neg", lambda e, a: a.bound)),
    Rule("mul", 2, simple("mul", product_bound)),
    Rule("matmul", 2, simple("matmul", lambda e, a, b: product_bound(e, a, b, torch.matmul))),
    Rule("square", 1, simple("square", lambda e, a: product_bound(e, a, a))),
    Rule("relu", 1, simple("relu", relu_bound)),
    Rule("at_least_zero", 1, simple("at_least_zero", lambda e, a: sign_bound(a))),
    Rule("ltz", 1, simple("ltz", lambda e, a: sign_bound(a))),
    Rule("maximum", 2, simple("maximum", maximum_bound)),
    Rule("select", 3, simple("select", select_bound), is_bit_first),
    Rule("settle", 1, simple("settle", lambda e, a: settled(e, a)[0])),
    Rule("share", 1, simple("share", lambda e, a: a.bound)),
    Rule("scale", 1, make_scale),
    Rule("truncate", 1, make_truncate),
    Rule("write", 2, make_write),
    Rule("combine", 2, make_combine),
    Rule("sum", 1, make_sum),
    Rule(
        "cumsum",
        1,
        lambda b, ops: (lambda e, x: e.cumsum(x, 0), ops[0].bound.cumsum(0)),
    ),
    arrangement("transpose", torch.t),
    arrangement("flip", lambda t: t.flip(0)),
]
