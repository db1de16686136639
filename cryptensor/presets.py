# SPDX-License-Identifier: MIT
"""Arguments of init() that whoever started the program has set, where it calls init()."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import ConfigError


@dataclass(slots=True)
class _Presets:
    origin: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    opened: bool = False


_presets = _Presets()


def preset(origin: str, values: dict[str, Any]) -> None:
    """init() will use these values; `origin` says in errors where they come from."""
    _presets.origin, _presets.values, _presets.opened = origin, dict(values), False


def opened() -> bool:
    """True when a call of init() returned since the last preset()."""
    return _presets.opened


def completed(init: Callable[..., None]) -> Callable[..., None]:
    """init() with the preset arguments. ConfigError where the program passes another value."""

    @functools.wraps(init)
    def complete(**arguments: Any) -> None:
        for name, value in _presets.values.items():
            if name in arguments and arguments[name] != value:
                raise ConfigError(
                    f"{name} is {arguments[name]!r} in the program's call of init() and {value!r} "
                    f"in {_presets.origin}; it must be the same, or given in one place only"
                )
        init(**{**arguments, **_presets.values})
        _presets.opened = True

    return complete
