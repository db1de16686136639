# SPDX-License-Identifier: MIT
"""The programs of examples/ that the command line runs: a wheel carries copies of them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

# setup.py puts them there.
FOLDER = "examples"
_PACKAGE = Path(__file__).resolve().parent


def example_program(name: str) -> ModuleType:
    """The program as a module; the parties' processes find it by the same name.

    Raises ModuleNotFoundError for one that is not there, or where a package is missing that it
    needs.
    """
    carried = _PACKAGE / FOLDER
    folder = str(carried if carried.is_dir() else _PACKAGE.parent / FOLDER)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)
