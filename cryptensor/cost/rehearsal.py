# SPDX-License-Identifier: MIT
"""A session of one party without peers and without a dealer.

Its engine is the one of a real session, over a transport that swallows what is sent and answers
itself: rounds, bytes and caching are those of a run because the same code brings them about, and
the time of this thread is that of the party alone. Values mean nothing: what is revealed is noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .. import _C, session
from ..config import Settings


@contextmanager
def rehearsal(rank: int, settings: Settings) -> Iterator[None]:
    """Inside, this thread is party `rank` of a session with these settings, and nobody else is."""
    engine = _C.rehearsal_engine(
        rank,
        settings.parties,
        precision=settings.precision,
        truncation=settings.truncation,
        checked=settings.checked,
        few_rounds=settings.network == "wan",
    )
    threads = torch.get_num_threads()
    session.push(session.Session(engine, settings))
    torch.set_num_threads(settings.threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        session.pop()
