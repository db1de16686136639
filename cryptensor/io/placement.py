# SPDX-License-Identifier: MIT
"""Values on their way into a module: do they fit, and the exchange that keeps identities."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from ..errors import ConfigError, ShapeError
from ..nn.batch_norm import absorb
from ..nn.recurrent import released_weights
from .header import DTYPES, Entry


def check_saved(into: Any, entries: dict[str, Entry]) -> None:
    """ConfigError or ShapeError unless the tensors of a save fit into the module."""
    if not isinstance(into, nn.Module):
        raise ConfigError(f"into is of type {type(into).__name__}; it must be a torch.nn.Module")
    if _needs_folding(into, entries):
        into = copy.deepcopy(into)
        absorb(into, compute=False)
    targets = _targets(into)
    _check_names(targets, entries)
    sources: dict[int, str] = {}
    for name, target in targets.items():
        entry = entries[name]
        source = entry.same_as if entry.kind == "tied" else name
        if sources.setdefault(id(target), source) != source:
            raise ConfigError(
                f"into has one tensor for {name!r} and {sources[id(target)]!r}, of which two were "
                "saved; the same ones must be tied"
            )
        _check_tensor(name, target, entries[source].shape, DTYPES[entries[source].dtype])


def check_plain(into: nn.Module, state: Any) -> None:
    """ConfigError or ShapeError unless a plain state_dict fits into the plain module."""
    if not isinstance(state, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        raise ConfigError(
            f"the file holds a {type(state).__name__}; it must be a state_dict of tensors"
        )
    targets = _targets(into)
    _check_names(targets, state)
    for name, target in targets.items():
        _check_tensor(name, target, tuple(state[name].shape), target.dtype)


def place(
    into: nn.Module, entries: dict[str, Entry], fresh: Callable[[str], torch.Tensor]
) -> nn.Module:
    """Gives each tensor of the module its value; identities, and with them ties, stay."""
    if _needs_folding(into, entries):
        absorb(into, compute=False)
    targets = {id(target): (name, target) for name, target in _targets(into).items()}
    with released_weights(into):
        for name, target in targets.values():  # tied ones once
            value = fresh(name)
            if isinstance(target, nn.Parameter):
                value = nn.Parameter(value, requires_grad=target.requires_grad)
            torch.utils.swap_tensors(target, value)
    return into


def _targets(into: nn.Module) -> dict[str, Any]:
    """The tensors themselves, not aliases of them."""
    return into.state_dict(keep_vars=True)


def _needs_folding(into: nn.Module, entries: Mapping[str, Any]) -> bool:
    return set(_targets(into)) != set(entries)


def _check_names(targets: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    missing = [name for name in targets if name not in given]
    beyond = [name for name in given if name not in targets]
    if missing or beyond:
        raise ConfigError(
            f"into does not fit: the file lacks {_some(missing)} and has {_some(beyond)} beyond; "
            "it must be the module that was saved, in eval mode if it was so when encrypted"
        )


def _check_tensor(name: str, target: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if not isinstance(target, torch.Tensor):
        raise ConfigError(f"into has an extra state {name!r}; its state must be tensors only")
    if tuple(target.shape) != shape:
        raise ShapeError(
            f"{name!r} has shape {tuple(target.shape)} in the module; it must be {shape}, as saved"
        )
    if target.dtype != dtype:
        raise ConfigError(f"{name!r} is {target.dtype} in the module; it must be {dtype}, as saved")


def _some(names: list[str]) -> str:
    if not names:
        return "nothing"
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
