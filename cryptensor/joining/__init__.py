# SPDX-License-Identifier: MIT
"""Rows of two owners brought together by an identifier: private set intersection and joins."""

from .intersection import intersect
from .pairing import Joined, join

__all__ = ["Joined", "intersect", "join"]
