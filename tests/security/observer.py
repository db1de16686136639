# SPDX-License-Identifier: MIT
"""Everything that can be computed from one or two messages, and how uniform it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from engines import Traced, run_traced
from protocols import PUBLIC_OPERATIONS, Protocol, play
from uniformity import ALARM, LEAST_BYTES, p_value, words_of


class Verdict(NamedTuple):
    """`what` names the kind of message, then how the words were made from such messages."""

    what: str
    p: float

    @property
    def leaks(self) -> bool:
        return self.p < ALARM


# Where three replicate: a message is one of three shares, of which nobody receives more than one.
RING = 3
IN_THE_RING = "in the ring"

# The dealer runs ahead of a program that repeats itself, by hundreds of corrections.
MOST_ROUNDS = 3

Round = dict[int, np.ndarray]  # what each sender sent, to its first receiver


def rounds_of(traced: Traced) -> dict[str, list[Round]]:
    """The k-th messages of all senders that have the same operation and length."""
    counts: dict = defaultdict(int)
    rounds: dict[str, list[Round]] = defaultdict(list)
    for sender, frames in enumerate(traced.frames):
        for frame in frames:
            if frame.operation in PUBLIC_OPERATIONS or len(frame.payload) < LEAST_BYTES:
                continue
            kind = f"{frame.operation} of {len(frame.payload)} bytes"
            kind += f" {IN_THE_RING}" if frame.lane == RING else ""
            counts[kind, sender, frame.peer] += 1
            number = counts[kind, sender, frame.peer]
            while len(rounds[kind]) < number:
                rounds[kind].append({})
            rounds[kind][number - 1].setdefault(sender, words_of(frame.payload))
    return rounds


def unjudged(traced: Traced) -> set[str]:
    """Operations of frames that are neither listed as public nor long enough for a verdict. What is
    empty, as the dealer's last word, tells nothing."""
    return {
        frame.operation
        for frames in traced.frames
        for frame in frames
        if frame.operation not in PUBLIC_OPERATIONS and 0 < len(frame.payload) < LEAST_BYTES
    }


def misdirected(traced: Traced, parties: int, provider: str) -> list[str]:
    """Corrections to anybody but the last party, and anything but requests to the dealer. Party 2
    of the replicated engine is the dealer of the two others, whose last is party 1."""
    dealer = 2 if provider == "replicated" else parties
    wrong = []
    for sender, frames in enumerate(traced.frames):
        for frame in frames:
            is_correction = frame.operation == "dealer_correction"
            if is_correction and frame.peer != dealer - 1:
                wrong.append(f"a correction to party {frame.peer}")
            asked = frame.lane == RING or frame.operation in ("handshake", "dealer_request")
            if frame.peer == dealer and not asked:
                wrong.append(f"{frame.operation} of party {sender} to the dealer")
    return wrong


def pairs(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "difference", a - b
    yield "xor", a ^ b


def within(words: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """A message alone, its halves (two operands), its neighbours."""
    yield "alone", words
    half = len(words) // 2
    if 8 * half < LEAST_BYTES:
        return
    for how, made in pairs(words[:half], words[half : 2 * half]):
        yield f"{how} of halves", made
    yield "difference of neighbours", words[1:] - words[:-1]


def of_two_parties(messages: Round) -> Iterator[tuple[str, np.ndarray]]:
    first, second = (messages[sender] for sender in sorted(messages)[:2])
    yield "sum of two parties", first + second
    yield "difference of two parties", first - second
    yield "xor of two parties", first ^ second


def opened(messages: Round) -> dict[str, np.ndarray]:
    """What the messages of one round open."""
    words = list(messages.values())
    return {"opened sum": np.add.reduce(words), "opened xor": np.bitwise_xor.reduce(words)}


def combinations(
    rounds: list[Round], opening_is_public: bool, sums_are_seen: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """Of one kind of message, in the order of the rounds."""
    last: dict[str, np.ndarray] = {}
    for messages in rounds:
        made = {f"of party {sender}": words for sender, words in messages.items()}
        enough = len(messages) > 2 or (len(messages) == 2 and not opening_is_public)
        if enough and sums_are_seen:
            yield from of_two_parties(messages)
        if len(messages) > 1 and not opening_is_public and sums_are_seen:
            made |= opened(messages)
        for name, words in made.items():
            for how, inner in within(words):
                yield f"{how}, {name}", inner
            if name in last:
                for how, across in pairs(words, last[name]):
                    yield f"{how} of two runs, {name}", across
        last = made


def watch(
    protocol: Protocol, secret: float, parties: int = 2, provider: str = "first_party"
) -> list[Verdict]:
    """Runs a protocol and judges all that was sent."""
    traced = run_traced(play(protocol, secret), parties, provider, **protocol.settings)
    verdicts = [Verdict(what, 0.0) for what in misdirected(traced, parties, provider)]
    for kind, rounds in rounds_of(traced).items():
        operation = kind.split()[0]
        if operation in protocol.public_messages:
            continue
        opening_is_public = operation in protocol.public_openings
        seen = IN_THE_RING not in kind
        for how, words in combinations(rounds[:MOST_ROUNDS], opening_is_public, seen):
            verdicts.append(Verdict(f"{kind}: {how}", p_value(words)))
    assert not unjudged(traced), f"messages without a verdict: {unjudged(traced)}"
    return verdicts
