# SPDX-License-Identifier: MIT
"""encrypt() and decrypt(): the parameters of an ordinary module become secret, or plain again."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import nn

from .. import session
from ..data import check_source
from ..tensor import CrypTensor
from .batch_norm import absorb
from .recurrent import released_weights

Module = TypeVar("Module", bound=nn.Module)


def encrypt(module: Module, src: int = 0, in_place: bool = False) -> Module:
    """A copy of the module whose parameters and floating-point buffers are secrets of party src.

    Every party calls it with a module of the same structure and shapes; only the values of src
    count. Tied parameters stay tied. Integer and bool buffers stay public: they must be equal at
    all parties. Batch normalisation in eval mode is folded into the layer before it.

    in_place: change the module itself, for optimizers that hold its parameters already. The
      parameters must not be part of a live autograd graph.
    Cost: one round for all parameters together. Raises TypeError for what is no module, and as
    cryptensor() does for values that cannot be encoded.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module is of type {type(module).__name__}; it must be a torch.nn.Module")
    engine: Any = session.current().engine
    check_source(engine, src)
    model = module if in_place else copy.deepcopy(module)
    plan = absorb(model, compute=engine.rank == src)
    plain = [t for t in _tensors(model, plan.constants) if not isinstance(t, CrypTensor)]
    if engine.rank == src:
        inputs: list[Any] = [plan.exact.get(id(t), t.detach()) for t in plain]
    else:
        inputs = [t.shape for t in plain]
    secrets = engine.input_many(inputs, src) if plain else []
    inputs.clear()  # swap_tensors wants to hold the only reference
    with released_weights(model):
        for tensor, secret in zip(plain, secrets, strict=True):
            secret.reuse()
            _swap(tensor, CrypTensor(secret, engine, tensor.dtype))
    return model


def decrypt(module: Module, in_place: bool = False) -> Module:
    """A copy of the module with every secret opened to all parties. Cost: one reveal each."""
    model = module if in_place else copy.deepcopy(module)
    with released_weights(model):
        for tensor in list(_tensors(model, set())):
            if isinstance(tensor, CrypTensor):
                plain = CrypTensor.reveal(tensor)  # a subclass may return something else
                assert plain is not None
                _swap(tensor, plain)
    return model


def _tensors(model: nn.Module, constants: set[int]) -> Iterator[torch.Tensor]:
    """Parameters, then floating-point buffers that are not constants; tied ones once."""
    yield from model.parameters()
    for buffer in model.buffers():
        if buffer.is_floating_point() and id(buffer) not in constants:
            yield buffer


def _swap(tensor: torch.Tensor, value: torch.Tensor) -> None:
    """Gives `tensor` a new content and keeps its identity, and with it ties and optimizers."""
    if isinstance(tensor, nn.Parameter):
        value = nn.Parameter(value, requires_grad=tensor.requires_grad)
    torch.utils.swap_tensors(tensor, value)
