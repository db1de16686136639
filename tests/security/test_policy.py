# SPDX-License-Identifier: MIT
"""ct.policy() forbids what it does not name, before anything is sent; every reveal is listed."""

from __future__ import annotations

import os

import pytest
import torch

import cryptensor as ct
from cryptensor.errors import ConfigError, Error, PolicyError, RemoteError

HERE = os.path.abspath(__file__)


def secret(values=(1.5, -2.0, 3.0)):
    owned = ct.cryptensor(torch.tensor(values), src=0)
    return ct.CrypTensor(owned._engine.share(owned._secret), owned._engine)


def refused(function, *arguments, **named):
    """The message of the PolicyError, and that nothing was sent."""
    before = ct.stats().total()
    with pytest.raises(PolicyError) as caught:
        function(*arguments, **named)
    after = ct.stats().total()
    assert (before.bytes_sent, before.rounds) == (after.bytes_sent, after.rounds)
    return str(caught.value)


def at_all(body, **settings):
    return ct.simulate(body, provider="first_party", **settings)


# ---- What a destination allows -------------------------------------------------------------------

# parties = 3: reveal_to, destinations that are allowed, destinations that are not
DESTINATIONS = {
    "no limit": (None, [None, 0, 1, 2], []),
    "one rank": (1, [1], [None, 0, 2]),
    "two ranks": ([0, 2], [0, 2], [None, 1]),
    "all ranks": ({0, 1, 2}, [None, 0, 1, 2], []),
    "nobody": ("nobody", [], [None, 0, 1, 2]),
    "an empty collection": ((), [], [None, 0, 1, 2]),
}


@pytest.mark.parametrize("name", DESTINATIONS)
def test_destinations(name):
    reveal_to, allowed, forbidden = DESTINATIONS[name]

    def body():
        x = secret()
        with ct.policy(reveal_to=reveal_to):
            for dst in allowed:
                opened = x.reveal(dst)
                assert (opened is not None) == (dst in (None, ct.rank()))
            for dst in forbidden:
                refused(x.reveal, dst)
        assert x.reveal().tolist() == [1.5, -2.0, 3.0]  # the block is over

    at_all(body, parties=3)


def test_the_message_names_destination_policy_and_line():
    def body():
        x = secret()
        ct.policy(reveal_to=1)
        return refused(lambda: x.reveal())

    for text in at_all(body):
        for part in ("shape (3,)", "all parties", "CrypTensor.reveal", "reveals to party 1", HERE):
            assert part in text


def test_a_statement_holds_to_the_end_and_nothing_widens_it():
    def body():
        ct.policy(reveal_to=0)
        with ct.policy(reveal_to=None):
            refused(secret().reveal)
        ct.policy(reveal_to=[0, 1])
        refused(secret().reveal, 1)
        secret().reveal(0)

    at_all(body)
    at_all(lambda: secret().reveal())  # another session


def test_max_reveals():
    def body():
        x = secret()
        x.reveal()  # before the policy
        with ct.policy(max_reveals=2):
            x.reveal()
            x.reveal(0)
            text = refused(x.reveal)
        x.reveal()
        return text

    for text in at_all(body):
        assert "max_reveals=2" in text


def test_a_refused_reveal_is_not_counted_by_any_policy():
    def body():
        x = secret()
        with ct.policy(max_reveals=1), ct.policy(reveal_to=0):
            refused(x.reveal)
            x.reveal(0)
            refused(x.reveal, 0)

    at_all(body)


def test_public_values_are_no_matter_of_a_policy():
    def body():
        x = secret()
        with ct.policy("nobody"):
            assert torch.zeros_like(x).reveal().tolist() == [0, 0, 0]

    at_all(body)


# ---- Everything that opens -----------------------------------------------------------------------


def save_and_load(tmp_path):
    ct.save({"x": secret()}, str(tmp_path / "x"))


def coin(tmp_path):
    torch.nn.functional.dropout(secret(), 0.5)


def decrypting(tmp_path):
    module = ct.encrypt(torch.nn.Linear(2, 2))
    return lambda: ct.decrypt(module)


