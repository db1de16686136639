# SPDX-License-Identifier: MIT
"""Hosts on one machine: network namespaces at a switch, each behind a link of limited bandwidth."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ADDRESSES = {"alice": "10.77.0.1/24", "bob": "10.77.0.2/24", "dealer": "10.77.0.3/24"}
_BURST = "64kb"


class Unavailable(Exception):  # noqa: N818  no error of the program
    """This machine, or this user, cannot have network namespaces."""


class Hosts:
    """The namespaces, for the time of a `with`. rate: what a link carries each way, as for tc."""

    def __init__(self, rate: str) -> None:
        self._rate = rate
        self._names = {host: f"ct-{os.getpid()}-{host}" for host in (*ADDRESSES, "switch")}

    def __enter__(self) -> Hosts:
        if os.geteuid() != 0:
            raise Unavailable("network namespaces need root")
        for program in ("ip", "tc"):
            if shutil.which(program) is None:
                raise Unavailable(f"the program {program} is missing (apt-get install iproute2)")
        try:
            self._connect()
        except BaseException as error:
            self.__exit__()
            if isinstance(error, subprocess.CalledProcessError):
                raise Unavailable(f"{' '.join(error.cmd)}: {error.stderr.strip()}") from None
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for host, name in self._names.items():
            if Path("/run/netns", name).exists():
                self.kill(host)
                _call("ip", "netns", "del", name)

    def start(self, host: str, arguments: list[str], folder: Path) -> subprocess.Popen:
        """Starts `cryptensor` with these arguments at a host; its output goes to files of folder.

        The files are stdout and stderr; an earlier start's are overwritten.
        """
        command = ["ip", "netns", "exec", self._names[host], sys.executable, "-m", "cryptensor"]
        with open(folder / "stdout", "w") as out, open(folder / "stderr", "w") as err:
            # torch would warn that these addresses have no names.
            environment = {**os.environ, "TORCH_CPP_LOG_LEVEL": "ERROR"}
            return subprocess.Popen(
                [*command, *arguments], cwd=folder, stdout=out, stderr=err, env=environment
            )

    def kill(self, host: str) -> None:
        """Ends all processes of a host at once, as when somebody pulls its plug."""
        for number in _call("ip", "netns", "pids", self._names[host]).split():
            try:
                os.kill(int(number), signal.SIGKILL)
            except ProcessLookupError:
                continue

    def carried(self, host: str) -> tuple[int, int]:
        """Bytes that a host has sent and received since its link came up."""
        text = _call("ip", "-json", "-stats", "-n", self._names[host], "link", "show", "eth0")
        counters = json.loads(text)[0]["stats64"]
        return counters["tx"]["bytes"], counters["rx"]["bytes"]

    def _connect(self) -> None:
        switch = self._names["switch"]
        for name in self._names.values():
            _call("ip", "netns", "add", name)
            _call("ip", "-n", name, "link", "set", "lo", "up")
        _call("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        _call("ip", "-n", switch, "link", "set", "bridge", "up")
        for host, address in ADDRESSES.items():
            name = self._names[host]
            pair = f"link add eth0 netns {name} type veth peer name {host} netns {switch}"
            _call("ip", *pair.split())
            _call("ip", "-n", switch, "link", "set", host, "master", "bridge", "up")
            _call("ip", "-n", name, "address", "add", address, "dev", "eth0")
            _call("ip", "-n", name, "link", "set", "eth0", "up")
            limit = f"root tbf rate {self._rate} burst {_BURST} latency 100ms".split()
            _call("tc", "-n", name, "qdisc", "add", "dev", "eth0", *limit)
            _call("tc", "-n", switch, "qdisc", "add", "dev", host, *limit)


def _call(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
