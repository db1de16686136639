# SPDX-License-Identifier: MIT
"""Starts ranks as processes of their own without importing torch again for each.

Reads cases as lines of JSON and answers each line with what became of the ranks. The ranks get the
variables that torchrun sets.
"""

import ctypes
import faulthandler
import gc
import json
import os
import select
import signal
import socket
import sys
import time
import traceback

import rank_program
import torch

import cryptensor as ct

_PR_SET_PDEATHSIG = 1
# How long the others may take after the last rank that ended, unless the case says so, and all.
_PATIENCE_SECONDS = 12.0
_CASE_SECONDS = 25.0
# After which a rank writes to its errors where it is.
_HANG_SECONDS = 10.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Rank:
    """A forked rank, and what it told."""

    def __init__(self, case, rank, port):
        self._pipe, theirs = os.pipe()
        self._errors = os.memfd_create("errors")
        self.status = self.ended = None
        self.began = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            os.dup2(self._errors, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            self._play(case, rank, port, theirs)
        os.close(theirs)

    def _play(self, case, rank, port, pipe):
        values = {"RANK": rank, "WORLD_SIZE": case["size"], "LOCAL_WORLD_SIZE": case["size"]}
        values |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in values.items()})
        status = 0
        faulthandler.dump_traceback_later(_HANG_SECONDS)
        try:
            rank_program.run(case, rank, rank_program.teller(pipe))
        except SystemExit as end:
            status = end.code
        except BaseException:
            traceback.print_exc()
            status = 1
        # What an orderly exit adds is slow, and tested with programs that torchrun starts.
        os._exit(status)

    def poll(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status, self.ended = os.waitstatus_to_exitcode(status), time.monotonic()
        return self.status

    def is_stopped(self):
        with open(f"/proc/{self.pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"

    def outcome(self):
        text = b""
        while select.select([self._pipe], [], [], 0)[0] and (more := os.read(self._pipe, 65536)):
            text += more
        os.close(self._pipe)
        os.lseek(self._errors, 0, os.SEEK_SET)
        errors = os.read(self._errors, 1 << 20).decode(errors="replace")
        os.close(self._errors)
        told = {}
        for line in text.splitlines():
            told |= json.loads(line)
        ends = {"status": self.status, "began": self.began, "ended": self.ended}
        return {**told, **ends, "stderr": errors}

    def end(self):
        """By force; the status stays None."""
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


class World:
    """The ranks of one case."""

    def __init__(self, case):
        self._case = case
        self._port = case.get("port") or free_port()
        absent = case.get("absent", [])
        self._ranks = [self._start(r) for r in range(case["size"]) if r not in absent]
        self._again = case.get("again", False)
        self._patience = case.get("patience", _PATIENCE_SECONDS)

    def is_over(self):
        running = [rank for rank in self._ranks if rank.poll() is None]
        if self._again and self._ranks[self._case["victim"]].status is not None:
            self._again = False
            hasty = {**self._case["settings"], "setup_timeout": 1.0}
            self._ranks.append(self._start(self._case["victim"], fault="none", settings=hasty))
            return False
        ends = [rank.ended for rank in self._ranks if rank.ended is not None]
        waits = not ends or time.monotonic() - max(ends) < self._patience
        return all(rank.is_stopped() for rank in running) or not waits

    def outcomes(self):
        for rank in self._ranks:
            rank.end()
        return [rank.outcome() for rank in self._ranks]

    def _start(self, rank, **changes):
        return Rank({**self._case, **changes}, rank, self._port)


def play(cases):
    """All cases at the same time: they mostly wait."""
    if os.environ.get("CRYPTENSOR_TEST_NAMESPACE"):
        os.system("ip link set lo up")  # the case before may have ended with it down
    worlds = [World(case) for case in cases]
    end = time.monotonic() + _CASE_SECONDS
    while not all([world.is_over() for world in worlds]) and time.monotonic() < end:
        time.sleep(0.01)
    return [world.outcomes() for world in worlds]


def main():
    torch.set_num_threads(1)
    ct.simulate(rank_program.compute)  # imports what comes with the first operations
    end = time.monotonic() + 2.0
    while len(os.listdir("/proc/self/task")) > 1:  # threads that were joined leave a moment later
        if time.monotonic() > end:
            raise RuntimeError("a process with threads cannot be forked")
        time.sleep(0.01)
    gc.freeze()  # what is never collected is never copied into the ranks
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        answer = play(json.loads(line))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
