# SPDX-License-Identifier: MIT
"""What an engine says of itself: nothing secret in texts, errors and output; fresh keys always."""

from __future__ import annotations

import copy
import pickle
from collections import Counter

import pytest
import torch
from engines import C, Frame, PartyError, enter, run, run_traced
from uniformity import ALARM, p_value, words_of

SECRET = 123_456.0625
ENCODED = int(SECRET * 2**16)


def share_of(secret) -> int:
    seen = []
    secret.rearrange(lambda share: seen.append(share.clone()) or share)
    return int(seen[0])


def tells(text: str, word: int) -> bool:
    """Does the text hold the word, signed or unsigned, in decimal or hexadecimal?"""
    unsigned = word % 2**64
    forms = {
        str(word),
        str(unsigned),
        f"{unsigned:x}",
        f"{unsigned:X}",
        str(SECRET),
        str(int(SECRET)),
    }
    return any(form in text for form in forms)


def test_tells_can_see():
    assert tells("share 81910531.", 81910531)
    assert tells("0xffffffffffffff85", -123)
    assert not tells("<Secret of shape [3]>", 81910531)


def with_secret(fn, parties=2):
    def body(engine):
        owned = enter(engine, torch.tensor(SECRET, dtype=torch.float64))
        shared = engine.share(owned)
        return [fn(engine, x, share_of(x)) for x in (shared, *([owned] * (engine.rank == 0)))]

    return run(body, parties)


def test_texts_of_a_secret_hold_no_share():
    def body(engine, x, word):
        texts = [repr(x), str(x), f"{x}", repr(engine), str(engine)]
        texts += [repr(getattr(x, name)) for name in dir(x) if not name.startswith("__")]
        engine.relu(x)
        texts.append(repr(engine.stats()))
        assert not any(tells(text, word) for text in texts)
        assert not hasattr(x, "__dict__")

    with_secret(body)


def test_secrets_are_not_pickled_or_copied():
    def body(engine, x, word):
        for attempt in (pickle.dumps, copy.deepcopy, copy.copy):
            with pytest.raises(TypeError) as caught:
                attempt(x)
            assert not tells(str(caught.value), word)
        for attempt in (float, int, torch.as_tensor, bytes):
            with pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
                attempt(x)
            assert not tells(str(caught.value), word)

    with_secret(body)


def test_errors_about_a_secret_hold_no_share():
    def body(engine, x, word):
        other = x.rearrange(lambda share: share.expand(2, 3).contiguous())
        wrong = x.rearrange(lambda share: share.expand(4).contiguous())
        attempts = [
            lambda: x.public_value(),
            lambda: engine.mul(other, wrong),
            lambda: engine.add(other, wrong),
            lambda: engine.matmul(x, x),
            lambda: engine.conv(x, x, [1], [0], [1], 1),
            lambda: engine.truncate(x, 40, "exact"),
            lambda: engine.truncate(x, 4, "upwards"),
            lambda: engine.reveal(x, 7),
            lambda: engine.scale(x, float("nan")),
            lambda: engine.combine([], lambda shares: shares),
            lambda: engine.sum(x, [5], False),
        ]
        for attempt in attempts:
            with pytest.raises((RuntimeError, ValueError, IndexError)) as caught:
                attempt()
            assert not tells(str(caught.value), word)

    # Alone, as each refusal is this party's own and nothing is sent.
    with_secret(body)


def test_only_the_owner_is_told_which_value_was_refused():
    value = 98_765_432_109_876.5

    def body(engine):
        with pytest.raises(C.RangeError) as caught:
            enter(engine, torch.tensor([1.0, value], dtype=torch.float64))
        return str(caught.value)

    owner, *others = run(body, 3)
    assert "[1]" in owner and "98765432109876.5" in owner
    assert all("party 0 refused its input" in text and "987654" not in text for text in others)


def test_a_failing_peer_does_not_make_errors_talk():
    def body(engine):
        x = engine.share(enter(engine, torch.tensor(SECRET, dtype=torch.float64)))
        words.append(share_of(x))
        if engine.rank == 1:
            raise LookupError("on purpose")
        engine.reveal(engine.mul(x, x))

    words: list[int] = []
    with pytest.raises(PartyError) as caught:
        run(body)
    texts = [str(error) for error in caught.value.errors.values()]
    assert len(texts) == 2 and not any(tells(text, word) for text in texts for word in words)


def test_nothing_is_printed_or_logged(capfd, caplog):
    def body(engine):
        owned = enter(engine, torch.tensor(SECRET, dtype=torch.float64))
        for x in (owned, engine.share(owned)):  # in step: both parties do all of it
            engine.reveal(engine.relu(engine.mul(x, x)))
            engine.reveal(engine.truncate(x, 3, "exact"), 0)

    with caplog.at_level(0):
        run(body)
    out, err = capfd.readouterr()
    assert (out, err, caplog.records) == ("", "", [])


SESSIONS, PARTIES, DEALER = 200, 3, 3
SEED, DEALT = slice(24, 40), slice(40, 56)  # of a handshake


def setup_of_sessions(provider: str) -> list[tuple[int, Frame]]:
    """The frames of many sessions in which nothing happens, with their senders."""
    sent = []
    for _ in range(SESSIONS):
        traced = run_traced(lambda engine: None, PARTIES, provider)
        sent += [(rank, frame) for rank, frames in enumerate(traced.frames) for frame in frames]
    return sent


def greetings(sent: list[tuple[int, Frame]]) -> list[tuple[int, bytes]]:
    return [(rank, f.payload) for rank, f in sent if f.operation == "handshake"]


def assert_random(keys: list[bytes]) -> None:
    assert all(len(key) == 16 for key in keys)
    assert len(set(keys)) == len(keys)
    assert p_value(words_of(b"".join(keys))) >= ALARM


def test_seeds_are_fresh_in_every_session():
    sent = setup_of_sessions("third_party")
    hellos = greetings(sent)
    assert_random([hello[SEED] for rank, hello in hellos if rank != DEALER])
    # The dealer's keys come from the dealer, each in a message of its own.
    assert {hello[DEALT] for _, hello in hellos} == {bytes(16)}
    keys = [f.payload for _, f in sent if f.operation == "dealer_seed"]
    assert len(keys) == SESSIONS * PARTIES
    assert_random(keys)


def test_the_first_party_sends_one_key_to_all_other_parties():
    """The keys of all parties are derived of it: each deals a part."""
    hellos = greetings(setup_of_sessions("first_party"))
    assert_random([hello[SEED] for _, hello in hellos])
    keys = [hello[DEALT] for rank, hello in hellos if rank == PARTIES - 1]
    assert len(keys) == SESSIONS * (PARTIES - 1)
    assert set(Counter(keys).values()) == {PARTIES - 1}
    assert_random(list(dict.fromkeys(keys)))
    assert {hello[DEALT] for rank, hello in hellos if rank < PARTIES - 1} == {bytes(16)}


def test_two_sessions_with_the_same_data_send_different_bytes():
    def body(engine):
        x = engine.share(enter(engine, torch.zeros(4096)))
        engine.reveal(engine.mul(x, x))

    runs = [run_traced(body).frames for _ in range(2)]
    for first, second in zip(*runs, strict=True):
        for a, b in zip(first, second, strict=True):
            if a.operation in ("multiply", "reveal"):
                assert p_value(words_of(a.payload) ^ words_of(b.payload)) >= ALARM
