# SPDX-License-Identifier: MIT
"""Matrix products. The result keeps both operands' fraction bits; relu or settle removes them."""

from __future__ import annotations

from typing import Any, cast

import torch

from ..tensor import CrypTensor
from .operands import engine_of, factor, factors, handle, lifted, result_dtype, wrap
from .table import implements

aten = torch.ops.aten


@implements(
    aten.mm.default, aten.bmm.default, aten.mv.default, aten.dot.default, aten.matmul.default
)
def matmul(x: Any, y: Any) -> CrypTensor:
    """torch.matmul. Cost: one round, none where an operand is public."""
    engine = engine_of(x, y)
    product = engine.matmul(*factors(engine, x, y))
    return wrap(product, engine, result_dtype(x, y))


@implements(aten.addmm.default, aten.baddbmm.default, aten.addmv.default)
def addmm(bias: Any, x: Any, y: Any, *, beta: float = 1, alpha: float = 1) -> CrypTensor:
    """beta * bias + alpha * (x @ y); the bias is added before the truncation."""
    engine = engine_of(bias, x, y)
    product = engine.matmul(*factors(engine, x, y))
    dtype = result_dtype(x, y)
    if alpha != 1:
        product = engine.scale(product, float(alpha))
    if beta == 0:
        return wrap(product, engine, dtype)
    offset = handle(engine, bias)
    if beta != 1:
        offset = engine.scale(offset, float(beta))
    return wrap(engine.add(product, offset), engine, dtype)


@implements(aten.linear.default)
def linear(x: Any, weight: Any, bias: Any = None) -> CrypTensor:
    """x @ weight.T + bias, as it arrives whole in inference mode."""
    engine = engine_of(x, weight, bias)
    turned = factor(engine, weight).rearrange(lambda s: s.transpose(-1, -2))
    product = engine.matmul(factor(engine, x), turned)
    if bias is not None:
        product = engine.add(product, handle(engine, bias))
    return wrap(product, engine, result_dtype(x, weight))


@implements(aten._trilinear.default)
def trilinear(
    x: Any,
    y: Any,
    z: Any,
    expand_x: list[int],
    expand_y: list[int],
    expand_z: list[int],
    summed: list[int],
    unroll: int = 1,
) -> CrypTensor:
    """Products of three operands with their missing dimensions inserted, summed: F.bilinear.

    The gradients of it are of the same kind. Cost: two products, from left to right.
    """
    engine = engine_of(x, y, z)
    count = x.dim() + len(expand_x)
    letters = [chr(ord("a") + d) for d in range(count)]
    names = [
        "".join(letter for d, letter in enumerate(letters) if d not in missing)
        for missing in (expand_x, expand_y, expand_z)
    ]
    result = "".join(letter for d, letter in enumerate(letters) if d not in summed)
    operands = [lifted(engine, operand) for operand in (x, y, z)]
    product: Any = torch.einsum(f"{','.join(names)}->{result}", operands)
    return cast(CrypTensor, product)
