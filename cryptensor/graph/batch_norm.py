# SPDX-License-Identifier: MIT
"""Batch normalisation in eval mode, computed into the weights of the layer before it."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

from .program import Program, argument, aten, sizes

_NORM = aten._native_batch_norm_legit_no_training.default
_FORWARD = {
    aten.conv1d.default,
    aten.conv2d.default,
    aten.conv3d.default,
    aten.conv1d.padding,
    aten.conv2d.padding,
    aten.conv3d.padding,
}
_TRANSPOSED = {
    aten.conv_transpose1d.default,
    aten.conv_transpose2d.input,
    aten.conv_transpose3d.input,
}
_GROUPS = 6  # the position of this argument in a transposed convolution


def fold_batch_norm(program: Program) -> None:
    """Folds BatchNorm behind Linear, Conv and ConvTranspose; saves a product for each.

    Not where somebody else reads the layer's output or its weights, nor in train mode.
    """
    for norm in program.calls(_NORM):
        layer = norm.args[0]
        if isinstance(layer, fx.Node) and _fits(program, layer, norm):
            _fold(program, layer, norm)
    program.sweep()


def _fits(program: Program, layer: fx.Node, norm: fx.Node) -> bool:
    if layer.target is aten.linear.default:
        # Dimension 1 is normalised, which is the output of a Linear for (N, C) alone.
        fits = len(sizes(layer) or ()) == 2
    else:
        fits = layer.target in _FORWARD | _TRANSPOSED
    bias = argument(layer, 2)
    statistics = all(a is None or program.tensor(a) is not None for a in norm.args[1:5])
    alone = len(layer.users) == 1 and not layer.kwargs and statistics
    return fits and alone and program.read_once(layer.args[1]) and _own(program, bias)


def _own(program: Program, bias: Any) -> bool:
    return bias is None or program.read_once(bias)


def _fold(program: Program, layer: fx.Node, norm: fx.Node) -> None:
    scale, offset = _affine(program, norm)
    weight = program.tensor(layer.args[1])
    assert weight is not None
    name = str(layer.args[1].target)  # type: ignore[union-attr]
    bias = argument(layer, 2)
    if layer.target in _TRANSPOSED:
        groups = argument(layer, _GROUPS, 1)
        factor = scale.reshape(groups, 1, -1, *[1] * (weight.dim() - 2))
        folded = (weight.detach().double().unflatten(0, (groups, -1)) * factor).flatten(0, 1)
    else:
        folded = weight.detach().double() * scale.reshape(-1, *[1] * (weight.dim() - 1))
    if bias is None:
        name_of_bias = name.removesuffix("weight") + "bias" if name.endswith("weight") else ""
        shift = offset
    else:
        name_of_bias = str(bias.target)
        old = program.tensor(bias)
        assert old is not None
        shift = old.detach().double() * scale + offset
    for old_name in (name, name_of_bias):
        program.tensors.pop(old_name, None)
    with program.graph.inserting_before(layer):
        new_weight = program.read(program.enter(name, folded, weight))
        new_bias = program.read(program.enter(name_of_bias or f"{name}_bias", shift, weight))
    layer.args = (layer.args[0], new_weight, new_bias, *layer.args[3:])
    for result in list(norm.users):
        if result.target is operator.getitem and result.args[1] == 0:
            result.replace_all_uses_with(layer)


def _affine(program: Program, norm: fx.Node) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and offset of each channel in float64."""
    weight, bias, mean, variance = (
        None if tensor is None else tensor.detach().double()
        for tensor in map(program.tensor, norm.args[1:5])
    )
    assert mean is not None and variance is not None
    scale = (variance + float(norm.args[6])).rsqrt()  # type: ignore[arg-type]
    scale = scale if weight is None else scale * weight
    offset = -mean * scale
    return scale, offset if bias is None else offset + bias
