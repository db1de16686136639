# SPDX-License-Identifier: MIT
"""CrypTen's methods of a tensor, as compositions of PyTorch's functions.

Listed are those that PyTorch's tensors lack or mean differently; all others are inherited. Cost,
domain and error of each are those of the functions that it names (csrc/function/README.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from ..errors import ShapeError
from ..tensor import CrypTensor
from .randomness import drawn_by_weight, rand, randn
from .refusals import RefusedAttribute, refused
from .tensor import in_crypten

if TYPE_CHECKING:
    _Mixed = CrypTensor
else:
    _Mixed = object


class _AutogradEnabled:
    """CrypTensor.AUTOGRAD_ENABLED reads PyTorch's switch; set_grad_enabled() turns it."""

    def __get__(self, instance: Any, owner: Any) -> bool:
        return torch.is_grad_enabled()


def _comparison(name: str) -> Callable[..., Any]:
    """x > y and so on as 0.0 and 1.0, which can be added and multiplied."""
    plain = getattr(torch.Tensor, name)

    def compare(self: Any, y: Any) -> Any:
        result = plain(self, y)
        return result.float() if isinstance(result, CrypTensor) else result

    compare.__name__ = name
    return in_crypten(compare)


def _one_hot(positions: Any, dim: int, size: int) -> Any:
    return F.one_hot(positions, size).movedim(-1, dim).float()


def _at(dim: int, x: Any) -> int:
    return dim % int(max(x.dim(), 1))


