# SPDX-License-Identifier: MIT
"""Private inference as a service: replicas of all parties in Ray actors behind one queue."""

from .attendant import Health
from .dealing import plan_of_service
from .metrics import Metrics
from .service import Service, serve

__all__ = ["Health", "Metrics", "Service", "plan_of_service", "serve"]
