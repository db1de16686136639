# SPDX-License-Identifier: MIT
"""Weak references that recurrent layers keep to their weights, and that swap_tensors forbids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def released_weights(model: nn.Module) -> Iterator[None]:
    """Inside, the layers of `model` hold no weak reference to a parameter; afterwards, new ones."""
    layers = [module for module in model.modules() if isinstance(module, nn.RNNBase)]
    for layer in layers:
        layer._flat_weight_refs = []
    try:
        yield
    finally:
        for layer in layers:
            layer._init_flat_weights()
