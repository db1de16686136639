# SPDX-License-Identifier: MIT
"""Three hosts on one machine: private inference between them, one is killed, all start again.

Alice, Bob and the dealer are network namespaces with encrypted links of limited bandwidth. Bob's
host is killed in the middle; the survivors say so in time. Then Alice's weights are deleted, the
three start again and finish with the network from their share files.

    sudo python examples/hosts/run.py

Needs root, ip and tc; without them it says so and ends with status 77.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from namespaces import ADDRESSES, Hosts, Unavailable
from prepare import prepare

HERE = Path(__file__).resolve().parent
SKIPPED = 77
LOST_STATUS = 3  # of `cryptensor party`
# One second is promised; a busy machine may need longer to end three programs.
LOST_SECONDS = 3.0
MAX_ERROR = 0.01
_POLL_SECONDS = 0.02


class Failed(Exception):  # noqa: N818
    """The recipe did not show what it is to show."""


def start(hosts: Hosts, folder: Path, batch: int) -> dict[str, subprocess.Popen]:
    started = {}
    for host in ADDRESSES:
        work = [] if host == "dealer" else [HERE / "program.py", ".", "--batch", batch]
        arguments = ["party", "--config", f"{host}.toml", *map(str, work)]
        started[host] = hosts.start(host, arguments, folder / host)
    return started


def wait_for(started: dict[str, subprocess.Popen], folder: Path, line: str, seconds: float) -> None:
    """Returns when Bob has printed the line."""
    deadline = time.monotonic() + seconds
    while line not in (folder / "bob" / "stdout").read_text():
        if started["bob"].poll() is not None or time.monotonic() > deadline:
            raise Failed(f"Bob did not print {line!r}:\n{said(folder)}")
        time.sleep(_POLL_SECONDS)


def end_of(started: dict[str, subprocess.Popen], hosts: list[str], seconds: float) -> list[float]:
    """The statuses of some hosts and how long they took to end."""
    begin = time.monotonic()
    ends = {}
    while len(ends) < len(hosts):
        for host in hosts:
            if host not in ends and started[host].poll() is not None:
                ends[host] = time.monotonic() - begin
        if time.monotonic() - begin > seconds:
            raise Failed(f"{', '.join(set(hosts) - set(ends))} did not end within {seconds:g} s")
        time.sleep(_POLL_SECONDS)
    return [ends[host] for host in hosts]


def said(folder: Path) -> str:
    files = [folder / host / kind for host in ADDRESSES for kind in ("stdout", "stderr")]
    return "".join(f"-- {f.parent.name} {f.name}\n{f.read_text()}" for f in files if f.exists())


def interrupted(hosts: Hosts, folder: Path, batch: int, patience: float) -> None:
    """The first run: Bob's host is killed after two batches."""
    started = start(hosts, folder, batch)
    wait_for(started, folder, f"images: {2 * batch} of", patience)
    print("bob: the network is shared, two batches are answered; now his host is killed")
    hosts.kill("bob")
    survivors = ["alice", "dealer"]
    for host, seconds in zip(survivors, end_of(started, survivors, patience), strict=True):
        text = (folder / host / "stderr").read_text().strip()
        print(f"{host}: status {started[host].returncode} after {seconds:.2f} s: {text}")
        if started[host].returncode != LOST_STATUS or not text.startswith("PeerLost: lost peer"):
            raise Failed(f"{host} did not raise PeerLost:\n{said(folder)}")
        if seconds > LOST_SECONDS:
            raise Failed(f"{host} took {seconds:.2f} s, more than {LOST_SECONDS:g}, to notice")
    if "lost peer 1" not in (folder / "alice" / "stderr").read_text():
        raise Failed(f"Alice did not name Bob:\n{said(folder)}")


def resumed(hosts: Hosts, folder: Path, batch: int, patience: float) -> None:
    """The second run, to its end, without the file of the network's owner."""
    (folder / "alice" / "weights.pt").unlink()
    before = sum(hosts.carried("bob"))
    started = start(hosts, folder, batch)
    end_of(started, list(ADDRESSES), patience)
    if any(process.returncode for process in started.values()):
        raise Failed(f"the restarted hosts did not finish:\n{said(folder)}")
    for host in ("alice", "bob"):
        if "network: from the share files" not in (folder / host / "stdout").read_text():
            raise Failed(f"{host} did not use the share file:\n{said(folder)}")
    answer = json.loads((folder / "bob" / "stdout").read_text().splitlines()[-1])
    megabytes = (sum(hosts.carried("bob")) - before) / 1e6
    print(
        f"bob: {answer['images']} images in {answer['seconds']:.2f} s, {answer['correct']} right, "
        f"logits within {answer['error']:.1e} of the plain ones; his link carried "
        f"{megabytes:.1f} MB"
    )
    if answer["error"] > MAX_ERROR:
        raise Failed(f"a logit is off by {answer['error']:.3g}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", default="100mbit", help="bandwidth of each link, as for tc")
    parser.add_argument("--images", type=int, default=500, help="how many Bob has, up to 500")
    parser.add_argument("--batch", type=int, default=50, help="images at a time")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds for one run")
    options = parser.parse_args()
    if options.images < 4 * options.batch:
        parser.error(f"--images is {options.images}; it must be at least 4 batches")
    try:
        with Hosts(options.rate) as hosts, tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            prepare(folder, options.images)
            print(f"alice, bob and dealer: namespaces with encrypted links of {options.rate}")
            interrupted(hosts, folder, options.batch, options.patience)
            print("alice: her file of the weights is deleted; all three start again")
            resumed(hosts, folder, options.batch, options.patience)
    except Unavailable as reason:
        print(f"skipped: {reason}", file=sys.stderr)
        return SKIPPED
    except Failed as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
