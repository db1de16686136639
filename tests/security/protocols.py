# SPDX-License-Identifier: MIT
"""Each protocol on fixed secrets, twice in one session, for the leak tests.

The operands are sums of an input of party 0 and one of party 1. Such a sum is shared, and each
share is an input itself: nothing but the mask of a message hides it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from engines import enter

ELEMENTS = 65_536
LARGEST = 2.0**46 - 2.0**-7
SECRETS = (0.0, 1.0, -3.0, LARGEST)

# Messages whose content is public by nature, and why.
PUBLIC_OPERATIONS = {
    "handshake": "settings of the session and its name; the seeds in it are looked at apart",
    "announce": "who owns an input and its shape",
    "dealer_seed": "16 random bytes, too few for a verdict; looked at apart",
    "dealer_request": "kinds, shapes and serial numbers of correlations",
    "goodbye": "no bytes: the party has all that it needs",
}


@dataclass(frozen=True)
class Protocol:
    """`public_messages`: operations whose messages are public by nature here, and why;
    `public_openings`: those of which only all messages of a round together are. `secrets`: those
    with which two parties run it."""

    name: str
    run: Callable  # (engine, operands of this run)
    parties: tuple[int, ...] = (2, 3)
    shape: tuple[int, ...] = (ELEMENTS,)
    second_shape: tuple[int, ...] | None = None
    any_shape: bool = True
    public_messages: dict[str, str] = field(default_factory=dict)
    public_openings: dict[str, str] = field(default_factory=dict)
    secrets: tuple[float, ...] = SECRETS
    settings: dict[str, object] = field(default_factory=dict)  # of the session


@dataclass(frozen=True)
class Operands:
    """x and y are shared, known belongs to party 0 and known_too to party 1."""

    x: object
    y: object
    known: object
    known_too: object


def play(protocol: Protocol, secret: float) -> Callable:
    """The function of a party."""

    def body(engine):
        shapes = [protocol.shape, protocol.second_shape or protocol.shape]
        inputs = [
            enter(engine, torch.full(shape, secret, dtype=torch.float64), src)
            for shape in shapes
            for src in (0, 1)
        ]
        for _ in range(2):
            # Copies, as an opening would be kept with its value otherwise.
            first, first_too, second, second_too = (v.rearrange(torch.clone) for v in inputs)
            x, y = engine.add(first, first_too), engine.add(second, second_too)
            protocol.run(engine, Operands(x, y, first, second_too))

    return body


def pending(engine, x):
    return engine.mul(x, engine.public(torch.ones((), dtype=torch.float64)))


def reveal_shared(engine, o):
    x = engine.share(o.x)
    engine.reveal(x)
    engine.reveal(engine.share(o.known))


def select(engine, o):
    bit = engine.sub(o.x, o.x)  # any value with shares will do
    engine.select(bit, o.x, o.y)


def square_after_write(engine, o):
    """An opening dies with the value: the same mask for the next would show their difference."""
    engine.square(o.x)
    engine.write(o.x.rearrange(lambda t: t[: ELEMENTS // 2]), o.y.rearrange(lambda t: t[1::2]))
    engine.square(o.x)


def weight_after_write(engine, o):
    """The same for a weight, whose opening is kept from one use to the next."""
    o.known.reuse()
    engine.mul(o.known, o.known_too)
    engine.mul(o.known, o.known_too)
    engine.write(o.known, engine.public(torch.zeros(ELEMENTS)))
    engine.mul(o.known, o.known_too)


def integer(engine, x):
    """Any shares without fraction bits."""
    return engine.truncate(x, engine.precision, "interactive")


def one_hot(size):
    return lambda e, o: e.one_hot(integer(e, o.x), size)


def sorted_with_places(engine, o):
    _, _, network = engine.sort_with_index(o.x, 1, False)
    engine.unsort(network, o.y)


def quotient(engine, o):
    engine.quotient(o.y, engine.reciprocal(o.x, 24))


CLAMP = [-1.0, 1.5], [[-1.0], [0.0, 1.0], [1.5]]
# Each row has messages of its own, and those of bits must be long enough for a verdict.
PAIRS, TRIPLES = (ELEMENTS // 2, 2), (ELEMENTS // 2, 3)
VALUE = "the result, which was asked for"


def composed(name: str, run: Callable, **settings) -> Protocol:
    """Of protocols that are looked at alone: one secret tells whether they share a mask."""
    return Protocol(name, run, secrets=SECRETS[2:3], **settings)


PROTOCOLS = [
    Protocol("reveal", reveal_shared, public_openings={"reveal": VALUE}),
    Protocol("reveal_to_one", lambda e, o: e.reveal(e.share(o.x), 1)),
    Protocol("reveal_owned", lambda e, o: e.reveal(o.known), public_messages={"reveal": VALUE}),
    Protocol("mul", lambda e, o: e.mul(o.x, o.y)),
    Protocol("mul_owned", lambda e, o: e.mul(o.known, o.y)),
    Protocol("mul_two_owners", lambda e, o: e.mul(o.known, o.known_too)),
    Protocol("matmul", lambda e, o: e.matmul(o.x, o.y), shape=(256, 256)),
    Protocol("matmul_owned", lambda e, o: e.matmul(o.x, o.known_too), shape=(256, 256)),
    Protocol(
        "conv",
        lambda e, o: e.conv(o.x, o.y, [1, 1], [0, 0], [1, 1], 1),
        shape=(4, 64, 16, 16),
        second_shape=(64, 64, 4, 4),
        any_shape=False,
    ),
    Protocol("square", lambda e, o: e.square(o.x)),
    Protocol("square_after_write", square_after_write, any_shape=False),
    Protocol("weight_after_write", weight_after_write, any_shape=False),
    Protocol("select", select),
    Protocol("truncate_one_bit", lambda e, o: e.truncate(o.x, 16, "one_bit"), parties=(2,)),
    Protocol("truncate_interactive", lambda e, o: e.truncate(o.x, 16, "interactive")),
    Protocol("truncate_exact", lambda e, o: e.truncate(o.x, 16, "exact")),
    Protocol("relu", lambda e, o: e.relu(o.x)),
    Protocol("relu_pending", lambda e, o: e.relu(pending(e, o.x))),
    Protocol("at_least_zero", lambda e, o: e.at_least_zero(o.x)),
    Protocol("maximum", lambda e, o: e.maximum(o.x, o.y)),
    Protocol("piecewise", lambda e, o: e.piecewise(o.x, CLAMP[0], [CLAMP[1]])),
    Protocol("piecewise_cubic", lambda e, o: e.piecewise(o.x, [0.0], [[[0.0], [0, 0, 0, 1.0]]])),
    Protocol("sin_cos", lambda e, o: e.sin_cos(o.x)),
    Protocol("exp", lambda e, o: e.exp(o.x)),
    Protocol("is_zero", lambda e, o: e.is_zero(o.x)),
    Protocol("one_hot", one_hot(3)),
    Protocol("one_hot_of_many", one_hot(1000), shape=(1024,), any_shape=False),
    # As many as take part in tournaments.
    Protocol("largest_of_four", lambda e, o: e.largest_with_index(o.x, 1), shape=(4096, 4)),
    Protocol(
        "largest_in_few_rounds",
        lambda e, o: e.largest_with_index(o.x, 1),
        shape=(4096, 16),
        settings={"few_rounds": True},
    ),
    composed("sigmoid", lambda e, o: e.activation("sigmoid", o.x)),
    composed("gelu_with_derivative", lambda e, o: e.activation_with_derivative("gelu", o.x)),
    composed("log", lambda e, o: e.log(o.x)),
    composed("rsqrt", lambda e, o: e.power(o.x, -0.5)),
    composed("quotient", quotient),
    composed("softmax", lambda e, o: e.softmax(o.x, 1), shape=PAIRS),
    composed("log_softmax", lambda e, o: e.log_softmax(o.x, 1), shape=PAIRS),
    composed("standardize", lambda e, o: e.standardize(o.x, 1e-5), shape=PAIRS),
    composed("largest_of_pairs", lambda e, o: e.largest_with_index(o.x, 1), shape=TRIPLES),
    composed("sort", sorted_with_places, shape=TRIPLES),
]
BY_NAME = {protocol.name: protocol for protocol in PROTOCOLS}
