# SPDX-License-Identifier: MIT
"""CrypTen's losses: those of torch.nn; targets are secret or plain."""

from __future__ import annotations

from typing import Any

from torch import nn

from ...errors import ShapeError
from .module import Encryptable

__all__ = "BCELoss BCEWithLogitsLoss CrossEntropyLoss L1Loss MSELoss RAPPORLoss".split()


def _same_shape(x: Any, y: Any) -> None:
    if x.shape != y.shape:
        raise ShapeError(f"target has shape {tuple(y.shape)}; it must be {tuple(x.shape)}")


class _Loss(Encryptable):
    """skip_forward is accepted for its name: the value is computed, and costs what it costs."""

    def __init__(self, reduction: str = "mean", skip_forward: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.skip_forward = skip_forward

    def forward(self, x: Any, y: Any) -> Any:
        _same_shape(x, y)
        return super().forward(x, y)


class MSELoss(_Loss, nn.MSELoss):
    """The mean of (x - y)^2."""


class L1Loss(_Loss, nn.L1Loss):
    """The mean of |x - y|."""


class BCELoss(_Loss, nn.BCELoss):
    """Binary cross entropy of probabilities x."""


class BCEWithLogitsLoss(_Loss, nn.BCEWithLogitsLoss):
    """Binary cross entropy of sigmoid(x)."""


class CrossEntropyLoss(_Loss, nn.CrossEntropyLoss):
    """Cross entropy of softmax(x), of shape (N, C, ...).

    The target is one-hot (or probabilities) of the shape of x, as CrypTen wants it, or has the
    numbers of the classes, of shape (N, ...), as PyTorch does.
    """

    def forward(self, x: Any, y: Any) -> Any:
        x, y = x.squeeze(), y.squeeze()
        if x.shape == y.shape:
            return nn.CrossEntropyLoss.forward(self, x, y)
        return nn.CrossEntropyLoss.forward(self, x, y.long())


class RAPPORLoss(_Loss, nn.BCELoss):
    """Binary cross entropy of sigmoid(x) for labels kept with probability alpha, else flipped."""

    def __init__(self, alpha: float, reduction: str = "mean", skip_forward: bool = False) -> None:
        super().__init__(reduction, skip_forward)
        self.alpha = alpha

    def forward(self, x: Any, y: Any) -> Any:
        likely = x.sigmoid()
        return super().forward(self.alpha * likely + (1 - self.alpha) * (1 - likely), y)
