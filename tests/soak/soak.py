# SPDX-License-Identifier: MIT
"""Half an hour of work in real processes: wrong results, leaks of memory, descriptors, threads.

make soak SOAK_MINUTES=30, or
PYTHONPATH=tests:tests/conformance python tests/soak/soak.py [MINUTES]

Two and three parties with a dealer, over plain and encrypted links, share four fifths of the time;
the rest opens and closes sessions, in threads and in processes. Ends with 1 where something is
wrong.
"""

from __future__ import annotations

import sys
import tempfile
import time

import workload
from watching import Growth, Watch, growth, sample

import cryptensor as ct

MOST_MEGABYTES_A_MINUTE = 1.0
MOST_BLOCKS_A_MINUTE = 10.0  # megabytes, of what comes and goes in large blocks
FULL_MINUTES, FULL_SESSIONS, FULL_ELEMENTS = 30.0, 1_000, 10**9
# One session in so many is one of processes, which take seconds to start.
LAUNCHED = 50
# Samples that a line needs.
LEAST_SAMPLES = 15


def busy(
    parties: int, certificates: str | None, seconds: float, seed: int
) -> tuple[int, list[str]]:
    """One session at work: elements, and what was wrong."""
    with Watch() as watch:
        tallies = ct.launch(
            workload.play, seed, seconds, parties=parties, certificates=certificates
        )
    wrong = [f"party {rank}: {text}" for rank, t in enumerate(tallies) for text in t.wrong]
    for process, samples in sorted(watch.samples.items()):
        # The last ones may be of a process on its way out.
        if len(samples) < LEAST_SAMPLES:
            continue
        grown = growth(samples[: -max(3, len(samples) // 20)])
        faults = grown.faults(MOST_MEGABYTES_A_MINUTE, MOST_BLOCKS_A_MINUTE)
        wrong += [f"process {process}: {fault}" for fault in faults]
        report(f"  process {process}", grown)
    operations = sum(t.operations for t in tallies[:1])
    print(f"  {operations} operations, {tallies[0].elements:,} elements", flush=True)
    return tallies[0].elements, wrong


def sessions(count: int) -> list[str]:
    """Opens and closes them in this process."""
    wrong = []
    samples = []
    start = time.monotonic()
    for number in range(count):
        start_parties = ct.launch if number % LAUNCHED == LAUNCHED - 1 else ct.simulate
        results = start_parties(workload.short_session, parties=2 + number % 2)
        if any(abs(result - workload.SHORT_RESULT) > 2.0**-13 for result in results):
            wrong.append(f"session {number} gave {results}")
        samples.append(sample("self"))
    seconds = time.monotonic() - start
    grown = growth(samples)
    report(f"  this process, {count} sessions in {seconds:.0f} s", grown)
    # Sessions come much faster here than in a program: their growth counts by the session.
    faults = grown.faults(MOST_MEGABYTES_A_MINUTE, MOST_BLOCKS_A_MINUTE, slack=2)
    kilobytes = 1024 * grown.megabytes / max(count, 1)
    print(f"  {kilobytes:.1f} kB a session", flush=True)
    return wrong + [f"sessions: {fault}" for fault in faults]


def report(who: str, grown: Growth) -> None:
    print(
        f"{who}: {grown.megabytes_a_minute:+.2f} MB a minute, in large blocks "
        f"{grown.blocks_a_minute:+.2f}, descriptors "
        f"{grown.descriptors[0]}-{grown.descriptors[1]}, threads "
        f"{grown.threads[0]}-{grown.threads[1]}",
        flush=True,
    )


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else FULL_MINUTES
    part = minutes / FULL_MINUTES
    elements, wrong = 0, []
    with tempfile.TemporaryDirectory() as folder:
        runs: list[tuple[int, str | None]] = []
        for parties in (2, 3):
            ct.make_certificates(f"{folder}/{parties}", parties)
            runs += [(parties, None), (parties, f"{folder}/{parties}")]
        for seed, (parties, certificates) in enumerate(runs):
            links = "plain" if certificates is None else "encrypted"
            print(f"{parties} parties and a dealer, {links} links", flush=True)
            done, found = busy(parties, certificates, 60 * minutes * 0.8 / len(runs), seed)
            elements += done
            wrong += [f"{parties} parties, {links}: {text}" for text in found]
    count = max(int(FULL_SESSIONS * part), 20)
    print(f"{count} sessions", flush=True)
    wrong += sessions(count)
    print(f"{elements:,} elements; {FULL_ELEMENTS:,} are wanted in {FULL_MINUTES:g} minutes")
    if elements < FULL_ELEMENTS * part:
        wrong.append(f"{elements:,} elements only in {minutes:g} minutes")
    for text in wrong:
        print(f"WRONG: {text}")
    print("nothing wrong" if not wrong else f"{len(wrong)} things wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
