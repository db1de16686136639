# SPDX-License-Identifier: MIT
"""HOST:PORT, as a user writes it."""

from __future__ import annotations

import re

from .errors import ConfigError

# Names, IPv4, and IPv6 with its colons; whether a host exists is seen later.
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.%\w]{2,64}\]|[\w.-]{1,253}):([0-9]{1,5})", re.ASCII)


def parse_address(name: str, value: object, lowest_port: int = 1) -> tuple[str, int]:
    """Host and port. Raises ConfigError that calls the value by `name`."""
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if found is None or not lowest_port <= int(found[2]) <= 65_535:
        raise ConfigError(
            f"{name} is {value!r}; it must be HOST:PORT with a port from {lowest_port} to 65535, "
            "an IPv6 address in brackets"
        )
    return found[1].strip("[]"), int(found[2])
