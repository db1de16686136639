# SPDX-License-Identifier: MIT
"""Modules that are single operations, from which CrypTen builds its graphs of ONNX models.

One with several operands takes them as a list.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ...errors import ConfigError, ShapeError
from .module import Encryptable

__all__ = (
    "Add Cast Concat Constant ConstantOfShape Conv Div Equal Erf Exp Expand Gather Gemm "
    "GlobalAveragePool MatMul Mean Mul Parameter Pow Range Reshape Shape Slice Sqrt Squeeze Sub "
    "Sum Transpose Unsqueeze Where"
).split()


class Node(Encryptable, nn.Module):
    """The base of the modules here."""


def _operands(given: Any, *counts: int) -> list[Any]:
    if not isinstance(given, (list, tuple)) or len(given) not in counts:
        words = " or ".join(map(str, counts))
        raise ShapeError(f"input is no list of {words} operands, which it must be")
    return list(given)


def _numbers(values: Any) -> list[int]:
    return [int(value) for value in values]


def _single(dimension: Any) -> Any:
    """A dimension that may come in a list of one."""
    if not isinstance(dimension, (list, tuple)):
        return dimension
    if len(dimension) != 1:
        raise ConfigError(f"dimension is {dimension}; it must be one dimension")
    return dimension[0]


def _node(name: str, function: Any, operands: int) -> Any:
    def forward(self: Any, input: Any) -> Any:
        return function(input) if operands == 1 else function(*_operands(input, operands))

    members = {"forward": forward, "__module__": __name__, "__doc__": f"{name} of its input."}
    return type(name, (Node,), members)


def _power(base: Any, power: Any) -> Any:
    plain = isinstance(power, torch.Tensor) and power.numel() == 1
    return base ** (power.item() if plain else power)


def _equal(a: Any, b: Any) -> Any:
    return a.eq(b) if a.shape == b.shape else False


def _where(condition: Any, a: Any, b: Any) -> Any:
    from .. import where

    return where(condition, a, b)


def _expand(x: Any, shape: Any) -> Any:
    """By ONNX's rule, a size of 1 keeps a larger one of x."""
    sizes = _numbers(shape)
    return x.expand(torch.broadcast_shapes(x.shape, tuple(sizes)))


Add = _node("Add", operator.add, 2)
Sub = _node("Sub", operator.sub, 2)
Mul = _node("Mul", operator.mul, 2)
Div = _node("Div", operator.truediv, 2)
Pow = _node("Pow", _power, 2)
Sqrt = _node("Sqrt", torch.sqrt, 1)
Exp = _node("Exp", torch.exp, 1)
Erf = _node("Erf", torch.erf, 1)
Equal = _node("Equal", _equal, 2)
Where = _node("Where", _where, 3)
Expand = _node("Expand", _expand, 2)


class Parameter(Node):
    """Holds a tensor: a parameter, or with trainable=False a buffer. The input is not used."""

    def __init__(self, param: torch.Tensor, trainable: bool = True) -> None:
        super().__init__()
        if trainable:
            self.register_parameter("data", nn.Parameter(param.detach()))
        else:
            self.register_buffer("data", param)

    def forward(self, input: Any) -> Any:
        return self.data

    @property
    def requires_grad(self) -> bool:
        return bool(self.data.requires_grad)


class Constant(Node):
    """A public tensor, which encrypt() leaves as it is. The input is not used."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = torch.as_tensor(value).to(torch.float32)

    def forward(self, input: Any) -> torch.Tensor:
        return self.value


class ConstantOfShape(Constant):
    """The public value, expanded to the shape that is the input."""

    def forward(self, size: Any) -> torch.Tensor:
        return self.value.expand(*_numbers(size))


class _Reduction(Node):
    _function: Any

    def __init__(self, dim: Any, keepdim: bool = False) -> None:
        super().__init__()
        self.dim, self.keepdim = dim, keepdim

    def forward(self, input: Any) -> Any:
        return type(self)._function(input, self.dim, keepdim=self.keepdim)


class Mean(_Reduction):
    """The mean along dim, a dimension or several."""

    _function = staticmethod(torch.mean)


class Sum(_Reduction):
    """The sum along dim, a dimension or several."""

    _function = staticmethod(torch.sum)


class Transpose(Node):
    """The dimensions in the order `perm`."""

    def __init__(self, perm: Any) -> None:
        super().__init__()
        self.perm = perm

    def forward(self, input: Any) -> Any:
        return input.permute(self.perm)


class Squeeze(Node):
    """Without the dimension, where its size is 1."""

    def __init__(self, dimension: Any) -> None:
        super().__init__()
        self.dimension = _single(dimension)

    def forward(self, input: Any) -> Any:
        return input.squeeze(self.dimension)


class Unsqueeze(Node):
    """With a new dimension of size 1; [x, dimension] as input overrides the module's."""

    def __init__(self, dimension: Any = None) -> None:
        super().__init__()
        self.dimension = _single(dimension)

    def forward(self, input: Any) -> Any:
        if not isinstance(input, (list, tuple)):
            return input.unsqueeze(self.dimension)
        x, dimension = _operands(input, 2)
        return x.unsqueeze(_single(_numbers(dimension)))


