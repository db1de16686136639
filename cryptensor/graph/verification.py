# SPDX-License-Identifier: MIT
"""Whether an optimized model computes the same as the model that it was made of."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from ..errors import ConfigError
from .assembly import OptimizedModule

_TOLERANCE = 1e-4


def verify_equal(
    model: nn.Module, optimized: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Runs copies of both on the examples, in their own precision and with the same random draws.

    Raises ConfigError where a result differs by more than 1e-4 of the largest value of its tensor.
    """
    expected, found = (pytree.tree_leaves(_run(m, args, kwargs)) for m in (model, optimized))
    if len(expected) != len(found):
        raise ConfigError(
            f"the optimized model returns {len(found)} results; the model returns {len(expected)}"
        )
    for number, (want, got) in enumerate(zip(expected, found, strict=True)):
        if not isinstance(want, torch.Tensor):
            continue
        if want.shape != got.shape:
            raise ConfigError(
                f"result {number} of the optimized model has the shape {list(got.shape)}; it must "
                f"be {list(want.shape)}"
            )
        difference = _difference(want, got)
        if not difference <= _TOLERANCE:
            raise ConfigError(
                f"result {number} of the optimized model differs by {difference:.2g} of its "
                f"largest value; at most {_TOLERANCE:g} is allowed: leave out passes to find the "
                "one that does not fit this model"
            )


def admit_single_rows(
    model: nn.Module, optimized: OptimizedModule, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Allows a free batch to be 1, which export never promises, where a trial shows that it works.

    The trial runs both modules on the first rows of the examples.
    """
    convention = optimized.convention
    single = [name for name, least in convention.least.items() if least == 2]
    if not single:
        return
    leaves, spec = pytree.tree_flatten((args, kwargs))
    for number, shape in enumerate(convention.shapes or []):
        if isinstance(shape, list) and shape and shape[0] in single:
            leaves[number] = leaves[number][:1]
    args, kwargs = pytree.tree_unflatten(leaves, spec)
    bounds, convention.least = convention.least, {}
    try:
        verify_equal(model, optimized, args, kwargs)
    except Exception:
        # Whatever fails, fails for one row alone: then the bound stays.
        convention.least = bounds
    else:
        convention.least = {name: n for name, n in bounds.items() if name not in single}


def _run(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    args, kwargs = pytree.tree_map_only(torch.Tensor, torch.clone, (args, kwargs))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return copy.deepcopy(model)(*args, **kwargs)


def _difference(want: torch.Tensor, got: torch.Tensor) -> float:
    """The largest difference over the largest value; values without a number must agree."""
    if not want.numel():
        return 0.0
    if want.dtype is not got.dtype or not torch.equal(want.isfinite(), got.isfinite()):
        return float("inf")
    finite = want.isfinite()
    a, b = want[finite].double(), got[finite].double()
    if not torch.equal(want[~finite].nan_to_num(), got[~finite].nan_to_num()):
        return float("inf")
    if not a.numel():
        return 0.0
    return float((a - b).abs().max() / a.abs().max().clamp_min(1e-30))
