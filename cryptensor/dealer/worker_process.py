# SPDX-License-Identifier: MIT
"""A worker as the service sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from .worker import BOOTSTRAP

_MAX_OUTPUT = 65_536


class WorkerProcess:
    """A process that waits for its session, then has it, then ends."""

    def __init__(self) -> None:
        one = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        environment = {**os.environ, **one}
        # Several sessions cannot listen at one port.
        environment.pop("CRYPTENSOR_PORT", None)
        self._process = subprocess.Popen(
            [sys.executable, "-c", BOOTSTRAP, json.dumps(sys.path)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C goes to the service alone, which then ends the sessions.
            start_new_session=True,
        )
        self._input: Any = self._process.stdin
        self._output: Any = self._process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def begin(self, task: dict[str, Any]) -> None:
        """Gives it its session. Raises OSError when the process is gone."""
        self._input.write(json.dumps(task).encode() + b"\n")
        self._input.flush()

    def end(self) -> dict[str, Any]:
        """Waits until the session is over: {"end": "closed"}, or "lost" with a reason."""
        output = self._output.read(_MAX_OUTPUT)
        code = self._process.wait()
        lines = output.decode(errors="replace").splitlines()
        try:
            told: dict[str, Any] = json.loads(lines[-1])
            return told
        except (ValueError, IndexError):
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return {"end": "lost", "reason": f"its process ended with {name}"}

    def stop(self) -> None:
        """Asks it to end at once. The parties of a session lose their dealer."""
        try:
            self._input.close()
        except OSError:
            return

    def kill(self, seconds: float) -> None:
        """By force where it has not ended within `seconds`."""
        try:
            self._process.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
