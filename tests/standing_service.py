# SPDX-License-Identifier: MIT
"""A standing dealer in a process of its own, and parties in threads that come to it."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

from cryptensor import rendezvous, session, standing_dealer
from cryptensor.config import Settings

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "import sys; from cryptensor.cli import main; sys.argv[0] = 'cryptensor'; main()"


def start_command(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


class StandingDealer:
    """`cryptensor dealer --json`, and the events that it tells of."""

    def __init__(self, *arguments, listen="127.0.0.1:0"):
        self.program = start_command("dealer", "--listen", listen, "--json", *arguments)
        self._events = queue.Queue()
        self.all = []
        threading.Thread(target=self._read, daemon=True).start()
        self.address = self.wait_for("listening", 90.0)["address"]

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])

    def wait_for(self, name, seconds=40.0, **fields):
        """The next event of the name with these fields; others are skipped."""
        deadline = time.monotonic() + seconds
        while True:
            event = self._events.get(timeout=max(deadline - time.monotonic(), 0.01))
            assert event is not None, (self.all, self.program.communicate())
            if event["event"] == name and all(event[k] == v for k, v in fields.items()):
                return event

    def stop(self, number=signal.SIGTERM):
        """The exit status."""
        if self.program.poll() is None:
            self.program.send_signal(number)
        try:
            return self.program.wait(40)
        finally:
            self.program.kill()
            self.program.wait()

    def _read(self):
        for line in self.program.stdout:
            event = json.loads(line)
            self.all.append(event)
            self._events.put(event)
        self._events.put(None)


def run_session(address, body, parties=2, wrap=None, **settings):
    """Runs body(rank) at parties in threads: results, or the errors that they ended with.

    wrap(rank, transport) gives the transport that a party uses instead.
    """
    chosen = Settings(parties=parties, dealer=address, **{"setup_timeout": 30.0, **settings})
    store = rendezvous.serve_loopback_store()
    where = {"host": rendezvous.LOOPBACK, "port": store.port, "name": uuid.uuid4().hex}
    ends = [None] * parties

    def party(rank):
        meeting = rendezvous.Meeting(
            rank=rank, size=parties, hosts_store=False, loopback=True, **where
        )
        try:
            meeting = standing_dealer.expected(meeting, chosen)
            meets = rendezvous.open_store(meeting, chosen.setup_timeout)
            if rank == 0:
                standing_dealer.announce(meeting, chosen)
            transport, keep = session.connect(meets, meeting, chosen)
            transport = wrap(rank, transport) if wrap else transport
            session.open_session(transport, rank, chosen, keep)
            ends[rank] = body(rank)
            session.shutdown()
        except Exception as error:
            ends[rank] = error
            session.abandon()

    threads = [threading.Thread(target=party, args=(rank,), daemon=True) for rank in range(parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def peak_bytes(pid):
    """The most memory that the process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10
