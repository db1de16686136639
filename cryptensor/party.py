# SPDX-License-Identifier: MIT
"""The life of one party's process, from its start by `launch` to its last message.

It gets the function in one memory file and leaves the result in another; its pipe carries only
small messages, so neither side ever blocks on a large one.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import pickle
import signal
import sys
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any

from .config import Settings
from .failure import Failure
from .pickling import dumps

_PR_SET_PDEATHSIG = 1
_DEALER_NICENESS = 10

BOOTSTRAP = (
    "import json, sys; task = json.loads(sys.argv.pop()); sys.path[:] = task.pop('path'); "
    "from cryptensor.party import Task, main; main(Task.from_dict(task))"
)


@dataclass(frozen=True, slots=True)
class Task:
    """What a party's process has to know before it can read its function."""

    rank: int
    name: str
    parent: int
    port: int
    settings: Settings
    pipe: int
    work: int
    result: int

    @property
    def party(self) -> int:
        return self.rank // self.settings.workers

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "path": sys.path})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Task:
        return cls(**{**values, "settings": Settings(**values["settings"])})


def main(task: Task) -> None:
    """Runs the task. Reports every failure, also one that is no Exception, and ends."""
    _die_with_parent(task.parent)
    for descriptor in (task.pipe, task.work, task.result):
        os.set_inheritable(descriptor, False)
    pipe = Connection(task.pipe)
    try:
        _run(task, pipe)
        pipe.send(("done", None))
    except BaseException as error:
        # The cause has to be on its way before the peers notice that this party is gone.
        pipe.send(("failed", Failure.of_exception(task.party, task.name, _trimmed(error))))
        _abandon()
        sys.stdout.flush()
        sys.stderr.flush()
        # Gloo's threads may wait for peers that will never answer: no orderly exit.
        os._exit(1)


def _run(task: Task, pipe: Connection) -> None:
    import torch

    from . import layout, rendezvous, session, standing_dealer

    torch.set_num_threads(task.settings.threads)
    meeting = rendezvous.Meeting(
        rank=task.rank,
        size=task.settings.processes,
        host=rendezvous.LOOPBACK,
        port=task.port,
        hosts_store=False,
        loopback=True,
    )
    if task.settings.dealer is not None:
        meeting = standing_dealer.expected(meeting, task.settings)
    work: Any = None
    if task.party == task.settings.parties:
        # The dealer runs ahead: with few cores it must not delay a round of the parties.
        os.nice(_DEALER_NICENESS)
    else:
        # Mapped, because the parties share this file and with it its read position.
        work = mmap.mmap(task.work, 0, access=mmap.ACCESS_READ)
    store = rendezvous.open_store(meeting, task.settings.setup_timeout)
    opened = layout.join(store, meeting, task.settings)
    if opened is None:
        return
    opened.report = lambda message: pipe.send(("progress", message))
    opened.receive = pipe.recv
    # Written by the parent that started this process, in a file that only they have.
    fn, args, kwargs = pickle.loads(work)
    work.close()
    result = fn(*args, **kwargs)
    _leave_result(task.result, result)
    session.shutdown()


def _leave_result(descriptor: int, result: object) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(dumps(result))


def _abandon() -> None:
    from . import session

    try:
        session.abandon()
    except Exception:
        # The failure is reported already; the connections close with the process.
        return


def _die_with_parent(parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _trimmed(error: BaseException) -> BaseException:
    """The error without the frames of this file, which tell a user nothing."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return error.with_traceback(trace) if trace is not None else error
