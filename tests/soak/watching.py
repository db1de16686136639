# SPDX-License-Identifier: MIT
"""Memory, descriptors and threads of this process and its children, ten times a second."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGE_SIZE")
MEGABYTE = 2.0**20
# Samples until everything is loaded and every buffer has its size, as a part of the whole.
WARM_UP = 0.4
# A large operation takes memory and gives it back: the least of so many spans of time tells.
TROUGHS = 10
# Less than that over the whole time is what allocators do, not a leak.
NOISE_MEGABYTES = 4.0


class Sample(NamedTuple):
    seconds: float
    resident: float  # megabytes
    descriptors: int
    threads: int


class Growth(NamedTuple):
    """Of one process after the warm-up."""

    megabytes_a_minute: float
    megabytes: float
    descriptors: tuple[int, int]  # least and most
    threads: tuple[int, int]

    def faults(self, most_a_minute: float, slack: int = 0) -> list[str]:
        found = []
        if self.megabytes_a_minute > most_a_minute and self.megabytes > NOISE_MEGABYTES:
            found.append(f"memory grows by {self.megabytes_a_minute:.2f} MB a minute")
        for name, (least, most) in (("descriptors", self.descriptors), ("threads", self.threads)):
            if most - least > slack:
                found.append(f"{name} go from {least} to {most}")
        return found


def growth(samples: list[Sample]) -> Growth:
    """By a straight line through the troughs after the warm-up."""
    kept = samples[int(len(samples) * WARM_UP) :]
    size = max(len(kept) // TROUGHS, 1)
    spans = [kept[i : i + size] for i in range(0, len(kept) - size + 1, size)]
    troughs = [min(span, key=lambda s: s.resident) for span in spans]
    middle = sum(s.seconds for s in troughs) / len(troughs)
    slope = sum((s.seconds - middle) * s.resident for s in troughs)
    slope /= sum((s.seconds - middle) ** 2 for s in troughs)
    descriptors, threads = [s.descriptors for s in kept], [s.threads for s in kept]
    return Growth(
        60 * slope,
        slope * (kept[-1].seconds - kept[0].seconds),
        (min(descriptors), max(descriptors)),
        (min(threads), max(threads)),
    )


def sample(process: int) -> Sample:
    with open(f"/proc/{process}/statm") as file:
        resident = int(file.read().split()[1]) * PAGE / MEGABYTE
    descriptors, threads = (len(os.listdir(f"/proc/{process}/{what}")) for what in ("fd", "task"))
    return Sample(time.monotonic(), resident, descriptors, threads)


def children() -> list[int]:
    found: list[int] = []
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/children") as file:
                found += map(int, file.read().split())
        except FileNotFoundError:
            continue  # a thread that has ended
    return found


class Watch:
    """Samples the children (or, with `own`, this process) in a thread until the block ends."""

    def __init__(self, *, own: bool = False, every: float = 0.1) -> None:
        self.samples: dict[int, list[Sample]] = defaultdict(list)
        self._own, self._every = own, every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            for process in [os.getpid()] if self._own else children():
                try:
                    self.samples[process].append(sample(process))
                except (FileNotFoundError, ProcessLookupError):
                    continue  # it has just ended
