# SPDX-License-Identifier: MIT
"""Functions against float64, over all encodable numbers: errors, end values, exact choices."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from engines import enter_shared, run, to_ulps
from points import COUNT, largest, points
from rounding_noise import TABLES, series_noise

FEW = 20_000
FIRST = (2, "first_party", 16, COUNT)
SETTINGS = [
    FIRST,
    (2, "third_party", 16, FEW),
    (3, "first_party", 16, FEW),
    (2, "first_party", 8, FEW),
    (2, "first_party", 24, FEW),
]
each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: "-".join(map(str, s)))
BAR = 2.0**-11

ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "softplus": F.softplus,
    "mish": F.mish,
    "expm1_negative": lambda x: torch.expm1(x.clamp(max=0)),
}


def compute(call: Callable, x: torch.Tensor, setting=FIRST) -> list[torch.Tensor]:
    """The results of call(engine, shares of x), revealed; party 0's."""
    parties, provider, precision, _ = setting

    def body(engine):
        out = call(engine, enter_shared(engine, x))
        return [engine.reveal(value) for value in (out if isinstance(out, tuple) else (out,))]

    return run(body, parties, provider, precision=precision)[0]


def within(y: torch.Tensor, reference: torch.Tensor, bound, x: torch.Tensor) -> None:
    """|y - reference| <= bound, and what a float64 of this size cannot tell apart."""
    size = reference.abs()
    resolution = torch.nextafter(size, torch.full_like(size, math.inf)) - size
    over = (y - reference).abs() - torch.as_tensor(bound) - resolution
    if over.numel() == 0 or (over <= 0).all():
        return
    worst = int(over.argmax())
    values = (
        t.reshape(-1)[worst].item() if t.numel() == over.numel() else "" for t in (x, y, size)
    )
    at, got, wanted = values
    pytest.fail(f"{int((over > 0).sum())} of {over.numel()}; worst at {at}: {got} for {wanted}")


def relative(reference: torch.Tensor, precision: int, bar: float = BAR) -> torch.Tensor:
    """`bar` of the value, or two units where that is larger, and never below 2^-16.5."""
    return (bar * reference.abs()).clamp(min=max(2 * 2.0**-precision, 2.0**-16.5))


@each_setting
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name, setting):
    _, _, precision, count = setting
    table, unit = TABLES[name], 2.0**-precision
    x = points((table.low, table.high), count=count, precision=precision)
    (y,) = compute(lambda e, s: e.activation(name, s), x, setting)
    reference = ACTIVATIONS[name](x)
    within(y, reference, table.value.bound + 2 * unit + series_noise(name, precision), x)
    if precision >= 16:
        within(y, reference, BAR, x)


@pytest.mark.parametrize("name", [name for name, table in TABLES.items() if table.derivative])
def test_derivatives_of_activations(name):
    table = TABLES[name]
    x = points((table.low, table.high), count=FEW).requires_grad_()
    ACTIVATIONS[name](x).sum().backward()
    y, slope = compute(lambda e, s: e.activation_with_derivative(name, s), x.detach())
    noise = series_noise(name, 16, derivative=True)
    within(slope, x.grad, table.derivative.bound + 2 * 2.0**-16 + noise, x.detach())
    within(y, ACTIVATIONS[name](x.detach()), table.value.bound + 3 * 2.0**-16, x.detach())


@each_setting
def test_sine_and_cosine(setting):
    _, _, precision, count = setting
    x = points(low=-100.0, high=100.0, count=count, precision=precision)
    sine, cosine = compute(lambda e, s: e.sin_cos(s), x, setting)
    bound = max(BAR, 2 * 2.0**-precision)
    within(sine, x.sin(), bound, x)
    within(cosine, x.cos(), bound, x)
    # What the header promises: 2^-15 (or two units) and |x| 2^-38.
    promised = max(2.0**-15, 2 * 2.0**-precision) + 100 * 2.0**-38
    within(sine, x.sin(), promised, x)
    within(cosine, x.cos(), promised, x)


