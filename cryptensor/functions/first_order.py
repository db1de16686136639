# SPDX-License-Identifier: MIT
"""Gradients that are computed on handles, where autograd cannot follow for a second derivative."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from ..errors import UnsupportedOperation


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Under create_graph=True it raises UnsupportedOperation: better than a silent zero."""

    @functools.wraps(backward)
    def checked(ctx: Any, *grads: Any) -> Any:
        if torch.is_grad_enabled():
            name = backward.__qualname__.split(".")[0].lstrip("_")
            raise UnsupportedOperation(
                f"the second derivative of {name} (create_graph=True) has no secure implementation"
            )
        return backward(ctx, *grads)

    return checked
