# SPDX-License-Identifier: MIT
"""The party processes of one system, driven by JSON lines; runs in that system's environment.

The first line printed lists the kinds of work offered. {"work", "arrays", "result"} with an .npz
and an .npy file prepares a work, runs it once, saves the revealed result and prints what it costs;
{} runs it again and prints its time, that of the slowest party, without sharing and revealing, and
the bytes that crossed the loopback interface meanwhile. A work that fails answers {"error"}.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import works

DEADLINE = 180.0  # seconds for any one answer
GRACE = 5.0  # and for the other parties' once one has failed
_NAMES = {work.name: work for work in works.WORKS}


class RefusedWork(Exception):  # noqa: N818  it says what happened
    """All parties answered, one of them with an error: they can go on."""


def serve(
    kinds: dict,
    open_party: Callable,
    parties: int = 2,
    split: Callable | None = None,
    join: Callable = lambda parts: parts[0],
) -> None:
    """Answers requests until standard input ends.

    Each process calls `prepare = open_party(rank, ports)` once and, for each work,
    `run, result, costs = prepare(kind, part)`: costs() does one run and returns what it counted,
    with the names of page.MEASURES. `split` makes the parts of the arrays, by default all of them
    for every party, and `join` an array of the results. All must be importable from the main
    module.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(parties)
    ports = _free_ports(parties + 1)
    pipes = []
    for rank in range(parties):
        pipe, theirs = context.Pipe()
        arguments = (open_party, rank, ports, theirs, barrier)
        context.Process(target=_party, args=arguments).start()
        theirs.close()
        pipes.append(pipe)
    _answers(pipes)
    _print({"kinds": sorted(kinds)})
    for request in map(json.loads, sys.stdin):
        if request:
            kind = _NAMES[request["work"]].kind
            arrays = dict(np.load(request["arrays"]))
            parts = split(arrays) if split else [arrays] * parties
            messages = [(kind, part) for part in parts]
        else:
            messages = [None] * parties
        before = _loopback_bytes()
        for pipe, message in zip(pipes, messages, strict=True):
            pipe.send(message)
        try:
            answers = _answers(pipes)
        except RefusedWork as error:
            _print({"error": str(error)})
            continue
        except RuntimeError as error:
            _print({"error": str(error)})
            break  # the parties are out of step: whoever asked starts anew
        if request:
            results, costs = zip(*answers, strict=True)
            np.save(request["result"], np.asarray(join(list(results)), dtype=np.float64))
            _print({"costs": _together(costs)})
        else:
            _print({"seconds": max(answers), "loopback bytes": _loopback_bytes() - before})
    for process in multiprocessing.active_children():
        process.kill()


def _answers(pipes: list) -> list:
    """One of each party, the first error of any of them, or an error for one that is missing."""
    deadline = time.monotonic() + DEADLINE
    waiting, answers, first_error = dict(enumerate(pipes)), {}, None
    while waiting:
        left = max(0.0, deadline - time.monotonic())
        ready = multiprocessing.connection.wait(waiting.values(), left)
        if not ready:
            raise RuntimeError(first_error or f"no answer in {DEADLINE:g} s")
        for rank in [rank for rank, pipe in waiting.items() if pipe in ready]:
            try:
                answers[rank], error = waiting.pop(rank).recv()
            except EOFError:
                raise RuntimeError(first_error or f"party {rank} died") from None
            if error and first_error is None:
                first_error = error
                deadline = min(deadline, time.monotonic() + GRACE)
    if first_error is not None:
        raise RefusedWork(first_error)
    return [answers[rank] for rank in sorted(answers)]


def _party(open_party: Callable, rank: int, ports: list[int], pipe, barrier) -> None:
    def answer(work: Callable[[], object]) -> None:
        try:
            pipe.send((work(), None))
        except Exception as error:
            traceback.print_exc()
            lines = str(error).strip().splitlines() or [""]
            pipe.send((None, f"{type(error).__name__}: {lines[0]}"))

    prepare = run = None

    def open_one() -> None:
        nonlocal prepare
        prepare = open_party(rank, ports)

    def first() -> tuple:
        nonlocal run
        run, result, costs = prepare(*message)
        run()
        return result(), costs()

    def again() -> float:
        barrier.wait()
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    answer(open_one)
    while True:
        try:
            message = pipe.recv()
        except EOFError:
            return
        answer(again if message is None else first)


def _together(costs: tuple[dict, ...]) -> dict:
    """Bytes are those that all parties sent; of rounds and seconds the largest."""
    names = {name for one in costs for name in one}
    merge = {name: sum if "bytes" in name else max for name in names}
    return {n: merge[n](one[n] for one in costs if n in one) for n in sorted(names)}


def _loopback_bytes() -> int:
    """Of everything on this host, headers included: the least of several runs counts."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[8])
    return 0


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _print(message: dict) -> None:
    print(json.dumps(message), flush=True)