@each_setting
def test_sines_of_large_angles(setting):
    precision, count = setting[2:]
    x = points(low=-(2.0**30), high=2.0**30, count=count, precision=precision)
    sine, _ = compute(lambda e, s: e.sin_cos(s), x, setting)
    within(sine, x.sin(), max(2.0**-15, 2 * 2.0**-precision) + x.abs() * 2.0**-38, x)


@each_setting
def test_exponentials(setting):
    _, _, precision, count = setting
    top, bottom = (62 - precision) * math.log(2), -math.log(2) * (precision + 2)
    x = points((bottom,), high=top, count=count, precision=precision)
    (y,) = compute(lambda e, s: e.exp(s), x, setting)
    within(y, x.exp(), relative(x.exp(), precision), x)


@each_setting
def test_logarithms(setting):
    _, _, precision, count = setting
    least = max(2.0**-12, 2.0**-precision)
    breakpoints = tuple(2.0**k for k in range(-8, 32, 4))
    x = points(breakpoints, least, 2.0**30, count, precision)
    (y,) = compute(lambda e, s: e.log(s), x, setting)
    # Near 1 the value is 0, and what is left is the header's bound.
    bound = 2.0**-16 + 2 * 2.0**-precision
    within(y, x.log(), bound, x)
    if precision == 16:
        within(y, x.log(), relative(x.log(), precision), x)


POWERS = {
    "reciprocal": (lambda e, s: e.reciprocal(s), torch.reciprocal),
    "rsqrt": (lambda e, s: e.power(s, -0.5), torch.rsqrt),
    "sqrt": (lambda e, s: e.power(s, 0.5), torch.sqrt),
    "cube root": (lambda e, s: e.power(s, 1 / 3), lambda x: x ** (1 / 3)),
}


@each_setting
@pytest.mark.parametrize("name", POWERS)
def test_powers(name, setting):
    _, _, precision, count = setting
    least = max(2.0**-12, 2.0**-precision)
    breakpoints = tuple(2.0**k for k in range(-8, 32, 4))
    x = points(breakpoints, least, 2.0**30, count, precision)
    call, reference = POWERS[name]
    if name == "reciprocal":
        x[::2] *= -1
    (y,) = compute(call, x, setting)
    within(y, reference(x), relative(reference(x), precision), x)


@pytest.mark.parametrize("bits", [20, 24])
def test_quotients(bits):
    y = points(low=2.0**-6, high=2.0**30, count=FEW)
    generator = torch.Generator().manual_seed(1)
    exponents = torch.rand(y.shape, generator=generator, dtype=torch.float64) * 20 - 10
    x = (2.0**exponents * 2**16).round() / 2**16
    y[1::2] *= -1
    limit = (x / y).abs() < 2.0 ** (45 - bits)

    def body(engine):
        inverse = engine.reciprocal(enter_shared(engine, y, 1), bits)
        return engine.reveal(engine.quotient(enter_shared(engine, x), inverse))

    q = run(body)[0]
    # The reciprocal's own error, and the last place of either factor's product.
    bound = relative((1 / y), bits) * x + x * 2.0**-bits + 2.0**-16
    within(q[limit], (x / y)[limit], bound[limit], (x / y)[limit])


END_VALUES = {
    "log": (lambda e, s: e.log(s), math.log),
    "reciprocal": (lambda e, s: e.reciprocal(s), lambda x: 1 / x),
    "rsqrt": (lambda e, s: e.power(s, -0.5), lambda x: x**-0.5),
    "sqrt": (lambda e, s: e.power(s, 0.5), math.sqrt),
}


@pytest.mark.parametrize("name", END_VALUES)
def test_end_values_of_the_positive_domain(name):
    """0 and below count as the smallest number, 2^32 and above as 2^32; x^a of what is not
    positive is 0 for a > 0. A reciprocal has both signs."""
    call, reference = END_VALUES[name]
    below = [0.0] if name == "reciprocal" else [0.0, -(2.0**-16), -1.0, -(2.0**45)]
    above = [2.0**32, 2.0**32 + 1, 2.0**40, largest(16)]
    x = torch.tensor([2.0**-16, *below, *above], dtype=torch.float64)
    (y,) = compute(call, x)
    of_below = 0.0 if name == "sqrt" else reference(2.0**-16)
    wanted = [reference(2.0**-16)] + [of_below] * len(below) + [reference(2.0**32)] * len(above)
    wanted = torch.tensor(wanted, dtype=torch.float64)
    within(y, wanted, relative(wanted, 16), x)


