# SPDX-License-Identifier: MIT
"""The two party processes of a peer, driven by JSON lines; runs in the peer's environment.

The first line printed lists the works offered. A request {"work", "values", "result"} with two
.npy files prepares a work, runs it once and reveals its result; {} runs it again and prints its
time: that of the slower party, without sharing and revealing.
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Callable

import numpy as np

PARTIES = 2


def serve(
    works: dict,
    open_party: Callable,
    split: Callable = lambda values: [values] * PARTIES,
    join: Callable = lambda parts: parts[0],
) -> None:
    """Answers requests until standard input ends.

    Each process calls `prepare = open_party(rank, ports)` once and, for each work,
    `run, result = prepare(name, part)`; `split` makes the parts of an input and `join` an array
    of the results. All must be importable from the main module.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PARTIES)
    ports = _free_ports(PARTIES)
    pipes = []
    for rank in range(PARTIES):
        pipe, theirs = context.Pipe()
        arguments = (open_party, rank, ports, theirs, barrier)
        context.Process(target=_party, args=arguments, daemon=True).start()
        theirs.close()
        pipes.append(pipe)
    answer = {"works": sorted(works), "parties": [pipe.recv() for pipe in pipes]}
    print(json.dumps(answer), flush=True)
    for request in map(json.loads, sys.stdin):
        values = split(np.load(request["values"])) if request else [None] * PARTIES
        for pipe, part in zip(pipes, values, strict=True):
            pipe.send((request.get("work"), part))
        parts = [pipe.recv() for pipe in pipes]
        if request:
            np.save(request["result"], np.asarray(join(parts), dtype=np.float64))
        print(json.dumps({} if request else {"seconds": max(parts)}), flush=True)


def _party(open_party: Callable, rank: int, ports: list[int], pipe, barrier) -> None:
    prepare = open_party(rank, ports)
    pipe.send("ready")
    while True:
        try:
            work, part = pipe.recv()
        except EOFError:
            return
        if work is not None:
            run, result = prepare(work, part)
            run()
            pipe.send(result())
        else:
            barrier.wait()
            start = time.perf_counter()
            run()
            pipe.send(time.perf_counter() - start)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
