# SPDX-License-Identifier: MIT
"""Forks consumers of a store for test_stored_faults.py and kills them at random moments.

A consumer is a session of both parties after the other. It writes a line to a log for every step it
has used: this party's share of a product of zeros, which is a function of the correlation alone, so
that one that is used twice gives the same line twice.
"""

import ctypes
import os
import random
import signal
import sys
import time

import torch
from engines import C, run

_PR_SET_PDEATHSIG = 1


def steps(engine, count, note):
    zeros = torch.zeros(4)
    a = engine.input(zeros if engine.rank == 0 else [4], 0)
    b = engine.input(zeros if engine.rank == 1 else [4], 1)
    a.reuse()
    for _ in range(count):
        engine.mark_step(True)
        share = engine.mul(a, b.rearrange(torch.clone)).export_share()
        if engine.rank == 0 and note:
            note(share)
        engine.mark_step(False)


def consume(store, log):
    """Sessions of two steps until the store is used up, which is status 3."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)

    def note(share):
        os.write(descriptor, share.numpy().tobytes().hex().encode() + b"\n")

    try:
        while True:
            run(lambda engine: steps(engine, 2, note), 2, "stored", store=store)
    except AssertionError as error:
        os._exit(3 if "used up" in str(error) else 1)


def start(store, log):
    pid = os.fork()
    if pid == 0:
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            consume(store, log)
        finally:
            os._exit(1)
    return pid


def main(store, log, kills, seed):
    """Two consumers at a time; prints how many were killed, then those that ended alone."""
    torch.set_num_threads(1)
    draw = random.Random(seed)
    killed = 0
    while killed < kills:
        pids = [start(store, log) for _ in range(2)]
        for pid in pids:
            time.sleep(draw.uniform(0.0, 0.03))
            os.kill(pid, signal.SIGKILL)
            killed += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    ends = [os.waitstatus_to_exitcode(os.waitpid(start(store, log), 0)[1])]
    print(killed, *ends, C.store_status(f"{store}/party0.store")["lots_left"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
