# SPDX-License-Identifier: MIT
"""Where the running program called: the line that a user knows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import torch

_PACKAGE = str(Path(__file__).resolve().parent) + os.sep
_TORCH = str(Path(torch.__file__).resolve().parent) + os.sep
_UNKNOWN = "an unknown line"


class CallSite(NamedTuple):
    """A line of the program as file:line, and the function of this package that it led to."""

    line: str
    function: str


def call_site() -> CallSite:
    """The innermost line of the running program that is neither PyTorch's nor this package's."""
    frame = sys._getframe(1)
    function = ""
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((_PACKAGE, _TORCH, "<")):
            return CallSite(f"{name}:{frame.f_lineno}", function)
        if name.startswith(_PACKAGE):
            function = frame.f_code.co_qualname.rpartition("<locals>.")[2]
        frame = frame.f_back  # type: ignore[assignment]
    return CallSite(_UNKNOWN, function)


def user_line() -> str:
    """The line of call_site()."""
    return call_site().line
