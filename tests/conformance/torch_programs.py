# SPDX-License-Identifier: MIT
"""Random torch programs, run on secrets and in float64 side by side, with an accumulated bound.

A program is drawn while it runs: every party draws the same one, since the choices depend on the
seed and on the float64 values, which the tests know. A bound is elementwise, in units of the value.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch

import cryptensor as ct
from cryptensor.tensor import CrypTensor

UNIT = 2.0**-16
LARGEST = 2.0**9
VAGUEST = 0.5
MOST_ELEMENTS = 150
SHAPES = [(), (1,), (3,), (4, 3), (3, 4), (4, 4), (2, 3, 4), (4, 1), (0, 3), (2, 0)]


@dataclass
class Value:
    secret: torch.Tensor
    exact: torch.Tensor
    bound: torch.Tensor


@dataclass
class Step:
    """apply(*tensors) works on secrets and on plain tensors alike."""

    apply: Callable
    operands: list[Value]
    bound: torch.Tensor


RULES: dict[str, Callable[[Program, Value], Step | None]] = {}  # filled by torch_rules.py


class Program:
    """Draws steps and runs them; `values` has everything made, `used` the names of the steps."""

    def __init__(self, seed: int, parties: int) -> None:
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.parties = parties
        self.values: list[Value] = []
        self.used: list[str] = []
        for _ in range(self.random.randint(2, 4)):
            self.enter(self.random.choice(SHAPES))

    def enter(self, shape) -> None:
        exact = 2 * torch.randn(shape, dtype=torch.float64, generator=self.generator)
        exact = (exact / UNIT).round() * UNIT
        kind = self.random.choice(["owned", "shared", "shared", "public"])
        if kind == "public":
            secret = exact.clone()
        else:
            secret = ct.cryptensor(
                exact, src=self.random.randrange(self.parties), dtype=exact.dtype
            )
        if kind == "shared":
            engine = secret._engine
            secret = CrypTensor(engine.share(secret._secret), engine, exact.dtype)
        self.values.append(Value(secret, exact, torch.zeros_like(exact)))

    def run(self, steps: int) -> None:
        for _ in range(6 * steps):
            if len(self.used) >= steps:
                return
            name = self.random.choice(sorted(RULES))
            made = RULES[name](self, self.pick())
            if made is not None and self.take(made):
                self.used.append(name)

    def pick(self) -> Value:
        return self.random.choice(self.values)

    def fitting(self, fits: Callable[[Value], bool]) -> Value | None:
        """One of the values that fit, if any does."""
        found = [value for value in self.values if fits(value)]
        return self.random.choice(found) if found else None

    def beside(self, x: Value) -> Value | None:
        """Another value that x can be broadcast with, one of the two a secret."""
        y = self.pick()
        try:
            shape = torch.broadcast_shapes(x.exact.shape, y.exact.shape)
        except RuntimeError:
            return None
        secret = isinstance(x.secret, CrypTensor) or isinstance(y.secret, CrypTensor)
        return y if secret and shape.numel() <= MOST_ELEMENTS else None

    def take(self, step: Step) -> bool:
        exact = step.apply(*(v.exact.clone() for v in step.operands))
        bound = step.bound.expand(exact.shape).clone()
        if exact.numel() > MOST_ELEMENTS:
            return False
        if exact.numel() and not (
            float((exact.abs() + bound).max()) < LARGEST and float(bound.max()) < VAGUEST
        ):
            return False
        secret = step.apply(*(v.secret.clone() for v in step.operands))
        self.values.append(Value(secret, exact.clone(), bound))
        return True


def play(seeds: list[int], parties: int) -> tuple[list[str], Counter]:
    """Runs programs in the current session: what was out of bound, and how often each step ran."""
    wrong: list[str] = []
    used: Counter = Counter()
    for seed in seeds:
        program = Program(seed, parties)
        program.run(program.random.randint(5, 30))
        used.update(program.used)
        used["programs"] += 1
        for number, value in enumerate(program.values):
            if not isinstance(value.secret, CrypTensor):
                continue
            opened = value.secret.reveal()
            assert opened.shape == value.exact.shape, (seed, number)
            off = (opened - value.exact).abs() - value.bound - 2 * UNIT
            if off.numel() and float(off.max()) > 0:
                wrong.append(f"program {seed}, value {number}, {off.max()} too far: {program.used}")
                break
    return wrong, used
