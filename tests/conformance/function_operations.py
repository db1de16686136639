# SPDX-License-Identifier: MIT
"""The functions of one opening, and what is composed of them: calls, costs, errors.

Errors are against the plaintext engine; see rounding_noise.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import rounding_noise as noise
import torch
from engines import C, sharers
from operations import Operand, Operation, pending, settling_cost, settling_error

cost = C.cost
A = Operand((5, 7))
N = 35
WITH_DERIVATIVE = ("erf", "gelu", "gelu_tanh", "silu", "mish")
# Beyond the window of these a line of x goes on, so that x settles first.
WITH_LINES = ("gelu", "gelu_tanh", "silu", "softplus", "mish")
# The largest derivative of all activations is below this one.
STEEPEST = 1.25


def settles(engine) -> bool:
    """Does a pending operand settle, as a public factor would have too few digits beside it?"""
    return 2 * engine.precision > 34


def units(engine, number: float) -> float:
    return number * 2.0**engine.precision


def within(bound: Callable) -> Callable:
    """As the error of an operation that is truncated at its end: `bound` is that before."""

    def error(engine):
        most = noise.TRUNCATION + units(engine, bound(engine))
        return -most, most

    return error


def of_session(name: str, *arguments) -> Callable:
    return lambda e: [getattr(cost, name)(e, e.precision, *arguments)]


def positive(engine, *operands):
    """|x| + 2^-6, exactly."""
    out = []
    for x in operands:
        above = engine.relu(x)
        out.append(engine.add(engine.sub(engine.add(above, above), x), engine.public(2.0**-6)))
    return tuple(out)


def piecewise() -> list[Operation]:
    def one(name, thresholds, degree, pieces, place=0, curved=False):
        def of(e):
            encoded = [math.ceil(units(e, t)) for t in thresholds]
            total = [cost.piecewise(N, e, encoded, degree)]
            if curved:
                total.append(settling_cost(e, N, e.precision + 2))  # 0.25 x^2
            return total

        def apply(e, x):
            return e.piecewise(x, [float(t) for t in thresholds], pieces)[place]

        error = settling_error if curved else (lambda e: (0, 0))
        return Operation(f"piecewise_{name}", (A,), apply, of, error)

    clamp, inside = [[-1.0], [0.0, 1.0], [1.5]], [[0.0], [1.0], [0.0]]
    return [
        one("step", [0], 0, [[[0.0], [1.0]]]),
        one("clamp", [-1, 1.5], 1, [clamp, inside]),
        one("clamp_bits", [-1, 1.5], 1, [clamp, inside], place=1),
        one("slopes", [-2, 0, 2], 1, [[[0.5, 0.25], [0, -0.75], [0, 3.0], [-1.5, 0.5]]]),
        one("steps", list(range(-16, 16)), 0, [[[float(p)] for p in range(33)]]),
        one("square", [-1, 1], 2, [[[0.0], [0.25, 0.5, 0.25], [0.0, 1.0]]], curved=True),
        Operation(
            "piecewise_pending",
            (A,),
            lambda e, x: e.piecewise(*pending(e, x), [-1.0, 1.5], [clamp])[0],
            lambda e: [cost.piecewise(N, e, [int(t * 4.0**e.precision) for t in (-1, 1.5)], 1)],
        ),
    ]


def activations() -> list[Operation]:
    def one(name, part=None):
        def apply(e, x):
            if part is None:
                return e.activation(name, x)
            return e.activation_with_derivative(name, x)[part]

        return Operation(
            f"{name}{('', '_with_derivative', '_derivative')[0 if part is None else part + 1]}",
            (A,),
            apply,
            of_session("activation", name, N, part is not None),
            within(lambda e: noise.series_noise(name, e.precision, derivative=part == 1)),
        )

    def of_pending(name):
        def of(e):
            if settles(e):
                return [
                    settling_cost(e, N),
                    cost.activation(e, e.precision, name, N, False),
                ]
            table, peers = noise.TABLES[name], e
            ends = [int(end * 4.0**e.precision) for end in (table.low, table.high)]
            drop = min(e.precision + 38, 54) - e.precision
            # The lines are truncated in the round of the series.
            lines = {**settling_cost(e, N), "rounds": 0}
            return [
                cost.piecewise(N, peers, ends, 1),
                cost.series(N, peers, table.harmonics),
                settling_cost(e, N, drop),
                *([lines] if name in WITH_LINES else []),
            ]

        def bound(e):
            of_x = STEEPEST * 2.0**-e.precision if settles(e) else 0
            of_lines = noise.TRUNCATION * 2.0**-e.precision if name in WITH_LINES else 0
            return noise.series_noise(name, e.precision) + of_x + of_lines

        return Operation(
            f"{name}_pending",
            (A,),
            lambda e, x: e.activation(name, *pending(e, x)),
            of,
            within(bound),
        )

    names = sorted(set(noise.TABLES) - {"log2", "log2_coarse"})
    return [
        *(one(name) for name in names),
        *(one(name, part) for name in WITH_DERIVATIVE for part in (0, 1)),
        *(of_pending(name) for name in ("sigmoid", "gelu")),
        *(
            Operation(
                name,
                (A,),
                lambda e, x, part=part: e.sin_cos(x)[part],
                of_session("sin_cos", N),
                within(lambda e: noise.sine_noise(e.precision)),
            )
            for part, name in enumerate(("sin", "cos"))
        ),
    ]


def is_wide(engine, exponent: float) -> bool:
    """Whether the powers of all x of the domain need the wide form: results beyond 2^16, or 64
    octaves of them and of what is 0."""
    f = engine.precision
    last = (min(f + 32, 60) - 1) // 4
    while last > 0 and exponent * (4 * last - f) <= -(f + 4):
        last -= 1
    ends = [max(exponent * octaves, -(f + 4)) for octaves in (-f, 4 * last - f)]
    ends.append(-(f + 4.0) if exponent > 0 else -exponent * f)
    largest = max(ends[2], max(ends[:2]) + 4 * max(exponent, 0))
    least = min(ends[2], min(ends[:2]) + 4 * min(exponent, 0))
    return largest > 16 or largest // 8 + 1 - least // 8 >= 8


def powers() -> list[Operation]:
    def of_power(e, exponent):
        return noise.power_noise(exponent, wide=is_wide(e, exponent))

    def one(exponent):
        return Operation(
            f"power_{exponent}",
            (A,),
            lambda e, x: e.power(x, exponent),
            of_session("power", N, exponent),
            within(lambda e: of_power(e, exponent).absolute),
            prepare=positive,
            relative=lambda e: of_power(e, exponent).relative,
        )

    def exp_of_pending(e):
        p = e.precision
        if settles(e):
            return [settling_cost(e, N), cost.exp(e, p, N)]
        low, high = -math.log(2) * (p + 2), math.log(2) * (62 - p) - 1 / 8192
        ends = [round(low * 4.0**p), round(high * 4.0**p)]
        return [
            cost.piecewise(N, e, ends, 1),
            cost.power_of_two(N, e, 16),
            settling_cost(e, N, 36 - p),
        ]

    def exp(name, prepare, of):
        return Operation(
            name,
            (A,),
            lambda e, x: e.exp(x),
            of,
            within(lambda e: noise.powers_noise(wide=True).absolute),
            prepare=prepare,
            relative=lambda e: noise.powers_noise(wide=True).relative,
        )

    log = within(lambda e: noise.log2_noise("log2", noise.LN2))

    def prepared_quotient(e, x, y):
        return x, e.reciprocal(*positive(e, y), 24)

    def quotient_noise(e):
        """Of the inverse, whose relative error is one of the quotient, times |x| < 16."""
        of = of_power(e, -1)
        return 16 * (of.absolute + noise.TRUNCATION * 2.0**-24)

    return [
        exp("exp", lambda e, x: (x,), of_session("exp", N)),
        exp("exp_pending", pending, exp_of_pending),
        Operation("log", (A,), lambda e, x: e.log(x), of_session("log", N), log, positive),
        *(one(exponent) for exponent in (-1.0, -0.5, 0.5, 0.3)),
        Operation(
            "reciprocal",
            (A,),
            lambda e, x: e.reciprocal(x),
            of_session("reciprocal", N, None),
            within(lambda e: of_power(e, -1).absolute),
            relative=lambda e: of_power(e, -1).relative,
        ),
        Operation(
            "quotient",
            (A, A),
            lambda e, x, y: e.quotient(x, y),
            of_session("quotient", N, 24),
            within(quotient_noise),
            prepared_quotient,
            relative=lambda e: of_power(e, -1).relative,
        ),
    ]


def normalizations() -> list[Operation]:
    rows, n, eps = 5, 7, 2.0**-8
    inverse = noise.power_noise(-0.5, precise=True)

    def one(name, dim, of, error, relative=lambda e: 0.0, prepare=lambda e, x: (x,)):
        return Operation(
            name, (A,), lambda e, x: getattr(e, name)(x, dim), of, error, prepare, relative
        )

    def standardize(place, error, relative=lambda e: 0.0):
        return Operation(
            ("standardize", "standardize_mean", "standardize_deviation")[place],
            (A,),
            lambda e, x: e.standardize(x, eps)[place],
            of_session("standardize", rows, n, eps),
            error,
            relative=relative,
        )

    def values(e):
        """Rows here have deviations between 1 and 8 and values below 16. A unit of the mean stays
        one, at most, in the values; the sum of squares takes 3 n squared units of it."""
        ratio = noise.RATIO_LAST_PLACE * noise.TRUNCATION
        return 2.0**-e.precision + 16 * (inverse.absolute + ratio)

    def deviation(e):
        return inverse.absolute + noise.TRUNCATION * noise.RATIO_LAST_PLACE

    def relative(e):
        return inverse.relative + 1.5 * 4.0**-e.precision

    return [
        one(
            "softmax",
            -1,
            of_session("softmax", rows, n),
            within(lambda e: noise.softmax_noise(n).absolute),
            lambda e: noise.softmax_noise(n).relative,
        ),
        one(
            "log_softmax",
            0,
            of_session("log_softmax", n, rows),
            within(lambda e: noise.log_of_total_noise(rows)),
        ),
        one(
            "logsumexp",
            -1,
            of_session("log_softmax", rows, n),
            within(lambda e: noise.log_of_total_noise(n)),
        ),
        standardize(0, within(values), relative),
        standardize(1, within(lambda e: 0)),
        standardize(2, within(deviation), relative),
    ]


def choices() -> list[Operation]:
    def indices(e, x):
        return (e.share(e.public(torch.arange(N) % 9)),)

    def settled_first(e):
        return [settling_cost(e, N), cost.largest(e, e.precision, 5, 7, False)]

    def prepared_unsort(e, x, y):
        _, _, network = e.sort_with_index(x, 1, False)
        return network, y

    exact = {
        "largest": (lambda e, x: e.largest(x, 1), of_session("largest", 5, 7, False)),
        "largest_of_two": (
            lambda e, x: e.largest(x.rearrange(lambda t: t[:2]), 0),
            of_session("largest", 7, 2, False),
        ),
        "largest_place": (
            lambda e, x: e.largest_with_index(x, 0)[1],
            of_session("largest", 7, 5, True),
        ),
        "sort": (lambda e, x: e.sort(x, 1, True), of_session("sort", 5, 7, False)),
        "sort_places": (
            lambda e, x: e.sort_with_index(x, 0, False)[1],
            of_session("sort", 7, 5, True),
        ),
        "is_zero": (lambda e, x: e.is_zero(x), lambda e: [cost.is_zero(N, e)]),
    }
    return [
        *(Operation(name, (A,), apply, of) for name, (apply, of) in exact.items()),
        *(
            Operation(
                f"one_hot_{size}",
                (A,),
                lambda e, i, size=size: e.one_hot(i, size),
                lambda e, size=size: [
                    cost.one_hot(N, e, size)[e.rank != sharers(e) - 1],
                ],
                prepare=indices,
            )
            for size in (9, 1000)
        ),
        Operation(
            "unsort",
            (A, A),
            lambda e, network, y: e.unsort(network, y),
            of_session("unsort", 5, 7),
            prepare=prepared_unsort,
        ),
        Operation(
            "largest_pending",
            (A,),
            lambda e, x: e.largest(*pending(e, x), 1),
            settled_first,
            settling_error,
        ),
    ]


FUNCTIONS = piecewise() + activations() + powers() + normalizations() + choices()
