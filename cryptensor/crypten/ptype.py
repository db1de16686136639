# SPDX-License-Identifier: MIT
"""The two kinds of sharing that CrypTen's programs name."""

from __future__ import annotations

from enum import Enum
from typing import Any


class ptype(Enum):  # noqa: N801  CrypTen's name
    """arithmetic or binary. Here both are shared additively; see BinarySharedTensor."""

    arithmetic = 0
    binary = 1

    def to_tensor(self) -> Any:
        """The class of tensors of this kind."""
        from . import shares

        return {0: shares.ArithmeticSharedTensor, 1: shares.BinarySharedTensor}[self.value]
