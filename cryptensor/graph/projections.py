# SPDX-License-Identifier: MIT
"""Products of one tensor with several weights become one product with the weights side by side.

The tensor then goes to the owner of the weights once instead of once for each, in one round; and
the same activation behind all of them is one, in the rounds of one.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import torch
from torch import fx

from .program import Program, argument, aten


class _Form(NamedTuple):
    """Where an operation has its tensor, weight and bias, and which dimensions are its outputs."""

    value: int
    weight: int
    bias: int | None
    axis: int  # of the weight
    result: int  # of the result


_LINEAR = {
    aten.linear.default: _Form(0, 1, 2, 0, -1),
    aten.matmul.default: _Form(0, 1, None, 1, -1),
    aten.mm.default: _Form(0, 1, None, 1, -1),
    aten.addmm.default: _Form(1, 2, 0, 1, -1),
}
_CONVOLUTION = {
    getattr(aten, f"conv{n}d").default: _Form(0, 1, 2, 0, -1 - n) for n in (1, 2, 3)
} | {getattr(aten, f"conv{n}d").padding: _Form(0, 1, 2, 0, -1 - n) for n in (1, 2, 3)}
_FORMS = _LINEAR | _CONVOLUTION
_GROUPS = 6  # the position of this argument in a convolution

# Of one tensor, element by element.
_ACTIVATIONS = {
    getattr(aten, name).default
    for name in (
        "relu relu6 sigmoid tanh gelu silu mish elu celu selu leaky_relu hardtanh hardswish "
        "hardsigmoid softplus exp log abs clamp clamp_min clamp_max"
    ).split()
}


def merge_projections(program: Program) -> None:
    """Merges Linear, matmul and addmm by parameters, and Conv of one geometry, on one tensor.

    Not where a weight is tied or read by another operation, nor for grouped convolutions.
    """
    if program.mutates:
        return
    groups: dict[Any, list[fx.Node]] = {}
    for node in program.calls(*_FORMS):
        key = _key(program, node)
        if key is not None:
            groups.setdefault(key, []).append(node)
    for nodes in groups.values():
        if len(nodes) > 1:
            parts: Any = _merge(program, nodes)
            while parts is not None:
                parts = _share_activation(program, parts)
    program.sweep()


def _key(program: Program, node: fx.Node) -> Any:
    """What has to be equal for two products to be one; None for one that stays alone."""
    form = _FORMS[node.target]
    weight = program.tensor(node.args[form.weight])
    bias = None if form.bias is None else argument(node, form.bias)
    if weight is None or node.kwargs or not program.read_once(node.args[form.weight]):
        return None
    if bias is not None and (not program.read_once(bias) or program.tensor(bias).dim() != 1):  # type: ignore[union-attr]
        return None
    matrix = weight.dim() == 2 or node.target in _CONVOLUTION
    if not isinstance(weight, torch.nn.Parameter) or not matrix:
        return None
    settings: list[Any] = list(node.args[3:]) if node.target in _CONVOLUTION else []
    if node.target in _CONVOLUTION:
        if argument(node, _GROUPS, 1) != 1:
            return None
        n = weight.dim() - 2
        defaults = [[1] * n, [0] * n, [1] * n, 1]
        settings += defaults[len(settings) :]
        settings = [[s] * n if isinstance(s, int) else s for s in settings[:3]]
    sizes = list(weight.shape)
    del sizes[form.axis]
    traits = (weight.dtype, weight.requires_grad, weight.dim())
    return node.target, node.args[form.value], repr(settings), tuple(sizes), traits


def _merge(program: Program, nodes: list[fx.Node]) -> fx.Node:
    """One product for all; returns its split, whose items stand for the results."""
    first = nodes[0]
    form = _FORMS[first.target]
    weights = [program.tensor(node.args[form.weight]) for node in nodes]
    widths = [w.shape[form.axis] for w in weights]  # type: ignore[union-attr]
    merged = torch.cat([w.detach() for w in weights], form.axis)  # type: ignore[union-attr]
    biases = [None if form.bias is None else argument(node, form.bias) for node in nodes]
    names = [str(node.args[form.weight].target) for node in nodes]
    name = _joint_name(names)
    with program.graph.inserting_before(first):
        args = list(first.args)
        args[form.weight] = program.read(program.enter(name, merged, weights[0]))  # type: ignore[arg-type]
        if any(bias is not None for bias in biases):
            zeros = [merged.new_zeros(width) for width in widths]
            parts = [
                zero if bias is None else program.tensor(bias).detach()  # type: ignore[union-attr]
                for bias, zero in zip(biases, zeros, strict=True)
            ]
            stem = name.removesuffix("weight") if name.endswith("weight") else f"{name}_"
            entered = program.enter(f"{stem}bias", torch.cat(parts), weights[0])  # type: ignore[arg-type]
            assert form.bias is not None
            args[form.bias : form.bias + 1] = [program.read(entered)]
        wide = program.graph.call_function(first.target, tuple(args))  # type: ignore[arg-type]
        split = program.graph.call_function(
            aten.split_with_sizes.default, (wide, widths, form.result)
        )
        pieces = [
            program.graph.call_function(operator.getitem, (split, number))
            for number in range(len(nodes))
        ]
    for node, piece in zip(nodes, pieces, strict=True):
        piece.meta = {key: node.meta[key] for key in ("val",) if key in node.meta}
        node.replace_all_uses_with(piece)
        program.graph.erase_node(node)
    return split


def _share_activation(program: Program, split: fx.Node) -> fx.Node | None:
    """The same activation on all pieces becomes one before the split; None where they differ."""
    pieces = sorted(split.users, key=lambda piece: piece.args[1])  # type: ignore[arg-type,return-value]
    followers = [next(iter(piece.users)) for piece in pieces if len(piece.users) == 1]
    if len(followers) < len(pieces) or followers[0].target not in _ACTIVATIONS:
        return None
    kinds = {(f.target, repr(f.args[1:]), repr(f.kwargs)) for f in followers}
    settings = (*followers[0].args[1:], *followers[0].kwargs.values())
    if len(kinds) > 1 or any(isinstance(s, fx.Node) for s in settings):
        return None
    layers = [program.origins.get(f.meta.get("layer", "")) for f in followers]
    # A declared range belongs to one layer.
    if any(layer is not None and layer._forward_pre_hooks for layer in layers):
        return None
    first = followers[0]
    with program.graph.inserting_before(split):
        target: Any = first.target
        arguments = (split.args[0], *first.args[1:])
        together = program.graph.call_function(target, arguments, dict(first.kwargs))
    together.meta = {key: first.meta[key] for key in ("layer",) if key in first.meta}
    split.replace_input_with(split.args[0], together)  # type: ignore[arg-type]
    for piece, follower in zip(pieces, followers, strict=True):
        follower.replace_all_uses_with(piece)
        program.graph.erase_node(follower)
    return split


def _joint_name(names: list[str]) -> str:
    """a.query.weight and a.key.weight become a.query_key.weight."""
    split = [name.split(".") for name in names]
    if len({len(parts) for parts in split}) > 1 or len(split[0]) < 2:
        return "_".join(name.replace(".", "_") for name in names)
    common = 0
    while common < len(split[0]) - 2 and len({parts[common] for parts in split}) == 1:
        common += 1
    middle = ["_".join(parts[common:-1]) for parts in split]
    return ".".join([*split[0][:common], "_".join(middle), split[0][-1]])
