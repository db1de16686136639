# SPDX-License-Identifier: MIT
"""ATen operations on CrypTensors, by theme. Importing this package fills the table."""

from ..tensor import OPERATIONS
from . import (
    activation,
    arithmetic,
    comparison,
    convolution,
    factories,
    fallback,
    indexing,
    linear,
    logic,
    normalization,
    pooling,
    refused,
    views,
)

OPERATIONS.resolve = fallback.resolve

__all__ = [
    "activation",
    "arithmetic",
    "comparison",
    "convolution",
    "factories",
    "fallback",
    "indexing",
    "linear",
    "logic",
    "normalization",
    "pooling",
    "refused",
    "views",
]
