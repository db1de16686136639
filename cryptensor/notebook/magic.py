# SPDX-License-Identifier: MIT
"""The cell magic %%parties."""

from __future__ import annotations

import atexit
import time
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from ..config import NETWORKS, PROVIDERS, TRANSPORTS, Settings, chosen_transport
from ..errors import ConfigError
from ..failure import remote_error
from .parties import Outcome, Parties
from .side_by_side import Transcript, bundle

_UPDATE_SECONDS = 0.2
# Importing torch takes its time where many processes do.
_SETUP_SECONDS = 60.0
_KEPT = "the variables are kept, though one party may have gone further than another"
_OVER = (
    "the session is over, since its parties can no longer compute together; the next %%parties "
    "cell starts a new one, without the variables of this one"
)
_OPTIONS = (
    "parties",
    "provider",
    "transport",
    "network",
    "precision",
    "timeout",
    "threads",
    "checked",
)
# Of this process: kernels have one shell.
_parties: Parties | None = None


@magics_class
class PartiesMagic(Magics):
    """%%parties, for %load_ext cryptensor.notebook."""

    @magic_arguments()
    @argument(
        "parties", nargs="?", type=int, metavar="N", help="Number of parties; 2 at the beginning."
    )
    @argument("--provider", choices=[name for name in PROVIDERS if name != "stored"])
    @argument("--transport", choices=TRANSPORTS)
    @argument("--network", choices=NETWORKS)
    @argument("--precision", type=int, help="Fraction bits.")
    @argument("--timeout", type=float, help="Seconds to wait for a peer within an operation.")
    @argument("--threads", type=int, help="torch threads of each party.")
    @argument("--checked", action="store_true", default=None, help="Domains are checked.")
    @argument("--restart", action="store_true", help="Begin anew, without variables.")
    @cell_magic
    def parties(self, line: str, cell: str) -> None:
        """Runs the cell at every party, in processes that keep their variables between cells.

        What is left out stays as it was; a change of anything starts a new session. Only what a
        party prints, the repr of its last expression, its figures of matplotlib and the first
        cause of an error come back. Ctrl-C interrupts the cell at all parties. The parties stay
        usable after an error or an interrupt if they are in step, else the session ends.

        Cost: each session starts a process a party and one for the dealer.

        Raises ConfigError for a bad setting, RemoteError for the first cause of a failure, and
        KeyboardInterrupt.
        """
        try:
            options: Any = vars(parse_argstring(self.parties, line))
            restart = options.pop("restart")
            given = {name: value for name, value in options.items() if value is not None}
            parties = _session(given, restart)
        except (ConfigError, UsageError) as error:
            # IPython would let the cells below run on after a UsageError.
            refusal = ConfigError(str(error))
            raise _shown(refusal, f"ConfigError: {refusal}") from None
        view = _View(parties.settings.parties, live=hasattr(self.shell, "kernel"))
        outcome = parties.run(cell, view.transcripts, view.update)
        view.finish()
        _raise(outcome)


def end_session() -> None:
    """Ends the parties, if there are any."""
    global _parties
    if _parties is not None:
        _parties.close()
        _parties = None


def _session(given: dict[str, Any], restart: bool) -> Parties:
    """The running session, or a new one where the settings are others."""
    global _parties
    running = _parties.settings if _parties is not None else Settings()
    kept = {name: getattr(running, name) for name in _OPTIONS}
    chosen = {**kept, **given}
    chosen["transport"] = chosen_transport(chosen["transport"], None)
    settings = Settings(**chosen, setup_timeout=_SETUP_SECONDS)
    if _parties is not None and not restart and _parties.usable and settings == running:
        return _parties
    had_variables = _parties is not None and _parties.usable
    end_session()
    _parties = Parties(settings)
    if had_variables:
        print(f"A new session of {settings.parties} parties: the variables of the last are gone.")
    return _parties


class _View:
    """The output of a cell, which grows while the cell runs."""

    def __init__(self, count: int, live: bool) -> None:
        self.transcripts = [Transcript() for _ in range(count)]
        self._live = live
        self._handle: Any = None
        self._updated = 0.0
        self._shown = 0

    def update(self) -> None:
        """Shows what is new, unless that was done a moment ago."""
        if self._live and time.monotonic() - self._updated > _UPDATE_SECONDS:
            self.finish()

    def finish(self) -> None:
        additions = sum(transcript.additions for transcript in self.transcripts)
        if additions == self._shown:
            return
        content = bundle(self.transcripts)
        if not self._live:
            display(content, raw=True)
        elif self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
        self._updated, self._shown = time.monotonic(), additions


def _raise(outcome: Outcome) -> None:
    """The error of a cell, if it has one, shown once and without the frames of this package."""
    if outcome.interrupted:
        state = _OVER if outcome.session_is_over else _KEPT
        text = f"the cell was interrupted at all parties; {state}"
        raise _shown(KeyboardInterrupt(text), f"KeyboardInterrupt: {text}")
    if outcome.failures:
        error = remote_error(outcome.failures)
        raise _shown(error, f"{error}\n\n({_OVER})" if outcome.session_is_over else str(error))
    if outcome.session_is_over:
        print(_OVER)


def _shown(error: BaseException, text: str) -> BaseException:
    # IPython asks an exception how it wants to be shown.
    error._render_traceback_ = text.splitlines  # type: ignore[attr-defined]
    return error


atexit.register(end_session)
