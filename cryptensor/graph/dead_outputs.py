# SPDX-License-Identifier: MIT
"""Results that nobody reads are not computed."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

from .program import Program, argument, aten, items, only_first

# The values without their positions. Dimension and keepdim are the same arguments.
_WITHOUT_INDICES = {
    aten.max_pool1d_with_indices.default: aten.max_pool1d.default,
    aten.max_pool2d_with_indices.default: aten.max_pool2d.default,
    aten.max_pool3d_with_indices.default: aten.max_pool3d.default,
    aten.max.dim: aten.amax.default,
    aten.min.dim: aten.amin.default,
}
_SPLITS = (aten.split.Tensor, aten.split_with_sizes.default)


def drop_dead_outputs(program: Program) -> None:
    """Branches that lead nowhere, positions of maxima, and pieces of a Linear that nobody reads.

    A Linear of which only some pieces of a split are read keeps the rows of those. Nothing is
    dropped of LSTM and GRU: their last states are by-products.
    """
    program.sweep()
    for node in program.calls(*_WITHOUT_INDICES):
        if only_first(node):
            (first,) = node.users
            node.target = _WITHOUT_INDICES[node.target]  # type: ignore[index]
            if node.target in (aten.amax.default, aten.amin.default):
                node.args = (node.args[0], [node.args[1]], *node.args[2:])
            node.meta = dict(first.meta)
            first.replace_all_uses_with(node)
            program.graph.erase_node(first)
    for split in program.calls(*_SPLITS):
        _narrow(program, split)
    program.sweep()


def _narrow(program: Program, split: fx.Node) -> None:
    layer = split.args[0]
    if not isinstance(layer, fx.Node) or layer.target is not aten.linear.default:
        return
    weight, bias = program.tensor(layer.args[1]), argument(layer, 2)
    if weight is None or not program.read_once(layer.args[1]) or len(layer.users) > 1:
        return
    dim: Any = argument(split, 2, 0)
    last = len(layer.meta["val"].shape) - 1 if "val" in layer.meta else None
    if dim not in (-1, last) or (bias is not None and not program.read_once(bias)):
        return
    rows = torch.arange(len(weight))
    pieces = rows.split(split.args[1])
    read = items(split)
    if len(read) == len(pieces) or sum(map(len, read.values())) != len(split.users):
        return
    kept = torch.cat([pieces[number] for number in sorted(read)])
    for old in filter(None, (layer.args[1], bias)):
        tensor = program.tensors.pop(str(old.target))
        with program.graph.inserting_before(layer):
            name = program.enter(str(old.target), tensor.detach()[kept], tensor)
            layer.replace_input_with(old, program.read(name))
    layer.meta.pop("val", None)
    sizes = [len(pieces[number]) for number in sorted(read)]
    split.target, split.args = aten.split_with_sizes.default, (layer, sizes, -1)
    for place, number in enumerate(sorted(read)):
        for item in read[number]:
            assert item.target is operator.getitem
            item.args = (split, place)
