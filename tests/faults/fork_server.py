# SPDX-License-Identifier: MIT
"""Starts ranks as processes of their own without importing torch again for each.

Reads cases as lines of JSON and answers each line with what became of the ranks. The ranks get the
variables that torchrun sets.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time

import rank_program
import torch

_PR_SET_PDEATHSIG = 1
# How long the others may take after the first rank has ended, or anybody at all.
_STRAGGLERS_SECONDS = 6.0
_CASE_SECONDS = 25.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Rank:
    """A forked rank, and what it told."""

    def __init__(self, case, rank, port):
        self._pipe, theirs = os.pipe()
        self._errors = os.memfd_create("errors")
        self.status = None
        self.ended = None
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
        rank_program.run(case, rank, rank_program.teller(pipe))
        sys.exit(0)

    def poll(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status, self.ended = os.waitstatus_to_exitcode(status), time.monotonic()
        return self.status

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
        return {**told, "status": self.status, "ended": self.ended, "stderr": errors}

    def end(self):
        """By force; the status stays None."""
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def play(cases):
    """All cases at the same time: they mostly wait."""
    worlds = []
    for case in cases:
        port = free_port()
        absent = case.get("absent", [])
        worlds.append([Rank(case, r, port) for r in range(case["size"]) if r not in absent])
    late = [(case, world) for case, world in zip(cases, worlds, strict=True)]
    end = time.monotonic() + _CASE_SECONDS
    ranks = [rank for world in worlds for rank in world]
    while time.monotonic() < end and not all(map(_is_over, worlds)):
        for rank in ranks:
            rank.poll()
        time.sleep(0.01)
    for rank in ranks:
        rank.poll()
        rank.end()
    return [[rank.outcome() for rank in world] for _, world in late]


def _is_over(world):
    open_ones = [rank for rank in world if rank.status is None]
    ends = [rank.ended for rank in world if rank.ended is not None]
    return not open_ones or (
        len(ends) == len(world) - len(open_ones) > 0
        and time.monotonic() - max(ends) > _STRAGGLERS_SECONDS
    )


def main():
    torch.set_num_threads(1)
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a process with threads cannot be forked")
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        answer = play(json.loads(line))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
