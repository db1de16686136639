# SPDX-License-Identifier: MIT
"""The command `cryptensor`."""

from .application import main

__all__ = ["main"]
