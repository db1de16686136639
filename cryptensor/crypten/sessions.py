# SPDX-License-Identifier: MIT
"""init(), uninit() and run_multiprocess(): how a program of CrypTen's gets its session."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

from .. import _C, session
from ..config import Settings
from ..errors import ConfigError
from ..launch import launch
from .config import PROVIDERS, cfg


class _Opened(threading.local):
    """The sessions that init() has opened in this thread, for uninit() to close."""

    def __init__(self) -> None:
        self.sessions: list[session.Session] = []


_opened = _Opened()


def init(config_file: Any = None, party_name: str | None = None, device: Any = None) -> None:
    """Starts a session: that of torchrun's ranks, or of this process alone.

    Under torchrun it is cryptensor.init() with the provider of cfg.mpc.provider; with "TTP", the
    default, the last rank is the dealer. Without torchrun's variables, as in a notebook, there is
    one party, which holds all values in the clear: nothing is hidden from anybody, and programs
    can be tried before run_multiprocess() runs them between parties. Where a session is open
    already, as inside run_multiprocess(), it stays, with a RuntimeWarning.

    config_file: settings for cfg. party_name: see get_name() of the communicator. device: the CPU.
    """
    from . import communicator

    _check_device(device)
    if config_file is not None:
        cfg.load_config(config_file)
    if session.is_active():
        warnings.warn("init(): there is a session already; it stays", RuntimeWarning, stacklevel=2)
    else:
        _open()
        _opened.sessions.append(session.current())
    if party_name is not None:
        communicator.get().set_name(party_name)


def uninit() -> None:
    """Ends the session that init() has opened; one of launch or simulate ends by itself."""
    if _opened.sessions and session.is_active() and session.current() is _opened.sessions[-1]:
        session.shutdown()
        _opened.sessions.pop()


def is_initialized() -> bool:
    """True where a session is open in this thread."""
    return session.is_active()


def run_multiprocess(world_size: int, maxsize: int | None = None) -> Callable[..., Any]:
    """A decorator: a call runs the function at so many parties and returns their results, by rank.

    Each party is a process, as by cryptensor.launch(), besides a dealer where cfg.mpc.provider is
    "TTP"; settings of cfg are handed on. With world_size=1 it runs here. maxsize: not needed.
    Raises RemoteError where a party raises.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> list[Any]:
            if world_size == 1:
                return [_alone(function, args, kwargs)]
            return launch(
                run_party,
                function,
                cfg.to_dict(),
                args,
                kwargs,
                parties=world_size,
                provider=PROVIDERS[cfg["mpc.provider"]],
                precision=cfg["encoder.precision_bits"],
            )

        return run

    return decorate


def run_party(
    function: Callable[..., Any], settings: dict[str, Any], args: Any, kwargs: Any
) -> Any:
    """What each process of run_multiprocess() calls."""
    cfg.set_config(settings)
    return function(*args, **kwargs)


def _open() -> None:
    provider, precision = PROVIDERS[cfg["mpc.provider"]], cfg["encoder.precision_bits"]
    if os.environ.get("WORLD_SIZE", "1") != "1":
        meeting = os.environ.get("RENDEZVOUS", "env://")
        if meeting != "env://":
            raise ConfigError(
                f"the environment variable RENDEZVOUS is {meeting!r}; it must be 'env://', with "
                "MASTER_ADDR and MASTER_PORT set, as torchrun does"
            )
        session.init(provider=provider, precision=precision)
    else:
        _open_alone(precision)


def _open_alone(precision: int) -> None:
    # Settings know no session of one party; nothing reads their number of parties here.
    settings = Settings(provider="first_party", precision=precision)
    session.push(session.Session(_C.plaintext_engine(precision=precision), settings))


def _alone(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    _open_alone(cfg["encoder.precision_bits"])
    try:
        return function(*args, **kwargs)
    finally:
        session.pop()


def _check_device(device: Any) -> None:
    if device is not None and not str(device).startswith("cpu"):
        raise ConfigError(f"device is {device!r}; it must be None or the CPU")
