# SPDX-License-Identifier: MIT
"""The settings of a session: checked once, never changed afterwards."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

from . import _C
from .address import parse_address
from .errors import ConfigError

ENGINES: tuple[str, ...] = _C.ENGINES
REPLICATED = "replicated"
REPLICATED_PARTIES = 3
PROVIDERS = ("third_party", "first_party", "stored", "none")
NETWORKS = ("lan", "wan")
TRANSPORTS = ("auto", "gloo", "shared_memory")
TRUNCATIONS = ("default", "local", "one_bit", "interactive", "exact")
# A day: longer waits are a mistake in the unit, not a wish.
MAX_SECONDS = 86_400.0
MAX_THREADS = 1_024
TWO_PARTY_TRUNCATIONS = ("local", "one_bit")
MAX_PARTIES = 16
MAX_WORKERS = 1_024
MIN_PRECISION = 8
MAX_PRECISION = 24


@dataclass(frozen=True, slots=True)
class Settings:
    """What all parties of a session have to agree on, and how long they wait for each other.

    parties: number of computing parties; the dealer is not one of them.
    workers: processes of each party; worker w of every party and a dealer form a group.
    provider: who makes the correlated randomness. "third_party" is a process of its own,
      "first_party" are the parties themselves, which then could read every secret: simulation only.
      "stored": nobody while the session runs, it was dealt before. "none": with the engine
      "replicated" only, which has no other and takes the default for it.
    timeout: seconds to wait for a peer in the middle of an operation.
    precision: fraction bits of an encoded number.
    truncation: how a product goes back to `precision` fraction bits.
    checked: a value outside a function's domain, such as log of a negative number, and a sum or
      product outside the range raise RangeError on every party. That there is one, or none, is then
      known to all. Without it such a value gives the end value in the function's documentation, and
      sums and products wrap. csrc/fixedpoint/README.md tells what it costs.
    network: what is scarce between the parties. "wan": rounds, so that maxima take fewer of them
      for more comparisons; "lan": time and bytes.
    threads: torch threads of each party.
    insecure_ok: permits "first_party" and links that are not encrypted between hosts.
    setup_timeout: seconds to wait for all ranks to come.
    certificates: the folder with the files of an encrypted link; None: links are not encrypted.
    transport: how ranks talk without certificates. "shared_memory" is for processes of one user on
      one host, "gloo" (TCP) for any; "auto" is shared memory where it is possible.
    dealer: HOST:PORT of a dealer that stands apart; None: one that is started with the parties.
    store: of the provider "stored": a folder of `cryptensor deal`, or this party's file of one.
    records: notes which correlations are taken, see trace(); with "first_party" only.
    seed: of a test whose transcripts repeat, see seeding.py; None: true randomness.
    engine: the protocols. "additive": any number of parties, and a dealer; secrets stay hidden
      from all parties but one that put together what they have. "replicated": three parties, no
      dealer; no two of them may do so.
    """

    parties: int = 2
    workers: int = 1
    provider: str = "third_party"
    timeout: float = 30.0
    precision: int = 16
    truncation: str = "default"
    checked: bool = False
    network: str = "lan"
    threads: int = 1
    insecure_ok: bool = False
    setup_timeout: float = 10.0
    certificates: str | None = None
    dealer: str | None = None
    store: str | None = None
    records: bool = False
    seed: int | None = None
    transport: str = "auto"
    engine: str = "additive"

    def __post_init__(self) -> None:
        check_integer("parties", self.parties, 2, MAX_PARTIES)
        check_integer("workers", self.workers, 1, MAX_WORKERS)
        _check_choice("engine", self.engine, ENGINES)
        _check_choice("provider", self.provider, PROVIDERS)
        if self.engine == REPLICATED:
            self._check_replicated()
        elif self.provider == "none":
            raise _refusal("provider", "none", _names(PROVIDERS[:-1]) + " with this engine")
        check_seconds("timeout", self.timeout)
        check_integer("precision", self.precision, MIN_PRECISION, MAX_PRECISION)
        _check_choice("truncation", self.truncation, TRUNCATIONS)
        two_share = self.parties == 2 or self.engine == REPLICATED
        if not two_share and self.truncation in TWO_PARTY_TRUNCATIONS:
            raise _refusal(
                "truncation", self.truncation, "'interactive' or 'exact' for 3 or more parties"
            )
        _check_choice("network", self.network, NETWORKS)
        check_integer("threads", self.threads, 1, MAX_THREADS)
        for name in ("checked", "insecure_ok", "records"):
            if not isinstance(getattr(self, name), bool):
                raise _refusal(name, getattr(self, name), "True or False")
        check_seconds("setup_timeout", self.setup_timeout)
        if self.certificates is not None and not isinstance(self.certificates, str):
            raise _refusal("certificates", self.certificates, "None or the path of a folder")
        _check_choice("transport", self.transport, TRANSPORTS)
        if self.certificates is not None and self.transport != "auto":
            raise _refusal("transport", self.transport, "'auto' with certificates, which mean TLS")
        if self.dealer is not None:
            parse_address("dealer", self.dealer)
            if self.provider != "third_party":
                raise _refusal("provider", self.provider, "'third_party' where a dealer is given")
            if self.workers != 1:
                raise _refusal("workers", self.workers, "1 where a standing dealer is given")
            if self.seed is not None:
                raise _refusal("seed", self.seed, "None where a dealer is given, which has its own")

        if self.store is not None and not isinstance(self.store, str):
            raise _refusal("store", self.store, "None or a path")
        if (self.provider == "stored") != bool(self.store):
            allowed = "a path with provider 'stored', and None with any other"
            raise _refusal("store", self.store, allowed)

    def _check_replicated(self) -> None:
        if self.parties != REPLICATED_PARTIES:
            raise _refusal("parties", self.parties, "3 with engine 'replicated'")
        for name in ("dealer", "store", "seed"):
            if getattr(self, name) is not None:
                raise _refusal(name, getattr(self, name), "None with engine 'replicated'")
        if self.records:
            raise _refusal("records", True, "False with engine 'replicated', which takes none")
        if self.provider not in ("third_party", "none"):
            raise _refusal("provider", self.provider, "left out with engine 'replicated'")
        object.__setattr__(self, "provider", "none")

    @property
    def ranks(self) -> int:
        """Processes (or threads) of one group: the parties, and the dealer where it is apart."""
        return self.parties + (1 if self.provider == "third_party" else 0)

    @property
    def processes(self) -> int:
        """Processes in all: every group's ranks."""
        return self.ranks * self.workers

    def agreement(self) -> dict[str, object]:
        """The settings that must be equal at all ranks."""
        shared = {"parties", "workers", "engine", "provider", "precision", "truncation", "checked"}
        shared |= {"network", "transport"}
        agreed = {f.name: getattr(self, f.name) for f in fields(self) if f.name in shared}
        return {**agreed, "encrypted": self.certificates is not None}


