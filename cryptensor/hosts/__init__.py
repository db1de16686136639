# SPDX-License-Identifier: MIT
"""One rank on a host of its own: its configuration, whether all is in order, its program's run.

cryptensor party --config alice.toml program.py
"""

from .configuration import HostConfig, read
from .readiness import Finding, inspect
from .running import run, status_of

__all__ = ["Finding", "HostConfig", "inspect", "read", "run", "status_of"]
