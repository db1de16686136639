# SPDX-License-Identifier: MIT
"""A party's side of %%parties: runs cells as they come and sends back what they show, no value."""

from __future__ import annotations

import ast
import collections
import io
import linecache
import os
import signal
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from .. import session, tensor
from ..failure import Failure

_CHUNK = 1 << 15
_SEND_SECONDS = 0.05
_MAX_FIGURES = 16
_MAX_FIGURE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Ready:
    """The party waits for its first cell."""


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    png: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a cell.

    work: what the party has done with secrets so far, in counts that are equal at parties in step;
    None: the cell closed the session. computed: whether the cell did something with secrets.
    """

    failure: Failure | None
    work: tuple[object, ...] | None
    computed: bool


class _Interrupts:
    """SIGINT raises KeyboardInterrupt in a cell, but not while a message is on its way."""

    def __init__(self) -> None:
        self._in_cell = False
        self._held = 0
        self._pending = False
        signal.signal(signal.SIGINT, self._arrived)

    @contextmanager
    def raised(self) -> Iterator[None]:
        self._in_cell = True
        try:
            yield
        finally:
            self._in_cell = self._pending = False

    @contextmanager
    def held(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._pending and not self._held:
            self._pending = False
            raise KeyboardInterrupt

    def _arrived(self, *_: object) -> None:
        if self._in_cell and self._held:
            self._pending = True
        elif self._in_cell:
            raise KeyboardInterrupt


class _Stream(io.TextIOBase):
    """Standard output and error of a party, sent often and in pieces of bounded size."""

    encoding = "utf-8"

    def __init__(self, send: Callable[[object], None]) -> None:
        self._send = send
        self._sending = threading.Lock()
        self._written: collections.deque[str] = collections.deque()
        self._size = 0
        threading.Thread(target=self._keep_sending, name="output", daemon=True).start()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() takes a str, not {type(text).__name__}")
        self._written.append(text)
        self._size += len(text)
        if self._size > _CHUNK:
            self.send()
        return len(text)

    def send(self) -> None:
        """Sends what was written until now; returns when it is sent."""
        with self._sending:
            self._size, pieces = 0, []
            while self._written:
                pieces.append(self._written.popleft())
            text = "".join(pieces)
            for start in range(0, len(text), _CHUNK):
                self._send(Text(text[start : start + _CHUNK]))

    def _keep_sending(self) -> None:
        while True:
            time.sleep(_SEND_SECONDS)
            self.send()


class _CountedOperations(tensor.Operations):
    """Counts every operation on a secret: many of them send nothing, and the engine counts none.

    Yet where one party did it and another did not, their shares do not fit any more.
    """

    def __init__(self, operations: tensor.Operations) -> None:
        super().__init__()
        self._operations = operations
        self.count = 0

    def __getitem__(self, operation: Any) -> Callable[..., Any]:
        self.count += 1
        return self._operations[operation]


class _Cells:
    """The variables of one party's cells, and the way back to the notebook."""

    def __init__(self, opened: session.Session) -> None:
        self._rank = opened.engine.rank
        self._report = opened.report
        self._lock = threading.Lock()
        self._interrupts = _Interrupts()
        self._module = types.ModuleType("__main__")
        # Functions and classes of the cells can be pickled, as those of a program.
        sys.modules["__main__"] = self._module
        self._operations = tensor.OPERATIONS = _CountedOperations(tensor.OPERATIONS)
        self._stream = sys.stdout = sys.stderr = _Stream(self.send)

    def send(self, message: object) -> None:
        with self._interrupts.held(), self._lock:
            self._report(message)

    def run(self, name: str, source: str) -> None:
        """Runs a cell and sends what it shows, then its end."""
        before, failure = self._work(), None
        try:
            with self._interrupts.raised():
                self._execute(name, source)
                self._send_figures()
        except BaseException as error:
            failure = Failure.of_exception(self._rank, f"party {self._rank}", _trimmed(error))
        self._stream.send()
        _close_figures()
        after = self._work()
        self.send(Ended(failure, after, after != before))

    def _execute(self, name: str, source: str) -> None:
        # For tracebacks, and for the call sites of ct.stats().
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        tree, last = ast.parse(source, name), None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(cast(ast.Expr, tree.body.pop()).value)
        exec(compile(tree, name, "exec"), self._module.__dict__)
        if last is not None:
            value = eval(compile(last, name, "eval"), self._module.__dict__)
            if value is not None and not source.rstrip().endswith(";"):
                print(repr(value))

    def _work(self) -> tuple[object, ...] | None:
        """What was done in the session; None where there is none."""
        if not session.is_active():
            return None
        engine: Any = session.current().engine
        calls = (f"{row['operation']} {row['calls']}" for row in engine.stats())
        return (self._operations.count, engine.reveals(), *calls)

    def _send_figures(self) -> None:
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        for number in pyplot.get_fignums()[:_MAX_FIGURES] if pyplot else ():
            file = io.BytesIO()
            pyplot.figure(number).savefig(file, format="png", bbox_inches="tight")
            if file.tell() <= _MAX_FIGURE_BYTES:
                self._stream.send()
                self.send(Figure(file.getvalue()))
            else:
                print(f"[a figure of {file.tell():,} bytes is too large to be shown]")


def serve() -> None:
    """Runs at every party, as the function of a launch: cells until there are no more."""
    opened: Any = session.current()
    # Before pyplot is imported: the notebook's own backend needs its kernel.
    os.environ["MPLBACKEND"] = "Agg"
    warnings.filterwarnings("ignore", ".*non-interactive.*cannot be shown", UserWarning)
    cells = _Cells(opened)
    cells.send(Ready())
    opened.report = print  # ct.progress() of a cell
    while (cell := opened.receive()) is not None:
        cells.run(*cell)


def _close_figures() -> None:
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")


def _trimmed(error: BaseException) -> BaseException:
    """The error without the frames that lead to the cell."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, ast.__file__):
        trace = trace.tb_next
    return error.with_traceback(trace)
