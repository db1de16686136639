# SPDX-License-Identifier: MIT
"""The standing dealer: a service that joins sessions, each in a process of its own."""

from .service import DealerService

__all__ = ["DealerService"]
