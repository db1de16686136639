# SPDX-License-Identifier: MIT
"""Random secrets, which no party knows: every party contributes numbers of OpenSSL's."""

from __future__ import annotations

import math
import ssl
from functools import reduce
from typing import Any

import torch

from .. import session
from ..tensor import CrypTensor


def rand(*sizes: Any, device: Any = None, cryptensor_type: str | None = None) -> Any:
    """A secret tensor, uniform in [0, 1) on the multiples of 2^-precision.

    Each party's own numbers are added modulo 1, so it is uniform and unknown while one party keeps
    its numbers to itself. No seed repeats it. Cost: a round for each party and a comparison.
    """
    engine: Any = session.current().engine
    shape = _shape(sizes)
    own = _uniform(shape, engine.precision)
    parts = [
        engine.input(own if engine.rank == party else list(shape), party)
        for party in range(engine.parties)
    ]
    total = reduce(engine.add, parts)
    if engine.parties > 1:
        above = [engine.sub(total, engine.public(float(k))) for k in range(1, engine.parties)]
        whole = engine.at_least_zero(engine.combine(above, torch.stack))
        total = engine.sub(total, engine.sum(whole, [0], False))
    return _tensor(total, engine)


def randn(*sizes: Any, device: Any = None, cryptensor_type: str | None = None) -> Any:
    """A secret tensor of normally distributed numbers, by the method of Box and Muller.

    With 16 fraction bits they stay within 4.9. Cost: rand(), a logarithm, a root, sine and cosine.
    """
    shape = _shape(sizes)
    half = -(-math.prod(shape) // 2)
    uniform = rand(2, half)
    radius = torch.sqrt(-2 * torch.log(1 - uniform[0]))
    angle = 2 * math.pi * uniform[1]
    both = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)])
    return both[: math.prod(shape)].reshape(shape)


def bernoulli(tensor: Any, cryptensor_type: str | None = None) -> Any:
    """Secret 0.0 and 1.0 with the probabilities of a secret or plain tensor."""
    return rand(tensor.shape) < tensor


def drawn_by_weight(weights: Any, dim: int) -> Any:
    """A one-hot tensor along dim, its place random with the weights; right to 2^-precision.

    Cost: rand(), a product and a comparison.
    """
    places = weights.shape[dim]
    sums = torch.cumsum(weights, dim)
    total = sums.narrow(dim, places - 1, 1)
    beyond = sums.narrow(dim, 0, places - 1) > rand(total.shape) * total
    edge = torch.ones(total.shape)
    # The last place is beyond by definition, so that rounding cannot leave a row without one.
    return torch.cat([beyond, edge], dim) - torch.cat([0 * edge, beyond], dim)


def ring_elements(shape: torch.Size) -> torch.Tensor:
    """Uniform integers of 64 bits that this party alone knows."""
    words = bytearray(ssl.RAND_bytes(8 * math.prod(shape)))
    return torch.frombuffer(words, dtype=torch.int64).reshape(shape) if words else _empty(shape)


def _uniform(shape: torch.Size, bits: int) -> torch.Tensor:
    unit = 2.0**-bits
    drawn: torch.Tensor = (ring_elements(shape) & (2**bits - 1)).double() * unit
    return drawn


def _empty(shape: torch.Size) -> torch.Tensor:
    return torch.empty(shape, dtype=torch.int64)


def _shape(sizes: tuple[Any, ...]) -> torch.Size:
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list, torch.Size)):
        sizes = tuple(sizes[0])
    return torch.Size(sizes)


def _tensor(secret: Any, engine: Any) -> Any:
    from .shares import MPCTensor
    from .tensor import tagged

    return tagged(CrypTensor(secret, engine, torch.float32), MPCTensor)
