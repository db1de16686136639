# SPDX-License-Identifier: MIT
"""optimize(): captures a model, runs passes over it, and checks that nothing has changed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from ..errors import ConfigError
from ..tensor import CrypTensor
from .assembly import assemble
from .batch_norm import fold_batch_norm
from .capture import TRACING, capture
from .dead_outputs import drop_dead_outputs
from .pending import truncate_once
from .pooling import pool_before_relu
from .program import Program
from .projections import merge_projections
from .verification import admit_single_rows, verify_equal


def _merge(program: Program) -> None:
    merge_projections(program)
    truncate_once(program)


# In the order in which they help each other.
PASSES: dict[str, Callable[[Program], None]] = {
    "drop_dead_outputs": drop_dead_outputs,
    "fold_batch_norm": fold_batch_norm,
    "pool_before_relu": pool_before_relu,
    "merge_projections": _merge,
}


def optimize(
    model: nn.Module,
    *examples: Any,
    passes: Sequence[str] | None = None,
    verify: bool = True,
    named: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A module that computes what the plain `model` does, in fewer rounds and bytes when secret.

    examples: the arguments of one call, plain tensors of the sizes to come, values of no matter;
      `named` holds those that are passed by name. passes: the names of the passes to run, all by
      default, always in this order:
      "drop_dead_outputs": branches, positions of maxima and pieces of a Linear that nobody reads;
      "fold_batch_norm": eval-mode BatchNorm into the Linear, Conv or ConvTranspose before it;
      "pool_before_relu": activations that never fall behind a max-pool instead of before it;
      "merge_projections": Linear layers (Q, K, V) or Conv layers of one geometry that read the same
      tensor as one layer, equal activations behind them as one, one truncation for all pieces.
    verify: run both on the examples and compare the results, to 1e-4 of the largest value.

    Optimize before encrypting: `ct.encrypt(ct.optimize(model, x), src=0)`, at every party alike; in
    ct.simulate(), whose parties are threads of one process, best before it. The result is called
    with the arguments of the examples, by position or name, and returns what the model returns.
    The first size of each tensor stays free where torch.export finds that the model lets it; every
    other size, the values of arguments that are no tensors, and train or eval mode are fixed as
    they were. Parameters that no pass touches keep their names and ties; `model` is left alone. A
    model that torch.export refuses is captured by torch.fx, which checks no sizes. Not to its
    advantage is a model optimized that has Hardshrink, Softshrink, huber_loss or smooth_l1_loss:
    export takes those apart.

    Raises TypeError for what is no module, ConfigError for an unknown pass, a secret among
    parameters or examples, a model that cannot be captured or that comes out different.
    """
    args, kwargs = tuple(examples), dict(named or {})
    chosen = _checked(model, args, kwargs, passes)
    with TRACING:  # also for the comparison, which draws from the generator that threads share
        program = capture(copy.deepcopy(model), args, kwargs)
        for name, run in PASSES.items():
            if name in chosen:
                run(program)
        optimized = assemble(program)
        admit_single_rows(model, optimized, args, kwargs)
        if verify:
            verify_equal(model, optimized, args, kwargs)
    return optimized


def _checked(
    model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], passes: Sequence[str] | None
) -> set[str]:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is of type {type(model).__name__}; it must be a torch.nn.Module")
    chosen = set(PASSES) if passes is None else {passes} if isinstance(passes, str) else set(passes)
    unknown = sorted(chosen - set(PASSES))
    if unknown:
        raise ConfigError(f"passes has {unknown}; allowed are {', '.join(PASSES)}")
    if not any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves((args, kwargs))):
        raise ConfigError("optimize() needs the arguments of one call as examples, plain tensors")
    tensors = [*model.parameters(), *model.buffers(), *pytree.tree_leaves((args, kwargs))]
    if any(isinstance(tensor, CrypTensor) for tensor in tensors):
        raise ConfigError(
            "a parameter, buffer or example is secret; optimize() takes a plain model and plain "
            "examples: call it before encrypt()"
        )
    return chosen
