# SPDX-License-Identifier: MIT
"""A program at one rank, in this process, and the exit status that says how it ended."""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from pathlib import Path

from .. import presets, session
from ..errors import AuthFailed, ConfigError, Error, PeerLost, PeerTimeout, SetupError
from .configuration import HostConfig

DONE = 0
FAILED = 1
MISCONFIGURED = 2
LOST = 3
UNAUTHENTICATED = 4


def run(config: HostConfig, program: str | os.PathLike[str] | None, arguments: list[str]) -> int:
    """Runs the program, or the dealer, as this rank, and returns the exit status.

    The program is a script that calls ct.init(), as under torchrun; a session that it leaves open
    is shut down. After a failure the peers have lost this rank when run() returns, but threads may
    still wait for them: end the process with os._exit().

    Raises ConfigError for a program that is missing, or given to the dealer.
    """
    if config.is_dealer and program is not None:
        raise ConfigError(f"program is {str(program)!r} at the dealer, which runs none: leave it")
    if not config.is_dealer and program is None:
        raise ConfigError(f"program is missing; party {config.rank} needs one")
    config.enter()
    try:
        if program is None:
            session.init()
        else:
            _run_script(program, arguments)
            if session.is_active():
                session.shutdown()
    except BaseException as error:
        status = status_of(error)
        if status != DONE:
            _report(error, status)
            _abandon()
        return status
    return DONE


def status_of(error: BaseException) -> int:
    """The exit status for what ended a program."""
    if isinstance(error, SystemExit):
        return DONE if error.code in (None, 0) else FAILED
    if isinstance(error, AuthFailed):
        return UNAUTHENTICATED
    if isinstance(error, (PeerLost, PeerTimeout, SetupError)):
        return LOST
    # Later ones are about a call of the program's, not about the host.
    if isinstance(error, ConfigError) and not presets.opened():
        return MISCONFIGURED
    return FAILED


def _run_script(program: str | os.PathLike[str], arguments: list[str]) -> None:
    path = Path(program)
    if not path.is_file():
        raise ConfigError(f"program is {str(program)!r}; it must be a file of Python")
    sys.argv = [str(program), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    runpy.run_path(str(path), run_name="__main__")


def _report(error: BaseException, status: int) -> None:
    if isinstance(error, SystemExit):
        text = error.code if isinstance(error.code, str) else f"the program ended by {error!r}"
        print(text, file=sys.stderr)
    elif status == FAILED:
        traceback.print_exception(_of_the_program(error))
    else:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)


def _of_the_program(error: BaseException) -> BaseException:
    """The error without the frames that lead to the program."""
    trace, foreign = error.__traceback__, (__file__, runpy.__file__, "<frozen runpy>")
    while trace is not None and trace.tb_frame.f_code.co_filename in foreign:
        trace = trace.tb_next
    return error if trace is None else error.with_traceback(trace)


def _abandon() -> None:
    try:
        session.abandon()
    except Error:
        # What went wrong is told already; the connections close with the process.
        return
