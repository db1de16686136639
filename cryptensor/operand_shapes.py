# SPDX-License-Identifier: MIT
"""Operands whose shapes do not fit together: a ShapeError that names the operation and all shapes.

PyTorch finds most of them, before anything is sent, and raises a RuntimeError like any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from .errors import ShapeError

_SPEAKS_OF_SHAPES = re.compile(r"\b(sizes?|shapes?)\b")


def refuse_misfits(function: Callable[..., Any], operands: Iterable[Any], cause: Exception) -> None:
    """Raises ShapeError where `cause` is PyTorch's error for the shapes of several tensors.

    operands: of the call of `function`, lists of tensors included. Returns where the error is about
    something else.
    """
    text = str(cause).partition("\n")[0]
    if type(cause) is not RuntimeError or not _SPEAKS_OF_SHAPES.search(text):
        return
    shapes = [str(list(tensor.shape)) for tensor in _tensors(operands)]
    if len(shapes) < 2:
        return
    name = getattr(function, "__name__", str(function))
    listed = f"{', '.join(shapes[:-1])} and {shapes[-1]}"
    raise ShapeError(f"{name}: shapes {listed} do not fit together ({text})") from cause


def _tensors(operands: Iterable[Any]) -> Iterator[torch.Tensor]:
    for operand in operands:
        if isinstance(operand, torch.Tensor):
            yield operand
        elif isinstance(operand, (list, tuple)):
            yield from _tensors(operand)
