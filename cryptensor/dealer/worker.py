# SPDX-License-Identifier: MIT
"""The process of one session: it joins as the last rank, deals, and says how the session ended.

It reads its task as one line of JSON and ends when the service closes that pipe.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from typing import Any

from ..announcement import Announcement
from .events import one_line

BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from cryptensor.dealer.worker import main; main()"
)
# The dealer runs ahead: with few cores it must not delay a round of the parties.
_NICENESS = 10
# Stacks of threads and buffers of connections, on top of the memory for corrections.
_OVERHEAD_MIB = 96
_OVERHEAD_MIB_A_PARTY = 48


def main() -> None:
    """Serves one session. The last line that it prints is an object of JSON: {"end": ...}."""
    import torch

    from .. import session  # noqa: F401  before there is a task: the service keeps a process ready

    os.nice(_NICENESS)
    torch.set_num_threads(1)
    line = sys.stdin.buffer.readline()
    if not line:
        os._exit(0)  # the service has ended
    threading.Thread(target=_end_with_service, daemon=True).start()
    task = json.loads(line)
    try:
        _serve(Announcement(**task["announcement"]), task)
        end = {"end": "closed"}
    except BaseException as error:
        end = {"end": "lost", "reason": one_line(error)}
    sys.stdout.write(json.dumps(end) + "\n")
    sys.stdout.flush()
    # Gloo's threads may wait for peers that will never answer: no orderly exit.
    os._exit(0)


def _serve(announced: Announcement, task: dict[str, Any]) -> None:
    from .. import _C, rendezvous, session

    settings = announced.settings(
        certificates=task["certificates"], insecure_ok=task["insecure_ok"]
    )
    session.refuse_insecure(settings, announced.loopback)
    meeting = rendezvous.Meeting(
        rank=settings.parties,
        size=settings.ranks,
        host=announced.host,
        port=announced.port,
        hosts_store=False,
        loopback=announced.loopback,
        name=announced.name,
    )
    limit_memory(task["memory_mib"], settings.parties)
    store = rendezvous.open_store(meeting, settings.setup_timeout)
    transport, keep = session.connect(store, meeting, settings)
    _C.serve_dealer(transport, settings.parties, settings.timeout, task["memory_mib"] << 20)
    del keep


def limit_memory(mebibytes: int, parties: int) -> None:
    """Lets the system refuse what would go far beyond the session's memory."""
    with open("/proc/self/status") as status:
        used = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))
    more = mebibytes + _OVERHEAD_MIB + _OVERHEAD_MIB_A_PARTY * parties
    limit = used + (more << 20)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _end_with_service() -> None:
    sys.stdin.buffer.read()
    os._exit(0)
