# SPDX-License-Identifier: MIT
"""MPCTensor: a CrypTensor that answers to CrypTen's method names, and so do results made of it.

A class of its own, because a few methods of CrypTen's mean something else than PyTorch's of the
same name: max(dim) returns a one-hot tensor, x > y is 0.0 or 1.0. On CrypTensor itself that would
break every torch.nn module and every program that does not use these aliases. It is the same engine
handle; only the class differs, and it passes to results above dispatch. Inside PyTorch's functions,
and in models of from_pytorch(), the names mean what PyTorch says.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch

from .. import _C, session
from ..data import check_source, shape_of, to_tensor
from ..data import cryptensor as entered
from ..errors import ConfigError
from ..tensor import CrypTensor
from .ptype import ptype as Ptype

# Under this key a value that one party knows remembers its additive shares.
_SHARED_FORM = "additive shares"


class _Depth(threading.local):
    def __init__(self) -> None:
        self.torch_semantics = 0


_depth = _Depth()


@contextmanager
def torch_semantics() -> Iterator[None]:
    """Inside, methods mean what PyTorch says, and results are plain CrypTensors."""
    _depth.torch_semantics += 1
    try:
        yield
    finally:
        _depth.torch_semantics -= 1


def _in_torch() -> bool:
    # Below a function of PyTorch's, subclasses are switched off.
    return _depth.torch_semantics > 0 or not torch._C._is_torch_function_enabled()


def in_crypten(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of CrypTen's meaning where a program calls it; elsewhere PyTorch's of that name."""
    plain = getattr(CrypTensor, method.__name__, None)

    @wraps(method)
    def chosen(self: Any, *args: Any, **kwargs: Any) -> Any:
        if plain is not None and _in_torch():
            return plain(self, *args, **kwargs)
        return method(self, *args, **kwargs)

    return chosen


def tagged(result: Any, cls: type) -> Any:
    """The result of a function, in which every CrypTensor has become one of the class `cls`."""
    if type(result) is CrypTensor:
        result.__class__ = cls
    elif isinstance(result, (tuple, list)):
        for item in result:
            tagged(item, cls)
    return result


class SharedTensor(CrypTensor):
    """What all tensors of these aliases have in common: their making, and passing on a class."""

    ptype = Ptype.arithmetic

    @staticmethod
    def __new__(
        cls: Any,
        tensor: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        if isinstance(tensor, _C.Secret):  # as CrypTensor makes copies of itself
            return CrypTensor.__new__(cls, tensor, *args, **kwargs)
        return cls._make(tensor, *args, **kwargs)

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = super().__torch_function__(func, types, args, kwargs)
        return result if _depth.torch_semantics else tagged(result, cls)

    @classmethod
    def _make(
        cls,
        tensor: Any,
        device: Any = None,
        *,
        size: Any = None,
        broadcast_size: bool = False,
        precision: int | None = None,
        src: int = 0,
        requires_grad: bool | None = None,
    ) -> Any:
        """The data of party `src` as a secret, with CrypTen's arguments (see `cryptensor`)."""
        engine: Any = session.current().engine
        check_source(engine, src)
        if device is not None and torch.device(device).type != "cpu":
            raise ConfigError(f"device is {device!r}; it must be None or the CPU")
        if getattr(tensor, "src", src) != src:
            raise ConfigError(f"src is {src}; it must be {tensor.src}, the party that loaded it")
        if requires_grad is None:
            requires_grad = isinstance(tensor, torch.Tensor) and tensor.requires_grad
        bits = precision_bits(engine, precision)
        data = tensor
        if engine.rank != src:
            shape = tuple(size) if size is not None else shape_of(tensor)
            unknown = shape is None or broadcast_size
            data = None if unknown else torch.empty(shape, device="meta")
        elif bits < engine.precision and tensor is not None:
            # A number of fraction bits below the session's is kept by rounding towards zero.
            data = torch.trunc(to_tensor(tensor).double() * 2**bits) / 2**bits
        # Shared at once, as in CrypTen: `x.share` of it and of what is made of it then always is a
        # share, where a value that one party knows would stay with that party.
        secret = explicit_shares(entered(data, src, dtype=torch.float32))
        return tagged(secret, cls).requires_grad_(requires_grad)


def precision_bits(engine: Any, precision: int | None) -> int:
    """The fraction bits that a program asks for; ConfigError for more than the session's."""
    bits = engine.precision if precision is None else precision
    if isinstance(bits, bool) or not isinstance(bits, int) or not 0 <= bits <= engine.precision:
        raise ConfigError(
            f"precision is {bits!r}; it must be None or an integer from 0 to {engine.precision}, "
            "the session's: set cfg.encoder.precision_bits before the session starts"
        )
    return bits


def with_shares(x: CrypTensor) -> CrypTensor:
    """Gives a value that one party knows, such as a weight, its additive shares too.

    Every party calls it. Operations go on with the cheap protocols for known values; the shares
    are for `x.share`, so that what a program reads there is never the value itself. Cost: no
    message.
    """
    if x.owner >= 0:
        x._memo.keep(_SHARED_FORM, x._secret, x._engine.share(x._secret))
    return x


def shared_form(x: CrypTensor) -> _C.Secret | None:
    """The additive shares of x as a handle, None where one party knows x and it has none."""
    if x.owner < 0:
        return x._secret
    found: _C.Secret | None = x._memo.find(_SHARED_FORM, x._secret)
    return found


def explicit_shares(x: Any) -> Any:
    """A tensor of the same value that is shared among all parties. Cost: no message."""
    return tagged(CrypTensor(x._engine.share(x._secret), x._engine, x.dtype), type(x))
