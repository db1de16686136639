# SPDX-License-Identifier: MIT
"""CrypTen's layers: those of torch.nn, with its arguments where they differ."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ...errors import ShapeError
from .module import Encryptable

__all__ = (
    "AdaptiveAvgPool2d AdaptiveMaxPool2d AvgPool2d BatchNorm1d BatchNorm2d BatchNorm3d "
    "ConstantPad1d ConstantPad2d ConstantPad3d Conv1d Conv2d CosineSimilarity Dropout Dropout2d "
    "Dropout3d DropoutNd Flatten GroupNorm Hardtanh Linear LogSoftmax MaxPool2d ModuleDict "
    "ModuleList ReLU ReLU6 Sequential Sigmoid Softmax"
).split()


def _layer(name: str) -> Any:
    base = getattr(nn, name)
    return type(name, (Encryptable, base), {"__module__": __name__, "__doc__": base.__doc__})


AvgPool2d = _layer("AvgPool2d")
BatchNorm1d = _layer("BatchNorm1d")
BatchNorm2d = _layer("BatchNorm2d")
BatchNorm3d = _layer("BatchNorm3d")
Conv1d = _layer("Conv1d")
Conv2d = _layer("Conv2d")
CosineSimilarity = _layer("CosineSimilarity")
Dropout = _layer("Dropout")
Dropout2d = _layer("Dropout2d")
Dropout3d = _layer("Dropout3d")
GroupNorm = _layer("GroupNorm")
Hardtanh = _layer("Hardtanh")
Linear = _layer("Linear")
LogSoftmax = _layer("LogSoftmax")
ModuleDict = _layer("ModuleDict")
ModuleList = _layer("ModuleList")
ReLU = _layer("ReLU")
ReLU6 = _layer("ReLU6")
Sequential = _layer("Sequential")
Sigmoid = _layer("Sigmoid")
Softmax = _layer("Softmax")


class DropoutNd(Encryptable, nn.Module):
    """Zeroes whole channels in training, with a public mask."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = p

    def forward(self, input: Any) -> Any:
        return torch.feature_dropout(input, self.p, self.training)


class Flatten(Encryptable, nn.Module):
    """A matrix of the dimensions before `axis` by those from it on."""

    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Any) -> Any:
        if self.axis > x.dim():
            raise ShapeError(f"axis is {self.axis}; it must be at most {x.dim()}")
        return x.reshape(x.shape[: self.axis].numel(), -1)


class MaxPool2d(Encryptable, nn.MaxPool2d):
    """torch.nn.MaxPool2d; ceil_mode is the fourth argument."""

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode=ceil_mode)


class _Adaptive(Encryptable, nn.Module):
    _pool: Any

    def __init__(self, output_size: Any = None) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input_tensor: Any, output_size: Any = None) -> Any:
        size = self.output_size if output_size is None else output_size
        if size is None:
            raise ShapeError("output_size is None; it must be given here or to the module")
        return type(self)._pool(input_tensor, size)


class AdaptiveAvgPool2d(_Adaptive):
    _pool = staticmethod(nn.functional.adaptive_avg_pool2d)


class AdaptiveMaxPool2d(_Adaptive):
    _pool = staticmethod(nn.functional.adaptive_max_pool2d)


class _ConstantPad(Encryptable, nn.Module):
    _dims: int

    def __init__(self, padding: Any, value: float, mode: str = "constant") -> None:
        super().__init__()
        self.padding = [padding] * (2 * self._dims) if isinstance(padding, int) else list(padding)
        self.value, self.mode = value, mode

    def forward(self, input: Any) -> Any:
        padding = self.padding
        if isinstance(input, (list, tuple)):
            input, padding = input[0], [int(size) for size in input[1]]
        return nn.functional.pad(input, padding, self.mode, self.value)


class ConstantPad1d(_ConstantPad):
    _dims = 1


class ConstantPad2d(_ConstantPad):
    _dims = 2


class ConstantPad3d(_ConstantPad):
    _dims = 3
