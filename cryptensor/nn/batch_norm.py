# SPDX-License-Identifier: MIT
"""Batch normalisation leaves a model before it is encrypted.

In eval mode it is a scale and an offset per channel, which the owner of the weights computes in
float64. Where it follows a Linear or Conv it is folded into that layer and costs nothing at all;
elsewhere it keeps one product. The structure decides, never a value, so that all parties end up
with the same modules.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from ..errors import ShapeError
from .tracing import call_graph

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass
class Plan:
    """What absorb() decided, by the ids of tensors of the model.

    exact: float64 values to encode instead of a parameter's own float32 ones.
    constants: buffers that hold the same public numbers at every party.
    """

    exact: dict[int, torch.Tensor] = field(default_factory=dict)
    constants: set[int] = field(default_factory=set)


class FoldedBatchNorm(nn.Module):
    """What stands in for a batch normalisation whose scale and offset the layer before it has.

    It passes its input on. The number of dimensions is checked because BatchNorm1d normalises
    dimension 1, which is the output of a Linear only for inputs of shape (N, C).
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dim() != self.dims:
            raise ShapeError(
                f"a folded batch normalisation got {x.dim()} dimensions; it must be {self.dims}: "
                "encrypt the model with the layer before it and the normalisation kept apart"
            )
        return x

    def extra_repr(self) -> str:
        return f"dims={self.dims}"


def absorb(model: nn.Module, compute: bool) -> Plan:
    """Folds or prepares every batch normalisation in eval mode; changes `model`.

    compute: True at the owner of the weights, whose values are read; elsewhere only the
      structure changes.
    """
    plan = Plan()
    for layer, norm in _pairs(model):
        if layer.bias is None:
            layer.bias = nn.Parameter(layer.weight.detach().new_zeros(norm.num_features))
        if compute:
            _fold(layer, norm, plan.exact)
        _replace(model, norm, FoldedBatchNorm(layer.weight.dim()))
    for norm in model.modules():
        if type(norm) in _NORMS and _is_constant(norm):
            _prepare(norm, compute, plan)
    return plan


def _affine(norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and offset of each channel in float64."""
    scale = (norm.running_var.detach().double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    offset = -norm.running_mean.detach().double() * scale
    if norm.bias is not None:
        offset = offset + norm.bias.detach().double()
    return scale, offset


def _fold(layer: Any, norm: Any, exact: dict[int, torch.Tensor]) -> None:
    scale, offset = _affine(norm)
    weight = exact.get(id(layer.weight), layer.weight.detach().double())
    bias = exact.get(id(layer.bias), layer.bias.detach().double())
    exact[id(layer.weight)] = weight * scale.reshape(-1, *[1] * (weight.dim() - 1))
    exact[id(layer.bias)] = bias * scale + offset


def _prepare(norm: Any, compute: bool, plan: Plan) -> None:
    """Statistics of mean 0 and variance 1 that are public; the scale moves into the weight."""
    affine = _affine(norm) if compute else None
    like = norm.running_var.detach()
    for name in ("weight", "bias"):
        if getattr(norm, name) is None:
            setattr(norm, name, nn.Parameter(torch.zeros_like(like), requires_grad=False))
    if affine is not None:
        plan.exact[id(norm.weight)], plan.exact[id(norm.bias)] = affine
    norm.running_mean = torch.zeros(like.shape, dtype=like.dtype)
    norm.running_var = torch.full(like.shape, 1.0 - norm.eps, dtype=like.dtype)
    plan.constants |= {id(norm.running_mean), id(norm.running_var)}


def _is_constant(norm: Any) -> bool:
    return not norm.training and norm.running_mean is not None


def _pairs(model: nn.Module) -> list[tuple[Any, Any]]:
    """(layer, normalisation) where the normalisation is the only one to see the layer's output."""
    modules = Counter(id(m) for _, m in model.named_modules(remove_duplicate=False))
    parameters = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    found = []
    for layer, norm in _neighbours(model):
        if type(layer) not in _LAYERS or type(norm) not in _NORMS or not _is_constant(norm):
            continue
        alone = modules[id(layer)] == 1 and modules[id(norm)] == 1
        untied = all(parameters[id(p)] == 1 for p in layer.parameters())
        if alone and untied and layer.weight.shape[0] == norm.num_features:
            found.append((layer, norm))
    return found


def _neighbours(model: nn.Module) -> list[tuple[Any, Any]]:
    """Modules one of which feeds only the other, by tracing the forward pass.

    A model that cannot be traced (its control flow looks at values) is searched for neighbours
    in nn.Sequential instead.
    """
    try:
        graph = call_graph(model)
    except Exception:
        return [
            pair
            for sequential in model.modules()
            if type(sequential) is nn.Sequential
            for pair in zip(list(sequential)[:-1], list(sequential)[1:], strict=True)
        ]
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    found = []
    for node in graph.nodes:
        before = node.args[0] if node.args else None
        if node.op != "call_module" or not isinstance(before, fx.Node):
            continue
        if before.op == "call_module" and len(before.users) == 1:
            if calls[node.target] == 1 and calls[before.target] == 1:
                pair = (str(before.target), str(node.target))
                found.append((model.get_submodule(pair[0]), model.get_submodule(pair[1])))
    return found


def _replace(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in model.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)
                return
