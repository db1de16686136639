# SPDX-License-Identifier: MIT
"""Rows of two owners brought together by an identifier: private set intersection and joins."""

from .intersection import intersect
from .join import Joined, join

__all__ = ["Joined", "intersect", "join"]
