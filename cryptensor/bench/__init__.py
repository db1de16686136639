# SPDX-License-Identifier: MIT
"""The main figures of this machine, for `cryptensor bench` and for benchmarks/."""
