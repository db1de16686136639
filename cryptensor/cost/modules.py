# SPDX-License-Identifier: MIT
"""Which module of a model runs: its path, as in named_modules()."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def followed(
    model: nn.Module,
    entered: Callable[[str, nn.Module], None],
    left: Callable[[str, nn.Module], None],
) -> Iterator[None]:
    """Inside, entered(path, module) runs before and left(path, module) after each forward pass.

    The path of the model itself is the empty string. A module that raises is left, too.
    """
    handles = []
    for path, module in model.named_modules():

        def before(module: nn.Module, args: Any, path: str = path) -> None:
            entered(path, module)

        def after(module: nn.Module, args: Any, output: Any, path: str = path) -> None:
            left(path, module)

        handles.append(module.register_forward_pre_hook(before, prepend=True))
        handles.append(module.register_forward_hook(after, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
