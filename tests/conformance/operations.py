# SPDX-License-Identifier: MIT
"""Every operation of an engine: how it is called, what it declares to cost, how far it may be off.

Costs are those of one party, from _C.cost. Errors are (lowest, highest) in units of the last place
of the result, against the plaintext engine, whose truncations round down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from engines import NOTHING, C, is_replicated, sharers

SHARED, PUBLIC = C.SHARED, C.PUBLIC
cost = C.cost


@dataclass(frozen=True)
class Operand:
    """An operand by its shape and who knows it: a rank, SHARED or PUBLIC."""

    shape: tuple[int, ...]
    owner: int = SHARED


@dataclass(frozen=True)
class Operation:
    """`prepare` turns the operands into those of `apply`, and is not measured. `relative` is the
    part of the error that grows with the value, on top of `error`."""

    name: str
    operands: tuple[Operand, ...]
    apply: Callable
    cost: Callable = lambda engine: [NOTHING]
    error: Callable = lambda engine: (0, 0)
    prepare: Callable = lambda engine, *operands: operands
    relative: Callable = lambda engine: 0.0


def by_role(engine, owner: int, both: tuple[dict, dict], sender: int | None = None) -> list[dict]:
    """The owner's or the others' part of a one-way product. `sender`: the only one that sends."""
    of_owner, of_others = both
    if engine.rank == owner:
        return [of_owner]
    silent = sender is not None and engine.rank != sender
    return [{**of_others, "bytes_sent": 0} if silent else of_others]


def replicated_product_of(engine, *operands: tuple[int, int]) -> dict:
    """A product of the replicated engine, of such (elements, owner)."""
    return cost.replicated_product(list(operands), engine.rank)


def default_truncation(engine) -> str:
    return "one_bit" if sharers(engine) == 2 else "interactive"


def truncation_error(kind: str) -> tuple[int, int]:
    return {"local": (-1, 1), "one_bit": (0, 1), "interactive": (0, 1), "exact": (0, 0)}[kind]


def settling_error(engine) -> tuple[int, int]:
    return truncation_error(default_truncation(engine))


def settling_cost(engine, n: int, bits: int | None = None) -> dict:
    bits = engine.precision if bits is None else bits
    return cost.truncate(default_truncation(engine), n, engine, bits)


def pending(engine, *operands):
    """Operands with twice the fraction bits: times one, encoded."""
    one = engine.public(torch.ones((), dtype=torch.float64))
    return tuple(engine.mul(x, one) for x in operands)


def opened(engine, *operands):
    """Operands whose masked opening is cached already."""
    for x in operands:
        engine.square(x)
    return operands


def with_bit(engine, decider, *operands):
    return engine.at_least_zero(decider), *operands


def long_lived(engine, known, x):
    """`known` as a weight that was used before."""
    known.reuse()
    engine.mul(known, x)
    return known, x.rearrange(torch.clone)  # what is sent of x would be kept with it


def joined(engine, *operands):
    return engine.combine(list(operands), lambda shares: torch.cat(shares))


def transposed(engine, x):
    return x.rearrange(lambda share: share.t())


def overwritten(engine, x, y):
    """The first half of x becomes y, the other half stays."""
    target = x.rearrange(torch.clone)
    engine.write(target.rearrange(lambda share: share[: y.shape[0]]), y)
    return target


def free_of_charge() -> list[Operation]:
    """Linear operations, and products in which one party or everybody knows enough."""
    a, row = Operand((5, 7)), Operand((7,))
    known, public = Operand((5, 7), 0), Operand((5, 7), PUBLIC)
    return [
        Operation("add", (a, a), lambda e, x, y: e.add(x, y)),
        Operation("add_broadcast", (a, row), lambda e, x, y: e.add(x, y)),
        Operation("add_owned", (a, known), lambda e, x, y: e.add(x, y)),
        Operation("add_public", (public, a), lambda e, x, y: e.add(x, y)),
        Operation("add_two_owners", (known, Operand((5, 7), 1)), lambda e, x, y: e.add(x, y)),
        Operation("add_pending", (a, a), lambda e, x, y: e.add(*pending(e, x), y)),
        Operation("sub", (a, a), lambda e, x, y: e.sub(x, y)),
        Operation("sub_from_public", (public, a), lambda e, x, y: e.sub(x, y)),
        Operation("neg", (a,), lambda e, x: e.neg(x)),
        Operation("sum", (a,), lambda e, x: e.sum(x, [], False)),
        Operation("sum_dim", (a,), lambda e, x: e.sum(x, [1], True)),
        Operation("cumsum", (a,), lambda e, x: e.cumsum(x, 1)),
        Operation("scale", (a,), lambda e, x: e.scale(x, -1.7)),
        Operation("scale_by_integer", (a,), lambda e, x: e.scale(x, 3.0)),
        Operation("share", (known,), lambda e, x: e.share(x)),
        Operation("share_public", (public,), lambda e, x: e.share(x)),
        Operation("share_shared", (a,), lambda e, x: e.share(x)),
        Operation("rearrange", (a,), transposed),
        Operation("combine", (a, known, public), joined),
        Operation("write", (Operand((4, 3)), Operand((2, 3))), overwritten),
        Operation("write_owned", (Operand((4, 3)), Operand((2, 3), 0)), overwritten),
        Operation("write_into_owned", (Operand((4, 3), 1), Operand((2, 3))), overwritten),
        Operation("mul_public", (a, public), lambda e, x, y: e.mul(x, y)),
        Operation("mul_one_owner", (known, known), lambda e, x, y: e.mul(x, y)),
        Operation("matmul_public", (a, Operand((7, 3), PUBLIC)), lambda e, x, y: e.matmul(x, y)),
        Operation("square_owned", (known,), lambda e, x: e.square(x)),
        Operation("relu_owned", (known,), lambda e, x: e.relu(x)),
        Operation("ltz_owned", (known,), lambda e, x: e.ltz(x)),
        Operation("truncate_owned", (known,), lambda e, x: e.truncate(x, 3, "default")),
        Operation("settle_settled", (a,), lambda e, x: e.settle(x)),
    ]


def products() -> list[Operation]:
    a, row, known, other = (
        Operand((5, 7)),
        Operand((7,)),
        Operand((5, 7), 0),
        Operand((5, 7), 1),
    )
    left, right, batch = Operand((5, 7)), Operand((7, 3)), Operand((2, 5, 7))
    right_known, left_known = Operand((7, 3), 1), Operand((5, 7), 0)

    def multiply(e, x, y):
        return e.mul(x, y)

    def matmul(e, x, y):
        return e.matmul(x, y)

    def one_way(owner, known_numel, is_open, sent, out, sender=None):
        def of(e):
            if is_replicated(e):
                left = 0 if is_open else known_numel
                owner_too = cost.PAIR if sender is None else sender
                return [replicated_product_of(e, (left, owner), (sent, owner_too))]
            both = cost.owned_product(known_numel, is_open, sent, out, e.parties)
            return by_role(e, owner, both, sender)

        return of

    return [
        Operation("mul", (a, a), multiply, lambda e: [cost.product(35, 35, 35, e)]),
        Operation("mul_broadcast", (a, row), multiply, lambda e: [cost.product(35, 7, 35, e)]),
        Operation(
            "mul_by_itself",
            (a,),
            lambda e, x: e.mul(x, x),
            lambda e: [cost.product(35, 0, 35, e)],
        ),
        Operation(
            "mul_opened",
            (a, a),
            multiply,
            lambda e: [{**cost.product(0, 0, 35, e), "rounds": 0}],
            prepare=opened,
        ),
        Operation("mul_owned", (known, a), multiply, one_way(0, 35, False, 35, 35)),
        Operation("mul_owned_right", (a, other), multiply, one_way(1, 35, False, 35, 35)),
        Operation("mul_two_owners", (known, other), multiply, one_way(1, 35, False, 35, 35, 0)),
        Operation(
            "mul_weight", (known, a), multiply, one_way(0, 35, True, 35, 35), prepare=long_lived
        ),
        Operation("matmul", (left, right), matmul, lambda e: [cost.product(35, 21, 15, e)]),
        Operation("matmul_batch", (batch, right), matmul, lambda e: [cost.product(70, 21, 30, e)]),
        Operation("matmul_vectors", (row, row), matmul, lambda e: [cost.product(7, 7, 1, e)]),
        Operation("matmul_owned", (left, right_known), matmul, one_way(1, 21, False, 35, 15)),
        Operation("matmul_owned_left", (left_known, right), matmul, one_way(0, 35, False, 21, 15)),
        Operation("square", (a,), lambda e, x: e.square(x), lambda e: [cost.square(35, e)]),
        Operation(
            "square_opened",
            (a,),
            lambda e, x: e.square(x),
            lambda e: [{**cost.square(35, e), "rounds": 0, "bytes_sent": 0}],
            prepare=opened,
        ),
        *convolutions(),
    ]


def convolutions() -> list[Operation]:
    def one(name, x, w, out, *arguments, owner=SHARED):
        sizes = [torch.Size(shape).numel() for shape in (x, w, out)]

        def of(e):
            if owner == SHARED:
                return [cost.product(*sizes, e)]
            if is_replicated(e):
                return [replicated_product_of(e, (sizes[1], owner), (sizes[0], cost.PAIR))]
            both = cost.owned_product(sizes[1], False, sizes[0], sizes[2], e.parties)
            return by_role(e, owner, both)

        operands = (Operand(x), Operand(w, owner))
        return Operation(name, operands, lambda e, a, b: e.conv(a, b, *arguments), of)

    return [
        one("conv1d", (2, 3, 9), (4, 3, 3), (2, 4, 7), [1], [0], [1], 1),
        one("conv2d", (2, 3, 6, 6), (4, 3, 3, 3), (2, 4, 6, 6), [1, 1], [1, 1], [1, 1], 1),
        one("conv2d_strided", (1, 2, 7, 7), (3, 2, 3, 2), (1, 3, 3, 4), [2, 2], [0, 1], [1, 1], 1),
        one("conv2d_grouped", (1, 4, 6, 6), (4, 2, 2, 2), (1, 4, 4, 4), [1, 1], [0, 0], [2, 2], 2),
        one(
            "conv2d_owned",
            (1, 2, 5, 5),
            (3, 2, 3, 3),
            (1, 3, 3, 3),
            [1, 1],
            [0, 0],
            [1, 1],
            1,
            owner=1,
        ),
    ]


def truncations() -> list[Operation]:
    def one(kind, bits):
        def apply(e, x):
            return e.truncate(*pending(e, x), bits(e), kind)

        def of(e):
            return [cost.truncate(kind, 35, e, bits(e))]

        name = f"truncate_{kind}_{bits.__name__}"
        return Operation(name, (Operand((5, 7)),), apply, of, lambda e: truncation_error(kind))

    def one_bit(e):
        return 1

    def all_bits(e):
        return e.precision

    def most_bits(e):
        return min(2 * e.precision, 32)

    kinds = ("local", "one_bit", "interactive", "exact")
    cached = Operation(
        "truncate_opened",
        (Operand((5, 7)),),
        lambda e, x: e.truncate(x, 3, "interactive"),
        # The replicated engine opens nothing for a product that a truncation could use.
        lambda e: [
            cost.truncate("interactive", 35, e, 3)
            | ({} if is_replicated(e) else {"rounds": 0, "bytes_sent": 0})
        ],
        lambda e: (0, 1),
        opened,
    )
    settle = Operation(
        "settle",
        (Operand((5, 7)),),
        lambda e, x: e.settle(*pending(e, x)),
        lambda e: [settling_cost(e, 35)],
        settling_error,
    )
    return [one(kind, bits) for kind in kinds for bits in (one_bit, all_bits, most_bits)] + [
        cached,
        settle,
    ]


def comparisons() -> list[Operation]:
    a = Operand((5, 7))

    def pending_maximum(e):
        settled = [settling_cost(e, 35), settling_cost(e, 35)]
        return [*settled, cost.relu(35, e, 0)]

    def twice_settled(e):
        low, high = settling_error(e)
        return low + min(0, -high), high + max(0, -low)

    def as_one(e, pair):
        return joined(e, pair[0], pair[1])

    return [
        Operation("relu", (a,), lambda e, x: e.relu(x), lambda e: [cost.relu(35, e, 0)]),
        Operation(
            "relu_pending",
            (a,),
            lambda e, x: e.relu(*pending(e, x)),
            lambda e: [cost.relu(35, e, e.precision)],
            lambda e: (0, 1),
        ),
        Operation(
            "relu_with_sign",
            (a,),
            lambda e, x: as_one(e, e.relu_with_sign(x)),
            lambda e: [cost.relu(35, e, 0)],
        ),
        Operation(
            "at_least_zero",
            (a,),
            lambda e, x: e.at_least_zero(x),
            lambda e: [cost.at_least_zero(35, e)],
        ),
        Operation("ltz", (a,), lambda e, x: e.ltz(x), lambda e: [cost.at_least_zero(35, e)]),
        Operation(
            "maximum",
            (a, a),
            lambda e, x, y: e.maximum(x, y),
            lambda e: [cost.relu(35, e, 0)],
        ),
        Operation(
            "maximum_pending",
            (a, a),
            lambda e, x, y: e.maximum(*pending(e, x, y)),
            pending_maximum,
            twice_settled,
        ),
        Operation(
            "select",
            (a, a, a),
            lambda e, bit, x, y: e.select(bit, x, y),
            lambda e: [cost.product(35, 35, 35, e)],
            prepare=with_bit,
        ),
    ]


OPERATIONS = free_of_charge() + products() + truncations() + comparisons()