WAYS = {
    "reveal": lambda tmp_path: secret().reveal(),
    "get_plain_text": lambda tmp_path: secret().get_plain_text(),
    "the engine's reveal": lambda tmp_path: secret()._engine.reveal(secret()._secret),
    "decrypt": lambda tmp_path: ct.decrypt(ct.encrypt(torch.nn.Linear(2, 2))),
    "private_output": lambda tmp_path: ct.private_output(1)(secret)(),
    "save": save_and_load,
    "the coin's first draw": coin,
    "manual_seed": lambda tmp_path: ct.manual_seed(7),
}


@pytest.mark.parametrize("name", WAYS)
def test_whatever_opens_is_forbidden(name, tmp_path):
    def body():
        ct.policy("nobody")
        with pytest.raises(PolicyError, match=r"test_policy\.py:\d+"):
            WAYS[name](tmp_path)
        assert ct.stats().openings == ()

    at_all(body)


def test_the_verdict_of_checked_mode_is_forbidden_too_and_listed():
    def body():
        x = secret((1.0, 2.0))
        torch.log(x)
        (listed,) = ct.stats().openings
        assert listed.operation.endswith(".check") and listed.shape == ()
        assert listed.site.startswith(HERE) and listed.destination is None
        with ct.policy(0), pytest.raises(PolicyError):
            torch.log(x)
        with ct.policy(0, max_reveals=1, verdicts=True):
            torch.log(x)
            x.reveal(0)
            with pytest.raises(PolicyError, match="used up"):
                x.reveal(0)

    at_all(body, checked=True)


def test_crypten_names_obey():
    pytest.importorskip("cryptensor.crypten")

    def body():
        ct.policy("nobody")
        refused(secret().get_plain_text, dst=0)

    at_all(body)


def test_a_forbidden_reveal_ends_a_run_at_all_parties():
    def body():
        ct.policy("nobody")
        secret().reveal()

    with pytest.raises(RemoteError) as caught:
        ct.launch(body)
    assert caught.value.kind == "PolicyError"
    assert {failure.kind for failure in caught.value.failures} <= {"PolicyError", "PeerLost"}


# ---- The list ------------------------------------------------------------------------------------


def test_reveals_are_listed_by_call_site():
    def body():
        x = secret()
        ct.reset_stats()
        for _ in range(3):
            x.reveal()
        (x * x).reveal(1)
        x[:2].reveal(1)
        return ct.stats()

    for stats in at_all(body):
        rows = [(o.operation, o.shape, o.destination, o.count) for o in stats.openings]
        assert rows == [
            ("CrypTensor.reveal", (3,), None, 3),
            ("CrypTensor.reveal", (3,), 1, 1),
            ("CrypTensor.reveal", (2,), 1, 1),
        ]
        assert stats.reveals == 5
        assert len({o.site for o in stats.openings}) == 3
        assert all(o.site.startswith(HERE) for o in stats.openings)
        assert stats.to_dict()["openings"][0]["count"] == 3
        assert HERE in repr(stats)


def test_reset_forgets_the_list_but_not_the_policy():
    def body():
        x = secret()
        ct.policy(max_reveals=1)
        x.reveal()
        ct.reset_stats()
        assert ct.stats().openings == () and ct.stats().reveals == 0
        refused(x.reveal)

    at_all(body)


# ---- Bad arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize("reveal_to", [-1, 2, True, 1.0, "everybody", [0, 2], [[0]], {0: 1}, "0"])
def test_a_bad_destination_is_refused(reveal_to):
    def body():
        with pytest.raises(ConfigError, match=r"reveal_to is .* rank from 0 to 1"):
            ct.policy(reveal_to)
        secret().reveal()  # and leaves nothing behind

    at_all(body)


@pytest.mark.parametrize("arguments", [{"max_reveals": -1}, {"max_reveals": 1.5}, {"verdicts": 1}])
def test_other_bad_arguments_are_refused(arguments):
    def body():
        with pytest.raises(ConfigError, match=f"{next(iter(arguments))} is"):
            ct.policy(**arguments)

    at_all(body)


def test_a_policy_needs_a_session():
    with pytest.raises(Error, match="no session"):
        ct.policy("nobody")
