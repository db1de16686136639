# SPDX-License-Identifier: MIT
"""Functions of secret positions whose composites would read or wrap around the positions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from ..aten.selection import is_secret, one_hot
from ..tensor import FUNCTIONS, CrypTensor


def _one_hot(tensor: Any, num_classes: int = -1) -> Any:
    return one_hot(tensor, num_classes) if is_secret(tensor) else F.one_hot(tensor, num_classes)


def _take_along_dim(input: Any, indices: Any, dim: int | None = None, **kwargs: Any) -> Any:
    """torch.gather with the other dimensions broadcast; secret positions must not be negative."""
    if kwargs or not is_secret(indices):
        return torch.take_along_dim(input, indices, dim, **kwargs)
    if dim is None:
        return torch.gather(input.reshape(-1), 0, indices.reshape(-1))
    dim %= input.dim()
    pairs = list(zip(input.shape, indices.shape, strict=True))
    shape = [max(pair) for pair in pairs]
    of_x = [input.shape[dim] if d == dim else n for d, n in enumerate(shape)]
    of_indices = [indices.shape[dim] if d == dim else n for d, n in enumerate(shape)]
    return torch.gather(input.expand(of_x), dim, indices.expand(of_indices))


def _take(input: Any, index: Any) -> Any:
    """Its gradient would be an operation of its own, that of an index is known."""
    return input.reshape(-1)[index]


def _masked_select(input: Any, mask: Any, **kwargs: Any) -> Any:
    """By a public mask; a secret one is refused, since the shape would depend on it."""
    if kwargs or isinstance(mask, CrypTensor):
        return torch.masked_select(input, mask, **kwargs)
    input, mask = torch.broadcast_tensors(input, mask)
    return input[mask]


FUNCTIONS[F.one_hot] = _one_hot
for _function in (torch.take, torch.Tensor.take):
    FUNCTIONS[_function] = _take
for _function in (torch.masked_select, torch.Tensor.masked_select):  # type: ignore[assignment]
    FUNCTIONS[_function] = _masked_select
for _function in (torch.take_along_dim, torch.Tensor.take_along_dim):  # type: ignore[assignment]
    FUNCTIONS[_function] = _take_along_dim
