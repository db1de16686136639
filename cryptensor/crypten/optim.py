# SPDX-License-Identifier: MIT
"""crypten.optim: PyTorch's SGD with CrypTen's extra argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from ..errors import RangeError

__all__ = ["SGD", "Optimizer"]


class SGD(torch.optim.SGD):
    """torch.optim.SGD, whose step replaces gradient elements beyond a threshold by 0.

    grad_threshold: None, or the largest magnitude that is applied. CrypTen's programs set it
    against rare large errors of its truncation, which do not occur here. Cost of a threshold: a
    square, a comparison and a product for each parameter and step.
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        grad_threshold: float | None = None,
    ) -> None:
        if grad_threshold is not None and not grad_threshold > 0:
            raise RangeError(f"grad_threshold is {grad_threshold}; it must be None or above 0")
        self._threshold = grad_threshold
        super().__init__(params, lr, momentum, dampening, weight_decay, nesterov)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self._threshold is not None:
            cut(self.param_groups, self._threshold)
        super().step()
        return loss


@torch.no_grad()
def cut(groups: Any, threshold: float) -> None:
    """Sets gradient elements of a larger magnitude than the threshold to 0."""
    for parameter in (p for group in groups for p in group["params"]):
        if parameter.grad is not None:
            small = torch.lt(parameter.grad.square(), threshold**2)
            parameter.grad = parameter.grad * small