class CrypTenMethods(_Mixed):
    """The methods; MPCTensor and the two share types inherit them before CrypTensor's."""

    AUTOGRAD_ENABLED = _AutogradEnabled()
    FUNCTION_OVERRIDES = RefusedAttribute("FUNCTION_OVERRIDES")
    PROTECTED_ATTRIBUTES = RefusedAttribute("PROTECTED_ATTRIBUTES")
    PYTHON_BUILTIN = RefusedAttribute("PYTHON_BUILTIN")
    REQUIRED_FUNCTIONS = RefusedAttribute("REQUIRED_FUNCTIONS")

    no_grad = staticmethod(torch.no_grad)
    enable_grad = staticmethod(torch.enable_grad)
    set_grad_enabled = staticmethod(torch.set_grad_enabled)
    register_cryptensor = staticmethod(refused("register_cryptensor"))
    rand = staticmethod(rand)
    randn = staticmethod(randn)
    cuda = refused("cuda")

    eq, ne = _comparison("eq"), _comparison("ne")
    lt, le, gt, ge = (_comparison(name) for name in ("lt", "le", "gt", "ge"))
    __eq__, __ne__ = _comparison("__eq__"), _comparison("__ne__")
    __lt__, __le__ = _comparison("__lt__"), _comparison("__le__")
    __gt__, __ge__ = _comparison("__gt__"), _comparison("__ge__")
    __hash__ = CrypTensor.__hash__

    @in_crypten
    def argmax(self, dim: int | None = None, keepdim: bool = False, one_hot: bool = True) -> Any:
        """Where the first maximum is: a one-hot tensor of the shape of x, or a secret position."""
        if not one_hot:
            return torch.argmax(self, dim, keepdim).float()
        if dim is None:
            return F.one_hot(torch.argmax(self), self.numel()).reshape(self.shape).float()
        return _one_hot(torch.argmax(self, dim), _at(dim, self), self.shape[dim])

    @in_crypten
    def argmin(self, dim: int | None = None, keepdim: bool = False, one_hot: bool = True) -> Any:
        return CrypTenMethods.argmax(-self, dim, keepdim, one_hot)

    @in_crypten
    def max(self, dim: int | None = None, keepdim: bool = False, one_hot: bool = True) -> Any:
        """The maximum; along dim the maxima, and where they are as argmax() says it."""
        if dim is None:
            return torch.max(self)
        values, positions = torch.max(self, dim)
        kept: Callable[[Any], Any] = (
            (lambda x: x.unsqueeze(_at(dim, self))) if keepdim else (lambda x: x)
        )
        if one_hot:
            return kept(values), _one_hot(positions, _at(dim, self), self.shape[dim])
        return kept(values), kept(positions).float()

    @in_crypten
    def min(self, dim: int | None = None, keepdim: bool = False, one_hot: bool = True) -> Any:
        result = CrypTenMethods.max(-self, dim, keepdim, one_hot)
        return -result if dim is None else (-result[0], result[1])

    @in_crypten
    def sign(self) -> Any:
        """1 for x >= 0, else -1: unlike PyTorch's, zero counts as positive."""
        return 2 * torch.ge(self, 0).float() - 1

    @in_crypten
    def log(self, input_in_01: bool = False) -> Any:
        return torch.log(self)

    @in_crypten
    def reciprocal(self, input_in_01: bool = False) -> Any:
        return torch.reciprocal(self)

    def inv_sqrt(self) -> Any:
        return torch.rsqrt(self)

    def pos_pow(self, p: Any) -> Any:
        """x ** p for x > 0; p a number or a tensor, also a secret one."""
        if isinstance(p, torch.Tensor) or abs(p) <= 1 or float(p).is_integer():
            return torch.pow(self, p)
        return torch.exp(p * torch.log(self))

    def cossin(self) -> tuple[Any, Any]:
        return torch.cos(self), torch.sin(self)

    def polynomial(self, coeffs: Any, func: str = "mul") -> Any:
        """coeffs[0] x + coeffs[1] x^2 + ...; the powers in ceil(log2) rounds of products."""
        coeffs = coeffs if isinstance(coeffs, torch.Tensor) else torch.tensor(coeffs)
        if coeffs.dim() != 1 or not len(coeffs):
            raise ShapeError(f"coeffs has shape {tuple(coeffs.shape)}; it must be a list of them")
        powers = self.unsqueeze(0)
        while len(powers) < len(coeffs):
            more = powers[: len(coeffs) - len(powers)]
            powers = torch.cat([powers, more * powers[-1]])
        return (powers * coeffs.reshape(-1, *[1] * self.dim())).sum(0)

    @in_crypten
    def dot(self, y: Any, weights: Any = None) -> Any:
        """The sum of x * y, or of x * weights * y, over tensors of any one shape."""
        if self.shape != y.shape:
            raise ShapeError(f"y has shape {tuple(y.shape)}; it must be {tuple(self.shape)}")
        return ((self if weights is None else self * weights) * y).sum()

    @in_crypten
    def where(self, condition: Any, y: Any) -> Any:
        """x where the condition is 1, y where it is 0; a secret one costs a product."""
        if not isinstance(condition, CrypTensor):
            return torch.where(condition.bool(), self, y)
        return y + condition * (self - y)

    @in_crypten
    def take(self, index: torch.Tensor, dimension: int | None = None) -> Any:
        """Elements by their places in the flattened tensor, or slices along a dimension."""
        if dimension is None or self.dim() == 0:
            return torch.take(self, index.long())
        return self[(slice(None),) * _at(dimension, self) + (index.long(),)]

    @in_crypten
    def bernoulli(self) -> Any:
        """0.0 and 1.0, secret, with the secret probabilities x. Cost: rand() and a comparison."""
        return self > rand(self.shape)

    def weighted_index(self, dim: int | None = None) -> Any:
        """A random one-hot tensor along dim, with the weights x >= 0."""
        if dim is None:
            return drawn_by_weight(self.flatten(), 0).reshape(self.shape)
        return drawn_by_weight(self, dim)

    def weighted_sample(self, dim: int | None = None) -> tuple[Any, Any]:
        """A random element of x along dim with the weights x, and its one-hot place."""
        index = CrypTenMethods.weighted_index(self, dim)
        chosen = self * index
        return (chosen.sum() if dim is None else chosen.sum(dim)), index

    def dropout(self, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        """As torch.nn.functional.dropout: the mask is public, from the parties' common coin."""
        return F.dropout(self, p, training, inplace)

    def _feature_dropout(self, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        """Whole channels at once."""
        return torch.feature_dropout(self, p, training)

    def hardtanh(self, min_value: float = -1, max_value: float = 1) -> Any:
        return F.hardtanh(self, min_value, max_value)

    def relu6(self) -> Any:
        return F.relu6(self)

    def pad(self, pad: Any, mode: str = "constant", value: Any = 0) -> Any:
        if isinstance(value, CrypTensor):  # a secret border: the mask of the inside is public
            inside = F.pad(torch.ones(self.shape), tuple(pad), mode)
            return F.pad(self, tuple(pad), mode) + value * (1 - inside)
        return F.pad(self, tuple(pad), mode, value)

    def conv1d(
        self, kernel: Any, padding: Any = 0, stride: Any = 1, dilation: Any = 1, groups: int = 1
    ) -> Any:
        return F.conv1d(self, kernel, None, stride, padding, dilation, groups)

    def conv2d(
        self, kernel: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> Any:
        return F.conv2d(self, kernel, None, stride, padding, dilation, groups)

    def conv_transpose1d(self, kernel: Any, **options: Any) -> Any:
        return F.conv_transpose1d(self, kernel, **options)

    def conv_transpose2d(self, kernel: Any, **options: Any) -> Any:
        return F.conv_transpose2d(self, kernel, **options)

    def avg_pool2d(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False
    ) -> Any:
        """Borders count as zeros, and in ceil_mode the part of a window beyond them counts."""
        return F.avg_pool2d(self, kernel_size, stride, padding, ceil_mode)

    def max_pool2d(
        self,
        kernel_size: Any,
        padding: Any = 0,
        stride: Any = None,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        return F.max_pool2d(self, kernel_size, stride, padding, dilation, ceil_mode, return_indices)  # type: ignore[call-overload]

    def adaptive_avg_pool2d(self, output_size: Any) -> Any:
        return F.adaptive_avg_pool2d(self, output_size)

    def adaptive_max_pool2d(self, output_size: Any, return_indices: bool = False) -> Any:
        return F.adaptive_max_pool2d(self, output_size, return_indices)  # type: ignore[call-overload]

    def batchnorm(
        self,
        weight: Any,
        bias: Any,
        running_mean: Any = None,
        running_var: Any = None,
        training: bool = False,
        eps: float = 1e-05,
        momentum: float = 0.1,
        inv_var: Any = None,
    ) -> Any:
        return F.batch_norm(self, running_mean, running_var, weight, bias, training, momentum, eps)

    def cosine_similarity(self, x2: Any, dim: int = 1, eps: float | None = None) -> Any:
        return F.cosine_similarity(self, x2, dim)

    def binary_cross_entropy(self, target: Any, skip_forward: bool = False) -> Any:
        return F.binary_cross_entropy(self, target)

    def binary_cross_entropy_with_logits(self, target: Any, skip_forward: bool = False) -> Any:
        return F.binary_cross_entropy_with_logits(self, target)

    def cross_entropy(self, target: Any, skip_forward: bool = False) -> Any:
        """The mean over rows, for a one-hot target of the shape of x or for public classes."""
        return F.cross_entropy(self, target)

    def rappor_loss(self, target: Any, alpha: float, skip_forward: bool = False) -> Any:
        """Binary cross entropy for labels that were kept with probability alpha, else flipped."""
        likely = torch.sigmoid(self)
        return F.binary_cross_entropy(alpha * likely + (1 - alpha) * (1 - likely), target)

    @in_crypten
    def backward(self, grad_input: Any = None, top_node: bool = True, **options: Any) -> None:
        CrypTensor.backward(self, grad_input, **options)  # type: ignore[no-untyped-call]

    def set(self, enc_tensor: Any) -> Any:
        """Writes another value into this tensor; a plain one is taken from party 0."""
        if not isinstance(enc_tensor, CrypTensor):
            enc_tensor = self.new(enc_tensor)
        with torch.no_grad():
            return self.copy_(enc_tensor)

    def shallow_copy(self) -> Any:
        """Another tensor of the same storage, without the graph."""
        return self.detach()

    @classmethod
    def new(cls, *args: Any, **kwargs: Any) -> Any:
        return cls(*args, **kwargs)

    @staticmethod
    def cat(tensors: Any, dim: int = 0) -> Any:
        return torch.cat(list(tensors), dim)

    @staticmethod
    def stack(tensors: Any, dim: int = 0) -> Any:
        return torch.stack(list(tensors), dim)
