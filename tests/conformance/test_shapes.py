# SPDX-License-Identifier: MIT
"""Differential tests over shapes: 0-dim, empty, broadcast, and views that are not contiguous."""

from __future__ import annotations

import torch
from engines import C, enter, oracle, run, to_ulps
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

configurations = st.tuples(
    st.sampled_from([2, 2, 3, 4]), st.sampled_from(["first_party", "third_party"])
)
# Who knows an operand. Rank 1 exists everywhere.
owners = st.sampled_from([C.SHARED, C.SHARED, C.PUBLIC, 0, 1])
settled_shapes = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
seeds = st.integers(0, 2**31)


@st.composite
def views(draw):
    """A rearrangement of a tensor of any shape, as its name and a function."""
    name = draw(
        st.sampled_from(["none", "transpose", "step", "narrow", "flip", "repeat", "expand"])
    )
    pick = draw(st.integers(0, 3))

    def apply(t):
        if t.dim() == 0:
            return t.expand(2, 1) if name == "expand" else t
        dim = pick % t.dim()
        size = t.shape[dim]
        changed = {
            "none": lambda: t,
            "transpose": lambda: t.transpose(dim, 0),
            "step": lambda: t[(slice(None),) * dim + (slice(None, None, 2),)],
            "narrow": lambda: t.narrow(dim, min(1, size), size - min(1, size)),
            "flip": lambda: t.flip(dim),
            "repeat": lambda: torch.repeat_interleave(t, 2, dim),
            "expand": lambda: t.unsqueeze(dim).expand(*t.shape[:dim], 3, *t.shape[dim:]),
        }
        return changed[name]()

    apply.__name__ = f"{name}_{pick}"
    return apply


def place(engine, values, owner):
    if owner == C.PUBLIC:
        return engine.public(values)
    entered = enter(engine, values, max(owner, 0))
    return engine.share(entered) if owner == C.SHARED else entered


def check(configuration, program, values, owners_, errors):
    """Runs program(engine, *operands), a list of secrets, on both kinds of engine."""

    def body(engine):
        operands = [place(engine, v, o) for v, o in zip(values, owners_, strict=True)]
        return [(engine.reveal(x), x.shape) for x in program(engine, *operands)]

    expected = oracle(body)
    for results in run(body, *configuration):
        for (value, shape), (right, _), most in zip(results, expected, errors, strict=True):
            assert value.shape == right.shape == torch.Size(shape)
            off = (to_ulps(value) - to_ulps(right)).abs()
            assert off.numel() == 0 or off.max() <= most


def random_values(seed, *shapes):
    generator = torch.Generator().manual_seed(seed)
    return [4 * torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes]


@settings(max_examples=150)
@given(configurations, settled_shapes, views(), owners, seeds)
def test_one_operand(configuration, shape, view, owner, seed):
    def program(engine, x):
        y = x.rearrange(view)
        bits = engine.square(y)
        return [
            engine.neg(y),
            engine.relu(y),
            engine.relu(bits),
            engine.ltz(y),
            engine.square(y),
            engine.mul(y, x.rearrange(view)),
            engine.truncate(y, 5, "interactive"),
            engine.truncate(y, 5, "exact"),
            engine.sum(y, [], False),
            engine.cumsum(y, 0) if y.shape else y,
            engine.scale(y, 0.3),
            engine.share(y),
        ]

    errors = [0, 0, 1, 0, 1, 1, 32, 0, 0, 0, 1, 0]
    check(configuration, program, random_values(seed, shape), [owner], errors)


@settings(max_examples=150)
@given(
    configurations,
    mutually_broadcastable_shapes(num_shapes=2, min_dims=0, max_dims=4, min_side=0, max_side=4),
    st.tuples(owners, owners),
    seeds,
)
def test_two_operands_broadcast(configuration, shapes, both, seed):
    def program(engine, x, y):
        wide = [engine.sub(x, y), engine.add(x, y)]
        return [
            *wide,
            engine.mul(x, y),
            engine.maximum(x, y),
            engine.maximum(wide[0], y),
            engine.select(engine.at_least_zero(y), x, y),
            engine.mul(x.rearrange(lambda t: t.expand(wide[0].shape)), y),
        ]

    values = random_values(seed, *shapes.input_shapes)
    check(configuration, program, values, both, [0, 0, 1, 0, 0, 0, 1])


@st.composite
def matmul_shapes(draw):
    rows, inner, columns = (draw(st.integers(0, 5)) for _ in range(3))
    batches = draw(
        mutually_broadcastable_shapes(num_shapes=2, min_dims=0, max_dims=2, max_side=3)
    ).input_shapes
    left = draw(st.sampled_from([(inner,), (*batches[0], rows, inner)]))
    right = draw(st.sampled_from([(inner,), (*batches[1], inner, columns)]))
    return left, right


@settings(max_examples=150)
@given(configurations, matmul_shapes(), st.tuples(owners, owners), st.booleans(), seeds)
def test_matmul(configuration, shapes, both, from_transposed, seed):
    def flipped(t):
        return t.transpose(-1, -2) if t.dim() > 1 else t

    def program(engine, x, y):
        if from_transposed:
            x, y = x.rearrange(flipped), y.rearrange(flipped)
        return [engine.matmul(x, y)]

    values = random_values(seed, *shapes)
    if from_transposed:
        values = [flipped(v).contiguous() for v in values]
    check(configuration, program, values, both, [1])


@st.composite
def convolutions(draw):
    spatial, groups = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    few = st.integers(1, 2)
    batch, channels, filters = draw(st.integers(0, 2)), draw(few) * groups, draw(few) * groups
    kernel = [draw(st.integers(1, 3)) for _ in range(spatial)]
    stride, dilation = ([draw(few) for _ in range(spatial)] for _ in range(2))
    padding = [draw(st.integers(0, 2)) for _ in range(spatial)]
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = [
        max(1, s - 2 * p) + draw(st.integers(0, 4)) for s, p in zip(spans, padding, strict=True)
    ]
    shapes = (batch, channels, *size), (filters, channels // groups, *kernel)
    return shapes, (stride, padding, dilation, groups)


@settings(max_examples=120)
@given(configurations, convolutions(), st.tuples(owners, owners), seeds)
def test_conv(configuration, convolution, both, seed):
    shapes, arguments = convolution

    def program(engine, x, w):
        return [engine.conv(x, w, *arguments)]

    check(configuration, program, random_values(seed, *shapes), both, [1])


@settings(max_examples=100)
@given(configurations, st.integers(0, 6), st.integers(0, 6), st.booleans(), owners, owners, seeds)
def test_views_of_one_value_share_its_opening_and_see_its_writes(
    configuration, start, length, weight, owner, new_owner, seed
):
    def program(engine, x, new):
        if weight:
            x.reuse()
        part = x.rearrange(lambda t: t[start : start + length])
        column = x.rearrange(lambda t: t[:, 1])
        before = [engine.mul(part, part), engine.mul(column, column), engine.square(x)]
        target = x.rearrange(lambda t: t[1:3])
        engine.write(target, new)
        after = [engine.mul(part, part), engine.mul(x, x), engine.square(column)]
        return [*before, *after, x]

    values = random_values(seed, (6, 3), (2, 3))
    check(configuration, program, values, [owner, new_owner], [1] * 6 + [0])