def chosen_transport(transport: str, certificates: str | None) -> str:
    """`transport`, or where it leaves the choice, that of the environment variable.

    CRYPTENSOR_TRANSPORT is one of TRANSPORTS. It has no effect on encrypted links. Raises
    ConfigError for another value.
    """
    wish = os.environ.get("CRYPTENSOR_TRANSPORT", "auto")
    if wish not in TRANSPORTS:
        raise _refusal("the environment variable CRYPTENSOR_TRANSPORT", wish, _names(TRANSPORTS))
    return wish if transport == "auto" and certificates is None else transport


def party_count(parties: int | None, engine: str) -> int:
    """The number of parties; None: as many as the engine has, or else two."""
    if parties is not None:
        return parties
    return REPLICATED_PARTIES if engine == REPLICATED else 2


def _refusal(name: str, value: object, allowed: str) -> ConfigError:
    return ConfigError(f"{name} is {value!r}; it must be {allowed}")


def check_integer(name: str, value: object, low: int, high: int) -> None:
    """ConfigError unless the value is an integer from low to high."""
    # bool is an int in Python, but parties=True is never meant.
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _refusal(name, value, f"an integer from {low} to {high}")


def check_seconds(name: str, value: object) -> None:
    """ConfigError unless the value is a sensible number of seconds."""
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
    if not 0 < number <= MAX_SECONDS:
        raise _refusal(name, value, f"a number of seconds above 0 and at most {MAX_SECONDS:g}")


def _check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise _refusal(name, value, _names(allowed))


def _names(allowed: tuple[str, ...]) -> str:
    return "one of " + ", ".join(map(repr, allowed))
