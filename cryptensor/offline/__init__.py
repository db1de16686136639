# SPDX-License-Identifier: MIT
"""Correlations dealt before a session: trace a program, deal its plan, consume the store."""

from .dealing import Dealt, StoreStatus, deal, store_status
from .plan import Plan
from .tracing import offline_step, trace

__all__ = ["Dealt", "Plan", "StoreStatus", "deal", "offline_step", "store_status", "trace"]