class Slice(Node):
    """Elements starts[i] to ends[i] along axes[i]; or [x, starts, ends, axes] as input."""

    def __init__(self, starts: Any = None, ends: Any = None, axes: Any = None) -> None:
        super().__init__()
        self.starts, self.ends, self.axes = starts, ends, axes

    def forward(self, x: Any) -> Any:
        starts, ends, axes, steps = self.starts, self.ends, self.axes, ()
        if isinstance(x, (list, tuple)):
            x, starts, ends, *rest = _operands(x, 3, 4, 5)
            axes = rest[0] if rest else axes
            steps = rest[1] if len(rest) > 1 else ()
        if any(step != 1 for step in _numbers(steps)):
            raise ConfigError("steps must be 1 in every dimension")
        axes = range(len(starts)) if axes is None else axes
        for axis, start, end in zip(*map(_numbers, (axes, starts, ends)), strict=True):
            x = x.narrow(axis, start, min(end, x.shape[axis]) - start)
        return x


class Cast(Node):
    """A plain tensor of another dtype; a secret stays as it is."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Any) -> Any:
        return x.to(self.dtype) if type(x) is torch.Tensor else x


class Range(Node):
    """torch.arange of [start, end] or [start, end, step], which are public."""

    def forward(self, x: Any) -> torch.Tensor:
        return torch.arange(*_operands(x, 2, 3))


class Shape(Node):
    """The (public) shape as a tensor, or the size of one dimension."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Any, dim: int | None = None) -> torch.Tensor:
        dim = self.dim if dim is None else dim
        return torch.tensor(x.shape if dim is None else x.shape[dim])


class Concat(Node):
    """The tensors of a list, one after the other along the dimension."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension

    def forward(self, input: Any) -> Any:
        return torch.cat(list(input), self.dimension)


class Reshape(Node):
    """The same elements in another shape: the module's, or [x, shape] as input."""

    def __init__(self, shape: Any = None) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, tensor: Any, shape: Any = None) -> Any:
        if isinstance(tensor, (list, tuple)):
            tensor, shape = _operands(tensor, 2)
        shape = self.shape if shape is None else shape
        if shape is None:
            raise ShapeError("shape is None; it must be given here or to the module")
        return tensor.reshape(_numbers(shape))


class Gather(Node):
    """Slices by public indices along the dimension: the module's, or [x, indices] as input."""

    def __init__(self, dimension: int | None, indices: Any = None) -> None:
        super().__init__()
        self.dimension, self.indices = dimension, indices

    def forward(self, input: Any) -> Any:
        tensor, indices = input, self.indices
        if isinstance(input, (list, tuple)):
            tensor, *given = _operands(input, 1, 2)
            indices = given[0] if given else indices
        indices = torch.as_tensor(indices).long()
        if self.dimension is None or tensor.dim() == 0:
            return torch.take(tensor, indices)
        return tensor[(slice(None),) * (self.dimension % tensor.dim()) + (indices,)]


class Gemm(Node):
    """alpha * a @ b + beta * c of [a, b, c]."""

    def __init__(
        self, alpha: float = 1.0, beta: float = 1.0, trans_a: bool = False, trans_b: bool = False
    ) -> None:
        super().__init__()
        self.alpha, self.beta, self.trans_a, self.trans_b = alpha, beta, trans_a, trans_b

    def forward(self, x: Any) -> Any:
        a, b, c = _operands(x, 3)
        product = (a.t() if self.trans_a else a) @ (b.t() if self.trans_b else b)
        return self.alpha * product + self.beta * c


class MatMul(Node):
    """The product of [a, b], or of the input and a weight of the module's."""

    def __init__(self, weight: Any = None) -> None:
        super().__init__()
        if weight is not None:
            self.register_parameter("weight", weight)

    def forward(self, x: Any) -> Any:
        return x @ self.weight if hasattr(self, "weight") else operator.matmul(*_operands(x, 2))


class Conv(Node):
    """The convolution of [x, weight] or [x, weight, bias], in one or two dimensions."""

    def __init__(self, stride: Any, padding: Any, dilation: Any, groups: int = 1) -> None:
        super().__init__()
        self.options = (stride, padding, dilation, groups)

    def forward(self, x: Any) -> Any:
        x, weight, *bias = _operands(x, 2, 3)
        convolve = {3: F.conv1d, 4: F.conv2d}.get(weight.dim())
        if convolve is None:
            raise ShapeError(f"weight has {weight.dim()} dimensions; it must have 3 or 4")
        return convolve(x, weight, bias[0] if bias else None, *self.options)


class GlobalAveragePool(Node):
    """The mean over all dimensions behind the second, which stay with size 1."""

    def forward(self, input: Any) -> Any:
        if input.dim() < 3:
            raise ShapeError(f"input has {input.dim()} dimensions; it must have at least 3")
        return input.mean(tuple(range(2, input.dim())), keepdim=True)
