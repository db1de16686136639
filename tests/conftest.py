# SPDX-License-Identifier: MIT
"""Beside engines.py, which tests in the folders below import."""

from hypothesis import HealthCheck, settings

# One example is a whole session of threads: slower than hypothesis expects, and not evenly so.
settings.register_profile(
    "sessions", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("sessions")
