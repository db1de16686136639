# SPDX-License-Identifier: MIT
"""sin and cos: both come out of one opening; |error| <= 2^-11 for |x| < 100.

2 rounds; each of two parties sends 9 bytes an element.
"""

from __future__ import annotations

import torch

from .. import _C
from ..tensor import CrypTensor
from .operands import float_dtype, wants_gradient, wrap
from .table import implements

aten = torch.ops.aten


def _both(x: CrypTensor) -> tuple[_C.Secret, _C.Secret]:
    found: tuple[_C.Secret, _C.Secret] | None = x._memo.find("sin and cos", x._secret)
    if found is None:
        found = x._engine.sin_cos(x._secret)
        if wants_gradient(x):  # the gradient of each is the other
            x._memo.keep("sin and cos", x._secret, found)
    return found


@implements(aten.sin.default)
def sin(x: CrypTensor) -> CrypTensor:
    return wrap(_both(x)[0], x._engine, float_dtype(x))


@implements(aten.cos.default)
def cos(x: CrypTensor) -> CrypTensor:
    return wrap(_both(x)[1], x._engine, float_dtype(x))
