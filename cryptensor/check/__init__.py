# SPDX-License-Identifier: MIT
"""What a model would meet as a secret one: refused operations, risky values, cost."""

from .checking import check
from .report import CheckReport

__all__ = ["CheckReport", "check"]
