# SPDX-License-Identifier: MIT
"""Random tensors like a secret one: public numbers from the parties' common coin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..errors import UnsupportedOperation
from ..tensor import CrypTensor
from .arithmetic import mul
from .coin import coin
from .indexing import public_index
from .inplace import write
from .operands import encode, wrap
from .table import implements

aten = torch.ops.aten


def _drawn(
    x: CrypTensor, draw: Callable[..., torch.Tensor], dtype: torch.dtype | None = None
) -> CrypTensor:
    """draw(plain tensor, generator=...) of the shape of x as a CrypTensor of public values."""
    dtype = x.dtype if dtype is None else dtype
    plain = torch.empty(x.shape, dtype=torch.float64 if dtype.is_floating_point else dtype)
    values = draw(plain, generator=coin(x._engine))
    return wrap(encode(x._engine, values), x._engine, dtype)


def _refuse_generator(generator: Any) -> None:
    """The parties could not know that they hold the same generator in the same state."""
    if generator is not None:
        raise UnsupportedOperation(
            "random numbers for a secret tensor with generator=...: the common coin of the session "
            "draws them; call cryptensor.manual_seed() to repeat a run"
        )


@implements(aten.rand_like.default)
def rand_like(x: CrypTensor, *, dtype: torch.dtype | None = None, **kwargs: Any) -> CrypTensor:
    return _drawn(x, torch.Tensor.uniform_, dtype)


@implements(aten.randn_like.default)
def randn_like(x: CrypTensor, *, dtype: torch.dtype | None = None, **kwargs: Any) -> CrypTensor:
    return _drawn(x, torch.Tensor.normal_, dtype)


@implements(aten.randint_like.default)
def randint_like(
    x: CrypTensor, high: int, *, dtype: torch.dtype | None = None, **kwargs: Any
) -> CrypTensor:
    return randint_between(x, 0, high, dtype=dtype)


@implements(aten.randint_like.low_dtype)
def randint_between(
    x: CrypTensor, low: int, high: int, *, dtype: torch.dtype | None = None, **kwargs: Any
) -> CrypTensor:
    return _drawn(x, lambda e, generator: e.random_(low, high, generator=generator), dtype)


@implements(aten.bernoulli.default, aten.bernoulli.p)
def bernoulli(x: CrypTensor, p: float | None = None, *, generator: Any = None) -> CrypTensor:
    """Zeros and ones with the public probabilities x, or all with p.

    Raises SecretLeakError for secret probabilities: the outcome would tell them.
    """
    _refuse_generator(generator)
    if p is not None:
        return _drawn(x, lambda e, generator: e.bernoulli_(p, generator=generator))
    plain = public_index("bernoulli by its probabilities", x)
    return _drawn(x, lambda e, generator: torch.bernoulli(plain, generator=generator))


@implements(aten.bernoulli_.Tensor)
def bernoulli_by(x: CrypTensor, p: Any, generator: Any = None) -> CrypTensor:
    _refuse_generator(generator)
    plain = public_index("bernoulli_ by its probabilities", p)
    drawn = _drawn(x, lambda e, generator: e.bernoulli_(plain, generator=generator))
    return write(x, drawn._secret, "bernoulli_")


def _fill(name: str) -> Any:
    method = getattr(torch.Tensor, name)

    def handler(x: CrypTensor, *args: Any, generator: Any = None) -> CrypTensor:
        _refuse_generator(generator)
        drawn = _drawn(x, lambda e, generator: method(e, *args, generator=generator))
        return write(x, drawn._secret, name)

    return handler


implements(aten.bernoulli_.float)(_fill("bernoulli_"))
implements(aten.uniform_.default)(_fill("uniform_"))
implements(aten.normal_.default)(_fill("normal_"))
implements(aten.exponential_.default)(_fill("exponential_"))
implements(aten.random_.default, getattr(aten.random_, "from"), aten.random_.to)(_fill("random_"))


@implements(aten.native_dropout.default)
def native_dropout(x: CrypTensor, p: float, train: bool | None) -> tuple[CrypTensor, CrypTensor]:
    """x with each element zero with the public probability p, the others divided by 1 - p."""
    kept = 1.0 if train is False else 1 - p
    mask = _drawn(x, lambda e, generator: e.bernoulli_(kept, generator=generator), torch.bool)
    return mul(mul(x, mask), 1 / kept if kept else 0.0), mask
