# SPDX-License-Identifier: MIT
"""One rank of a program of 40 operations, and what strikes it at a moment that the test chose.

A test starts ranks with torchrun, or by fork_server.py, which is faster; the functions here that do
not begin a session serve ct.launch too.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

import cryptensor as ct
from cryptensor import _C, session

OPERATIONS = 40
HEADER_BYTES = 48
# What a peer's frame can be turned into. The offsets are those of the header.
MUTATIONS = ("short", "long", "type", "order", "replayed", "flipped")


class Struck(Exception):  # noqa: N818  an event
    """What a party raises that fails by itself."""


def operands():
    generator = torch.Generator().manual_seed(11)
    x, y = torch.rand(2, 6, 6, generator=generator)
    return x, 0.5 + 0.4 * y, torch.rand(6, 6, generator=generator) / 6


def multiply(x, y, w):
    return x * y


def rectify(x, y, w):
    return torch.relu(x - 0.25)


def project(x, y, w):
    return x @ w


def larger(x, y, w):
    return torch.maximum(x, y - 0.5)


ROUND = (multiply, rectify, project, larger)


def compute(at_operation=lambda index: index):
    """The program; `at_operation` is told each operation's number and says which one is done."""
    x, y, w = operands()
    x, y, w = ct.cryptensor(x, src=0), ct.cryptensor(y, src=1), ct.cryptensor(w, src=1)
    for index in range(OPERATIONS):
        done = at_operation(index)
        if done is not None:
            x = ROUND[done % len(ROUND)](x, y, w)
    return x.reveal()


def expected():
    x, y, w = operands()
    for index in range(OPERATIONS):
        x = ROUND[index % len(ROUND)](x, y, w)
    return x


def is_right(result):
    return bool((result - expected()).abs().max() < 1e-2)


class Strike:
    """A fault at the `moment`-th operation, or frame for what happens inside of one."""

    def __init__(self, fault, moment, tell):
        self.fault, self.moment, self._tell = fault, moment, tell
        self.frames = 0
        self._last = None
        self._random = random.Random(moment)

    def at_operation(self, index):
        if self.fault == "order" and index in (self.moment, self.moment + 1):
            if index == self.moment:
                self._now()
            return 2 * self.moment + 1 - index
        if index != self.moment:
            return index
        if self.fault == "raises":
            self._now()
            raise Struck("enough")
        if self.fault == "leaves":
            self._now()
            sys.exit(0)
        if self.fault == "skips":
            self._now()
            return None
        if self.fault in IN_PROCESS:
            IN_PROCESS[self.fault](self._now)
        return index

    def at_frame(self, peer, lane, frame):
        index, self.frames = self.frames, self.frames + 1
        before, self._last = self._last, frame
        if index != self.moment:
            return [frame]
        if self.fault.startswith("message "):
            self._now()
            return self._mutated(self.fault.removeprefix("message "), frame, before)
        if self.fault.startswith("inside "):
            IN_PROCESS[self.fault.removeprefix("inside ")](self._now)
        return [frame]

    def _now(self):
        self._tell({"struck": time.monotonic()})

    def _mutated(self, kind, frame, before):
        if kind == "short":
            return [frame[: self._random.randrange(len(frame))]]
        if kind == "long":
            return [frame + bytes(self._random.randrange(1, 100_000))]
        if kind == "type":
            return [frame[:6] + bytes([(frame[6] + 1) % 14]) + frame[7:]]
        if kind == "replayed":
            # A frame that came before in its place, and then it.
            return [before, frame]
        if kind == "flipped":
            bit = self._random.randrange(8 * HEADER_BYTES)
            changed = bytearray(frame)
            changed[bit // 8] ^= 1 << bit % 8
            return [bytes(changed)]
        # As if the next one had overtaken it.
        return [frame[:16] + bytes([(frame[16] + 1) % 256]) + frame[17:]]


def _kill(now):
    now()
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(now):
    now()
    os.kill(os.getpid(), signal.SIGSTOP)


def _exit(now):
    now()
    os._exit(0)


def _unplug(now):
    now()
    os.system("ip link set lo down")


IN_PROCESS = {"killed": _kill, "stopped": _stop, "exits": _exit, "link down": _unplug}


def teller(descriptor):
    """Writes small records that survive whatever happens to the process next."""

    def tell(record):
        os.write(descriptor, json.dumps(record).encode() + b"\n")

    return tell


def run(case, rank, tell):
    """The rank's part in a case. Ends as a user's program would: with the uncaught error."""
    strikes = rank == case.get("victim")
    strike = Strike(case["fault"] if strikes else "none", case.get("moment", -1), tell)
    plain = session.open_session

    def open_session(transport, *rest, **named):
        watched = _C.fault_transport(transport, strike.at_frame) if case.get("frames") else None
        return plain(watched or transport, *rest, **named)

    session.open_session = open_session
    try:
        ct.init(**case["settings"])
        result = compute(strike.at_operation)
        frames = strike.frames
        ct.shutdown()
        tell({"result": is_right(result), "frames": frames, "at": time.monotonic()})
    except SystemExit:
        tell({"ended": True, "frames": strike.frames, "at": time.monotonic()})
        raise
    except BaseException as error:
        kind = type(error).__name__
        tell({"error": kind, "message": str(error), "at": time.monotonic()})
        raise


if __name__ == "__main__":
    _case = json.loads(sys.argv[1])
    _rank = int(os.environ["RANK"])
    _file = Path(_case["folder"]) / f"rank{_rank}"
    _tell = teller(os.open(_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    _tell({"pid": os.getpid()})
    run(_case, _rank, _tell)
