# SPDX-License-Identifier: MIT
"""torch.nn.init for plain and secret tensors; a secret one is filled with what party 0 draws."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch.nn import init

from ...tensor import CrypTensor
from ..shares import MPCTensor

__all__ = (
    "constant_ dirac_ kaiming_normal_ kaiming_uniform_ normal_ ones_ orthogonal_ sparse_ "
    "trunc_normal_ uniform_ xavier_normal_ xavier_uniform_ zeros_"
).split()


def _filling(name: str) -> Callable[..., Any]:
    fill = getattr(init, name)

    @wraps(fill)
    def filled(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(tensor, CrypTensor):
            return fill(tensor, *args, **kwargs)
        drawn = fill(torch.empty(tensor.shape), *args, **kwargs)
        with torch.no_grad():
            return tensor.copy_(MPCTensor(drawn, src=0))

    return filled


for _name in __all__:
    globals()[_name] = _filling(_name)