@pytest.mark.parametrize(
    ("name", "bits", "precision", "x"),
    [
        ("reciprocal", 20, 16, 2.0**24),
        ("reciprocal", 24, 16, 2.0**28),
        ("reciprocal", 12, 12, 2.0**20),
        ("rsqrt", 16, 16, 2.0**33),
        ("sqrt", 16, 16, 0.0),
        ("sqrt", 12, 12, 0.0),
    ],
)
def test_powers_at_the_ends_are_right_for_every_mask(name, bits, precision, x):
    """An exponent just below the lowest index would be read as the highest one, for the few masks
    that do not carry into the next."""
    values = torch.full((400_000,), x, dtype=torch.float64)
    calls = {"reciprocal": lambda e, s: e.reciprocal(s, bits)}
    call = calls.get(name, POWERS[name][0])
    (y,) = compute(call, values, (2, "first_party", precision, 0))
    wanted = torch.zeros(1, dtype=torch.float64) if x == 0 else POWERS[name][1](values[:1])
    within(y, wanted.expand_as(y), 2 * 2.0**-precision, values)


@pytest.mark.parametrize("precision", [8, 16, 24])
def test_end_values_of_exponentials(precision):
    """2^(62 - precision) from its logarithm on, 0 below -ln 2 (precision + 2)."""
    setting = (2, "first_party", precision, 0)
    top = (62 - precision) * math.log(2)
    above = [top + 2.0**-precision, top + 1, 1000.0, largest(precision)]
    below = [-math.log(2) * (precision + 3), -1000.0, -largest(precision)]
    x = torch.tensor([*above, *below], dtype=torch.float64)
    (y,) = compute(lambda e, s: e.exp(s), x, setting)
    wanted = torch.cat([torch.full((4,), 2.0 ** (62 - precision)), torch.zeros(3)]).double()
    within(y, wanted, relative(wanted, precision), x)


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0, 1000.0])
@pytest.mark.parametrize("n", [1, 2, 10, 1000, 30000])
def test_softmax(n, scale):
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(max(FEW // n, 1), n, generator=generator, dtype=torch.float64) * scale
    x[0] = -1000.0  # all but one so far away that nothing is left of them
    x[0, 0] = 0.0
    x = (x * 2**16).round() / 2**16
    softmax, log_softmax, total = compute(
        lambda e, s: (e.softmax(s, -1), e.log_softmax(s, -1), e.logsumexp(s, -1)), x
    )
    within(softmax, x.softmax(-1), 2.0**-14, x)
    within(log_softmax, x.log_softmax(-1), 2.0**-14, x)
    within(total, x.logsumexp(-1), 2.0**-14, x)


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("n", [1, 2, 7, 64, 768])
@pytest.mark.parametrize(("scale", "offset"), [(0.01, 0), (1, 0), (1, 100), (50, 1000)])
def test_standardization(n, scale, offset, parties):
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(3000 // n + 1, n, generator=generator, dtype=torch.float64) * scale + offset
    x = (x * 2**16).round() / 2**16
    eps, unit = 1e-5, 2.0**-16
    values, mean, inverse = compute(
        lambda e, s: e.standardize(s, eps), x, (parties, "first_party", 16, 0)
    )
    centre = x.mean(-1, keepdim=True)
    deviation = (x.var(-1, correction=0, keepdim=True) + eps).rsqrt()
    # 1 / n has 20 fraction bits; the mean is corrected once.
    of_mean = unit + centre.abs() * (n * 2.0**-21) ** 2 * (n & (n - 1) != 0)
    within(mean, centre, 1.5 * of_mean, centre)
    # n eps is rounded down to a unit of a square.
    bar = 2.0**-14.5 + 0.5 * 2.0**-32 / (n * eps)
    within(inverse, deviation, bar * deviation + 2 * unit, deviation)
    wanted = (x - centre) * deviation
    within(values, wanted, bar * wanted.abs() + 1.5 * of_mean * deviation + 2 * unit, x)


def with_ties(rows: int, n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n)
    x = torch.randint(-n, n + 1, (rows, n), generator=generator).double()
    x[::3] *= 2.0**-16  # neighbours in units of the last place
    x[1::3] *= 2.0 ** (44 - math.ceil(math.log2(n + 1)))  # differences of the whole range
    return x


@each_setting
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 9, 17, 100])
def test_largest_and_sorted_values_are_exact(n, setting):
    parties, provider, precision, _ = setting
    x = with_ties(30, n) * 2.0 ** (16 - precision)

    def body(engine):
        s = enter_shared(engine, x)
        found = [engine.largest(s, 1), *engine.largest_with_index(s, 1)]
        columns = s.rearrange(lambda t: t.t())
        found += [engine.sort(s, 1, False), engine.sort(columns, 0, True)]
        values, places, network = engine.sort_with_index(s, -1, True)
        found += [values, places, engine.unsort(network, values)]
        return [engine.reveal(value) for value in found]

    largest_, again, place, ascending, descending, values, places, back = run(
        body, parties, provider, precision=precision
    )[0]
    expected = x.sort(1, descending=True).values
    for found in (largest_, again):
        assert torch.equal(found, expected[:, 0])
    first = (x == expected[:, :1]).double().argmax(1)
    assert torch.equal(place.long(), first)
    assert torch.equal(ascending, x.sort(1).values)
    assert torch.equal(descending, expected.t())
    assert torch.equal(values, expected)
    assert torch.equal(places.sort(1).values, torch.arange(n).double().expand_as(x))
    assert torch.equal(x.gather(1, places.long()), expected)
    assert torch.equal(back, x)


def test_a_largest_of_many_rows_takes_pairs_and_is_exact():
    x = with_ties(4000, 9)
    values, place = compute(lambda e, s: e.largest_with_index(s, 1), x)
    assert torch.equal(values, x.max(1).values)
    assert torch.equal(place.long(), (x == x.max(1, keepdim=True).values).double().argmax(1))


@each_setting
def test_pieces_with_integer_slopes_are_exact(setting):
    _, _, precision, count = setting
    x = points((-1.0, 1.0, 6.0), count=count, precision=precision)
    calls = [
        ([0.0], [[0.0], [0.0, 1.0]], x.clamp(min=0)),
        ([0.0, 6.0], [[0.0], [0.0, 1.0], [6.0]], x.clamp(0, 6)),
        ([0.0], [[0.0, -1.0], [0.0, 1.0]], x.abs()),
        ([0.0, 2.0**-precision], [[-1.0], [0.0], [1.0]], x.sign()),
    ]
    for thresholds, pieces, wanted in calls:
        (y,) = compute(lambda e, s: e.piecewise(s, thresholds, [pieces])[0], x, setting)  # noqa: B023
        assert torch.equal(to_ulps(y, precision), to_ulps(wanted, precision))
    # With a slope of 2^-2 the result is pending: 2 bits of its range are the fraction's.
    x = points(low=-(2.0 ** (59 - precision)), high=2.0 ** (59 - precision), count=FEW)
    x = (x * 2.0**precision).round() / 2.0**precision
    (y,) = compute(lambda e, s: e.piecewise(s, [0.0], [[[0, 0.25], [0, 1.0]]])[0], x, setting)
    floor = (F.leaky_relu(x, 0.25) * 2.0**precision).floor() / 2.0**precision
    within(y, floor, 2.0**-precision, x)


@each_setting
def test_hardswish_of_moderate_values(setting):
    _, _, precision, count = setting
    x = points((-3.0, 3.0), -1000.0, 1000.0, count, precision)
    sixth = 1 / 6
    pieces = [[0.0], [0.0, 0.5, sixth], [0.0, 1.0]]
    if 3 * precision > 54:
        pieces[1][2] = 0.125
    (y,) = compute(lambda e, s: e.piecewise(s, [-3.0, 3.0], [pieces])[0], x, setting)
    inside = 0.5 * x + pieces[1][2] * x * x
    wanted = torch.where(x < -3, 0.0, torch.where(x < 3, inside, x))
    within(y, wanted, 2.0**-precision + 9 * 2.0 ** -(precision + 1), x)
