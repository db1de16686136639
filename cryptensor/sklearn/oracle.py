# SPDX-License-Identifier: MIT
"""oracle(): estimators on public data by the plaintext engine, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from .. import _C, session
from ..config import Settings
from ..data import cryptensor
from ..tensor import CrypTensor


@contextmanager
def oracle(precision: int = 16) -> Iterator[None]:
    """Inside, fit() and predict() take public arrays, as in scikit-learn, and give arrays back.

    The same code runs in the same fixed-point numbers, but without parties: nothing is hidden, and
    nothing is sent. It shows beforehand what the numbers of a session would do to a model.
    Attributes stay secret tensors, to be read by reveal().
    """
    engine = _C.plaintext_engine(precision=precision)
    session.push(session.Session(engine, Settings(precision=precision)))
    try:
        yield
    finally:
        session.pop()


def is_active() -> bool:
    """Is the session of this thread an oracle's?"""
    return session.is_active() and session.current().engine.provider == "plaintext"


def entered(values: np.ndarray) -> CrypTensor:
    """A public array as a tensor of the oracle."""
    whole = values.dtype.kind in "biu"
    return cryptensor(values, dtype=torch.int64 if whole else torch.float64)


def given_back(values: Any) -> Any:
    """A result: an array of an oracle, else as it is."""
    if isinstance(values, CrypTensor) and is_active():
        opened = values.reveal()
        assert opened is not None
        return opened.numpy()
    return values
