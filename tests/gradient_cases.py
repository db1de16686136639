# SPDX-License-Identifier: MIT
"""Differentiable functions of the front end, with inputs for their gradients."""

import math

import torch
import torch.nn.functional as F
from agreement import encodable

torch.manual_seed(5)


X = encodable(torch.randn(6, 8) * 2)
Y = encodable(torch.randn(6, 8) * 2)
POSITIVE = encodable(torch.rand(6, 8) * 4 + 0.25)
CHANCES = encodable(torch.rand(6, 8) * 0.9 + 0.05)
LABELS = torch.tensor([0, 3, 7, 3, 5, -100])
IMAGE = encodable(torch.randn(2, 3, 6, 7))
QUERY = encodable(torch.randn(2, 3, 5, 4))
TIES = encodable([[1.0, 3, 3, 2], [0, 0, 0, 0]])
EDGES = encodable([[-3.0, 3, 0, 6, -1, 1, 0.5, -0.5]])


def in_place(function):
    return lambda x: function(x * 1.0)


ACTIVATIONS = {
    "relu": torch.relu,
    "relu in place": in_place(lambda z: F.relu(z, inplace=True)),
    "relu_": in_place(lambda z: z.relu_()),
    "relu6": lambda x: F.relu6(x * 3),
    "relu6 in place": in_place(lambda z: F.relu6(z, inplace=True)),
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 1.5),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.25),
    "leaky_relu in place": in_place(lambda z: F.leaky_relu(z, 0.25, True)),
    "clamp": lambda x: x.clamp(-1, 0.5),
    "clamp_": in_place(lambda z: z.clamp_(-1, 0.5)),
    "clamp min": lambda x: x.clamp(min=-0.5),
    "clamp max": lambda x: x.clamp(max=0.5),
    "abs": torch.abs,
    "threshold": lambda x: F.threshold(x, 0.5, -2.0),
    "softshrink": lambda x: F.softshrink(x, 0.5),
    "hardshrink": lambda x: F.hardshrink(x, 0.5),
    "hardswish": lambda x: F.hardswish(x * 2),
    "hardsigmoid": lambda x: F.hardsigmoid(x * 2),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "silu in place": in_place(lambda z: F.silu(z, inplace=True)),
    "mish": F.mish,
    "softplus": F.softplus,
    "softplus beta": lambda x: F.softplus(x, 2.0, 30),
    "logsigmoid": F.logsigmoid,
    "elu": F.elu,
    "elu alpha": lambda x: F.elu(x, 0.5),
    "elu in place": in_place(lambda z: F.elu(z, 0.5, True)),
    "celu": lambda x: F.celu(x, 2.0),
    "selu": F.selu,
    "glu": F.glu,
    "sin": torch.sin,
    "cos": torch.cos,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(0),
    "logsumexp": lambda x: x.logsumexp(1),
    "logsumexp keepdim": lambda x: x.logsumexp((0, 1), keepdim=True),
}
ACTIVATIONS = {name: ((X,), function) for name, function in ACTIVATIONS.items()}
ACTIVATIONS["prelu"] = ((X, Y[0]), F.prelu)
# At breakpoints the derivative is PyTorch's; relu and clamp_min are one-sided at 0 by choice.
ACTIVATIONS |= {
    f"{name} at its breakpoints": ((EDGES,), ACTIVATIONS[name][1])
    for name in (
        "relu6 in place",
        "hardtanh",
        "clamp",
        "clamp max",
        "abs",
        "threshold",
        "softshrink",
        "leaky_relu",
    )
}
POWERS = {
    "reciprocal": ((POSITIVE,), torch.reciprocal),
    "sqrt": ((POSITIVE,), torch.sqrt),
    "rsqrt": ((POSITIVE,), torch.rsqrt),
    "log": ((POSITIVE,), torch.log),
    "log1p": ((POSITIVE,), torch.log1p),
    "log2": ((POSITIVE,), torch.log2),
    "pow 3": ((X,), lambda x: x**3),
    "pow 0.75": ((POSITIVE,), lambda x: x**0.75),
    "pow -1": ((POSITIVE,), lambda x: x**-1),
    "2 ** x": ((X,), lambda x: 2**x),
    "pow of tensors": ((POSITIVE, X / 2), torch.pow),
    "div": ((X, POSITIVE), torch.div),
    "number / x": ((POSITIVE,), lambda x: 0.5 / x),
    "norm": ((X,), lambda x: x.norm(dim=1)),
    "vector_norm 1": ((X,), lambda x: torch.linalg.vector_norm(x, 1)),
    "norm inf": ((X,), lambda x: x.norm(math.inf)),
    "linalg.norm": ((X,), torch.linalg.norm),
    "normalize": ((X,), F.normalize),
    "cosine_similarity": ((X, Y), F.cosine_similarity),
    "pairwise_distance": ((X, Y), F.pairwise_distance),
    "x ** y": ((POSITIVE, X / 2), lambda x, y: x**y),
    "var": ((X,), lambda x: x.var(1)),
    "std": ((X,), lambda x: x.std()),
    "std dim": ((X,), lambda x: torch.std(x, 1, correction=0)),
    "prod": ((X / 2,), lambda x: x[:, :5].prod(1)),
    "prod of all": ((POSITIVE,), lambda x: (x[0] / 2).prod()),
    "cumsum": ((X,), lambda x: x.cumsum(1)),
}
NORMS = {
    "layer_norm": ((X, Y), lambda x, y: F.layer_norm(x, (8,), y[0], y[1])),
    "layer_norm plain": ((X,), lambda x: F.layer_norm(x, (6, 8))),
    "rms_norm": ((X, Y), lambda x, y: F.rms_norm(x, (8,), y[0], 1e-5)),
    "group_norm": (
        (X, Y),
        lambda x, y: F.group_norm(x.reshape(2, 4, 6), 2, y[0, :4], y[1, :4]),
    ),
    "batch_norm": (
        (X, Y),
        lambda x, y: F.batch_norm(x, None, None, y[0], y[1], training=True),
    ),
    "batch_norm image": (
        (IMAGE, Y),
        lambda x, y: F.batch_norm(x, None, None, y[0, :3], y[1, :3], training=True),
    ),
    "batch_norm eval": (
        (X, Y),
        lambda x, y: F.batch_norm(x, POSITIVE[0], POSITIVE[1], y[0], y[1]),
    ),
    "batch_norm by secret statistics": (
        (X, Y, POSITIVE),
        lambda x, y, v: F.batch_norm(x, v[0].detach(), v[1].detach(), y[0], y[1]),
    ),
    "instance_norm": ((IMAGE,), F.instance_norm),
    "attention": (
        (QUERY, QUERY.flip(0), IMAGE),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v[:, :, :5, :4]),
    ),
    "causal attention": (
        (QUERY, QUERY.flip(1)),
        lambda q, k: F.scaled_dot_product_attention(q, k, q, is_causal=True),
    ),
}
ORDER = {
    "max": ((X,), lambda x: x.max()),
    "min": ((X,), lambda x: torch.min(x)),
    "max dim": ((X,), lambda x: x.max(1).values),
    "min dim": ((X,), lambda x: x.min(0, True).values),
    "max ties": ((TIES,), lambda x: x.max(1).values),
    "amax": ((IMAGE,), lambda x: x.amax((1, 3))),
    "amin": ((IMAGE,), lambda x: torch.amin(x, (0, 2), True)),
    "maximum": ((X, Y), torch.maximum),
    "minimum": ((X, Y[0]), torch.minimum),
    "max of two": ((X, Y[:, :1]), lambda x, y: torch.max(x, y)),
    "sort": ((X,), lambda x: x.sort(1).values),
    "sort down": ((X,), lambda x: x.sort(0, True).values),
    "topk": ((X,), lambda x: x.topk(3).values),
    "topk smallest": ((X,), lambda x: x.topk(4, 0, largest=False).values),
    "topk 1": ((X,), lambda x: x.topk(1).values),
    "median": ((X,), lambda x: x.median()),
    "median dim": ((X,), lambda x: x.median(1).values),
    "kthvalue": ((X,), lambda x: x.kthvalue(3, 0).values),
    "max_pool1d": ((IMAGE,), lambda x: F.max_pool1d(x[0], 3, 2, 1)),
    "max_pool2d": ((IMAGE,), lambda x: F.max_pool2d(x, 2)),
    "max_pool2d overlapping": ((IMAGE,), lambda x: F.max_pool2d(x, 3, 2, 1)),
    "max_pool3d": ((IMAGE,), lambda x: F.max_pool3d(x, 2, 1)),
    "max_pool2d positions": (
        (IMAGE,),
        lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True)[0],
    ),
    "adaptive_max_pool2d": ((IMAGE,), lambda x: F.adaptive_max_pool2d(x, (4, 3))),
    "adaptive_max_pool1d": ((IMAGE,), lambda x: F.adaptive_max_pool1d(x[0], 4)),
    "adaptive_avg_pool2d": ((IMAGE,), lambda x: F.adaptive_avg_pool2d(x, (4, 3))),
    "adaptive_avg_pool3d": ((IMAGE,), lambda x: F.adaptive_avg_pool3d(x, (2, 4, 5))),
    "avg_pool2d uneven": (
        (IMAGE,),
        lambda x: F.avg_pool2d(x, (3, 2), 2, 1, True, count_include_pad=False),
    ),
    "avg_pool3d": ((IMAGE,), lambda x: F.avg_pool3d(x, 2)),
    "where": ((X, Y), lambda x, y: torch.where(x.detach() > 0.5, x, y)),
}
LOSSES = {
    "cross_entropy": ((X,), lambda x: F.cross_entropy(x, LABELS)),
    "cross_entropy weights": (
        (X,),
        lambda x: F.cross_entropy(x, LABELS, torch.arange(1, 9).to(x.dtype) / 4),
    ),
    "cross_entropy smoothed": ((X,), lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.1)),
    "cross_entropy shares": ((X,), lambda x: F.cross_entropy(x, Y.softmax(1))),
    "nll_loss": ((X,), lambda x: F.nll_loss(x, LABELS, reduction="none")),
    "nll_loss2d": (
        (X,),
        lambda x: F.nll_loss(x.reshape(2, 4, 3, 2), LABELS.abs().view(1, 3, 2).repeat(2, 1, 1) % 4),
    ),
    "bce": ((CHANCES,), lambda x: F.binary_cross_entropy(x, Y.sigmoid())),
    "bce_with_logits": ((X, CHANCES), F.binary_cross_entropy_with_logits),
    "bce_with_logits weights": (
        (X,),
        lambda x: F.binary_cross_entropy_with_logits(
            x, CHANCES, pos_weight=torch.full((8,), 2.5, dtype=x.dtype)
        ),
    ),
    "mse": ((X, Y), F.mse_loss),
    "mse sum": ((X, Y), lambda x, y: F.mse_loss(x, y, reduction="sum")),
    "l1": ((X, Y), F.l1_loss),
    "smooth_l1": ((X, Y), F.smooth_l1_loss),
    "huber": ((X, Y), lambda x, y: F.huber_loss(x, y, delta=2.0)),
    "kl_div": ((X,), lambda x: F.kl_div(x.log_softmax(1), CHANCES, reduction="batchmean")),
}
CASES = {**ACTIVATIONS, **POWERS, **NORMS, **ORDER, **LOSSES}
GROUPS = {
    "activations": ACTIVATIONS,
    "powers": POWERS,
    "norms": NORMS,
    "order": ORDER,
    "losses": LOSSES,
}
