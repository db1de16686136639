# SPDX-License-Identifier: MIT
"""Engines in threads over a MemoryHub: run(fn) calls fn(engine) at every party.

CRYPTENSOR_TEST_MODULE is the file of another build of _C to run instead of the installed one. A
process can hold one build only: pybind11 registers each C++ class once.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import threading
import traceback
from collections.abc import Callable
from typing import NamedTuple

import torch


def _load():
    path = os.environ.get("CRYPTENSOR_TEST_MODULE")
    if path is None:
        from cryptensor import _C

        return _C
    spec = importlib.util.spec_from_file_location("cryptensor._C", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


C = _load()

PROVIDERS = ("first_party", "third_party")
STORED = [(parties, "stored") for parties in (2, 3)]
CONFIGURATIONS = [(parties, provider) for provider in PROVIDERS for parties in (2, 3, 4)]
# Another engine, which has no provider: it is named in the place of one.
REPLICATED = (3, "replicated")
ALL = [*CONFIGURATIONS, REPLICATED]


class Frame(NamedTuple):
    """A frame as a TraceTransport kept it."""

    peer: int
    lane: int
    operation: str
    payload: bytes


class Traced(NamedTuple):
    """Results by party; frames by rank, in the order of sending, the dealer's last."""

    results: list
    frames: list[list[Frame]]


class PartyError(AssertionError):
    """At least one party raised; `errors` has them by rank."""

    def __init__(self, errors: dict[int, BaseException]) -> None:
        self.errors = errors
        texts = ("".join(traceback.format_exception(e)) for e in errors.values())
        ranks = ", ".join(str(rank) for rank in errors)
        super().__init__(f"ranks {ranks} raised:\n" + "\n".join(texts))


def run(
    fn: Callable,
    parties: int = 2,
    provider: str = "first_party",
    *,
    timeout: float = 20.0,
    **settings,
) -> list:
    """The results of fn(engine) by party. Raises PartyError."""
    return run_traced(fn, parties, provider, timeout=timeout, trace=False, **settings).results


def run_traced(
    fn: Callable,
    parties: int = 2,
    provider: str = "first_party",
    *,
    timeout: float = 20.0,
    trace: bool = True,
    **settings,
) -> Traced:
    """As run(), and every frame that was sent."""
    if provider == "stored" and "store" not in settings:
        with tempfile.TemporaryDirectory() as store:
            deal(plan_of(fn, parties, timeout=timeout, **settings), store)
            settings = {**settings, "store": store}
            return run_traced(fn, parties, provider, timeout=timeout, trace=trace, **settings)
    if provider == "replicated":
        settings = {**settings, "engine": provider}
        provider = "none"
    store = settings.pop("store", None)
    ranks = parties + (provider == "third_party")
    hub = C.MemoryHub(ranks)
    transports = [hub.transport(rank) for rank in range(ranks)]
    if trace:
        transports = [C.trace_transport(transport) for transport in transports]
    results: list = [None] * parties
    errors: dict[int, BaseException] = {}

    def work(rank: int) -> None:
        try:
            transport = transports[rank]
            if rank == parties:
                C.serve_dealer(transport, parties, timeout)
                return
            mine = {"store": f"{store}/party{rank}.store"} if store else {}
            engine = C.make_engine(
                transport, parties, provider, timeout=timeout, **settings, **mine
            )
            results[rank] = fn(engine)
            engine.shutdown()
        except BaseException as error:
            errors[rank] = error
            hub.abort(rank)

    threads = [threading.Thread(target=work, args=(rank,), daemon=True) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise PartyError(dict(sorted(errors.items())))
    frames = [[Frame(*sent) for sent in t.frames()] for t in transports] if trace else []
    return Traced(results, frames)


def plan_of(fn: Callable, parties: int = 2, **settings):
    """What fn(engine) takes, and one correlation more: some programs take none."""

    def traced(engine):
        fn(engine)
        engine.square(engine.share(engine.input([1] if engine.rank else torch.ones(1), 0)))
        return engine

    return C.Plan.of(run(traced, parties, "first_party", records=True, **settings)[-1])


def deal(plan, folder: str, lots: int = 1, steps: int = 0) -> None:
    """The store of a plan: `lots` times its start and `steps` further steps."""
    writer = C.StoreWriter(str(folder), plan, lots, steps)
    for lot in range(lots):
        writer.deal(lot)
    writer.finish()


class Cost(NamedTuple):
    """What something cost one party."""

    rounds: int
    bytes_sent: int
    dealer_bytes: int


def measured(engine) -> Cost:
    """The cost at this party since reset_stats(), of all operations together."""
    rows = engine.stats()
    return Cost(*(sum(row[field] for row in rows) for field in Cost._fields))


def is_replicated(engine) -> bool:
    return engine.provider == "none"


def sharers(engine) -> int:
    """Among how many parties the operands of all but products are shared."""
    return 2 if is_replicated(engine) else engine.parties


def declared(engine, *costs: dict) -> Cost:
    """The sum of what _C.cost declares; only the last of those who share receives corrections."""
    corrected = engine.rank == sharers(engine) - 1
    return Cost(
        sum(cost["rounds"] for cost in costs),
        sum(cost["bytes_sent"] for cost in costs),
        sum(cost["dealer_bytes"] for cost in costs) * corrected,
    )


NOTHING = {"rounds": 0, "bytes_sent": 0, "dealer_bytes": 0}


def enter(engine, values: torch.Tensor, src: int = 0):
    """`values` as an input of party src; the others pass the shape. The oracle has one party."""
    knows = engine.rank == src or engine.parties == 1
    return engine.input(values if knows else list(values.shape), src)


def enter_shared(engine, values: torch.Tensor, src: int = 0):
    """`values` of party src as additive shares."""
    return engine.share(enter(engine, values, src))


def oracle(fn: Callable, **settings):
    """The result of fn(engine) on the plaintext engine."""
    return fn(C.plaintext_engine(**settings))


def to_ulps(values: torch.Tensor, precision: int = 16) -> torch.Tensor:
    """Exact while the values have at most 53 significant bits."""
    scaled = values * 2.0**precision
    assert torch.equal(scaled, scaled.round())
    return scaled.to(torch.int64)
