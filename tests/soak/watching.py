# SPDX-License-Identifier: MIT
"""Memory, descriptors and threads of this process and its children, once a second.

Large blocks of scratch memory come and go with the windows between parties and dealer, by tens of
megabytes: they are counted apart, so that a small leak of anything else is seen. They are what the
library keeps out of core dumps.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from typing import NamedTuple

KILOBYTES = 2.0**10  # of a megabyte
# Samples until everything is loaded and every buffer has its size, as a part of the whole.
WARM_UP = 0.4
# A large operation takes memory and gives it back: the least of so many spans of time tells.
TROUGHS = 10
# Less than that over the whole time is what allocators do, not a leak.
NOISE_MEGABYTES = 4.0
# A window of correlations is at most so large.
NOISE_BLOCKS = 64.0


class Sample(NamedTuple):
    seconds: float
    resident: float  # megabytes without the large blocks
    blocks: float  # megabytes of large blocks
    descriptors: int
    threads: int


class Growth(NamedTuple):
    """Of one process after the warm-up."""

    megabytes_a_minute: float
    megabytes: float
    blocks_a_minute: float
    blocks: float
    descriptors: tuple[int, int]  # least and most
    threads: tuple[int, int]

    def faults(self, most_a_minute: float, most_blocks_a_minute: float, slack: int = 0) -> list:
        found = []
        if self.megabytes_a_minute > most_a_minute and self.megabytes > NOISE_MEGABYTES:
            found.append(f"memory grows by {self.megabytes_a_minute:.2f} MB a minute")
        if self.blocks_a_minute > most_blocks_a_minute and self.blocks > NOISE_BLOCKS:
            found.append(f"large blocks grow by {self.blocks_a_minute:.2f} MB a minute")
        for name, (least, most) in (("descriptors", self.descriptors), ("threads", self.threads)):
            if most - least > slack:
                found.append(f"{name} go from {least} to {most}")
        return found


def growth(samples: list[Sample]) -> Growth:
    """By a straight line through the troughs after the warm-up."""
    kept = samples[int(len(samples) * WARM_UP) :]
    minutes = (kept[-1].seconds - kept[0].seconds) / 60
    rate, blocks_rate = (_a_minute(kept, what) for what in ("resident", "blocks"))
    descriptors, threads = [s.descriptors for s in kept], [s.threads for s in kept]
    return Growth(
        rate,
        rate * minutes,
        blocks_rate,
        blocks_rate * minutes,
        (min(descriptors), max(descriptors)),
        (min(threads), max(threads)),
    )


def _a_minute(samples: list[Sample], what: str) -> float:
    size = max(len(samples) // TROUGHS, 1)
    spans = [samples[i : i + size] for i in range(0, len(samples) - size + 1, size)]
    troughs = [min((getattr(s, what), s.seconds) for s in span) for span in spans]
    middle = sum(seconds for _, seconds in troughs) / len(troughs)
    slope = sum((seconds - middle) * value for value, seconds in troughs)
    return 60 * slope / sum((seconds - middle) ** 2 for _, seconds in troughs)


def sample(process: int | str) -> Sample:
    resident = blocks = size = 0
    with open(f"/proc/{process}/smaps") as file:
        for line in file:
            if line.startswith("Rss:"):
                size = int(line.split()[1])
            elif line.startswith("VmFlags:"):
                if " dd" in line:
                    blocks += size
                else:
                    resident += size
    descriptors, threads = (len(os.listdir(f"/proc/{process}/{what}")) for what in ("fd", "task"))
    return Sample(time.monotonic(), resident / KILOBYTES, blocks / KILOBYTES, descriptors, threads)


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

    def __init__(self, *, own: bool = False, every: float = 1.0) -> None:
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
