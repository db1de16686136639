# SPDX-License-Identifier: MIT
"""Rewriting a plain model, before it is encrypted, so that it costs fewer rounds and bytes."""

from .optimization import optimize

__all__ = ["optimize"]
