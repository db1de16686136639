# SPDX-License-Identifier: MIT
"""The functions of the front end with inputs over their range and the errors that they declare."""

import math

import torch
import torch.nn.functional as F
from agreement import UNIT, Case, encodable

torch.manual_seed(4)
BOUND = 2.0**-11


# Breakpoints and zero with their neighbours, and both signs on a logarithmic scale.
CORNERS = [c + d * UNIT for c in (-8, -6, -3, -1, -0.5, 0, 0.5, 1, 3, 6, 8) for d in (-1, 0, 1)]
WIDE = encodable([*CORNERS, *(s * 1.3**k for s in (-1, 1) for k in range(-38, 38))])
NARROW = encodable(torch.linspace(-9, 9, 200).double())
POSITIVE = encodable([2.0**-11 * 1.2**k for k in range(150)])
MATRIX = encodable(torch.randn(7, 12).double() * 3)
OTHER = encodable(torch.randn(7, 12).double() * 3)
OFFSET = encodable(torch.randn(2, 768).double() + 20)
TIES = encodable([[1, 3, 3, 2], [0, 0, 0, 0], [-1, -5, -1, -2]])


def elementwise(inputs, functions, bound, relative=0.0, units=0.0):
    return {n: Case((inputs,), f, bound, relative, units) for n, f in functions.items()}


PIECEWISE = elementwise(
    WIDE,
    {
        "relu": torch.relu,
        "relu6": F.relu6,
        "hardtanh": lambda x: F.hardtanh(x, -0.5, 3),
        "clamp": lambda x: x.clamp(-1, 0.5),
        "clamp crossed": lambda x: x.clamp(1, -1),
        "clamp min": lambda x: x.clamp(min=-3),
        "clamp max": lambda x: x.clamp(max=0.5),
        "abs": torch.abs,
        "sign": torch.sign,
        "threshold": lambda x: F.threshold(x, 0.5, -2.0),
        "softshrink": lambda x: F.softshrink(x, 0.5),
        "hardshrink": lambda x: F.hardshrink(x, 0.5),
        "eq": lambda x: x == 0.5,
        "ne": lambda x: x != 0,
        "gt": lambda x: x > -3,
        "ge": lambda x: x >= 8,
        "lt": lambda x: x < 0,
        "le": lambda x: x <= 0.5,
        "where": lambda x: torch.where(x > 0.5, x, -1.0),
    },
    UNIT,
)
PIECEWISE |= elementwise(
    WIDE.clamp(-4000, 4000),
    {
        "leaky_relu": lambda x: F.leaky_relu(x, 0.25),
        "hardswish": F.hardswish,
        "hardsigmoid": F.hardsigmoid,
        "prelu": lambda x: F.prelu(x, torch.tensor(0.25, dtype=torch.float64)),
    },
    BOUND,
)
SMOOTH = elementwise(
    torch.cat([NARROW, WIDE]),
    {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "erf": torch.erf,
        "gelu": F.gelu,
        "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
        "silu": F.silu,
        "softplus": F.softplus,
        "mish": F.mish,
        "logsigmoid": F.logsigmoid,
        "elu": F.elu,
        "celu": lambda x: F.celu(x, 1.0),
    },
    BOUND,
)
SMOOTH |= elementwise(
    NARROW,
    {
        "elu alpha": lambda x: F.elu(x, 0.5),
        "selu": F.selu,
        "softplus beta": lambda x: F.softplus(x, 2.0, 30),
        "softsign": F.softsign,
        "glu": lambda x: F.glu(x.reshape(-1, 2)) / 9,
        "sin": torch.sin,
        "cos": lambda x: torch.cos(x * 11),
    },
    2 * BOUND,
)
POWERS = elementwise(
    POSITIVE,
    {
        "log": torch.log,
        "log2": lambda x: torch.log2(x) / 2,
        "log10": torch.log10,
        "log1p": torch.log1p,
        "sqrt": torch.sqrt,
        "rsqrt": torch.rsqrt,
        "reciprocal": torch.reciprocal,
        "pow 0.75": lambda x: x.clamp(max=1e4) ** 0.75,
        "pow -0.5": lambda x: x**-0.5,
    },
    0,
    BOUND,
    2,
)
POWERS |= elementwise(
    NARROW,
    {
        "exp": torch.exp,
        "exp2": torch.exp2,
        "expm1": torch.expm1,
        "2 ** x": lambda x: 2**x,
        "pow 3": lambda x: x**3,
    },
    8 * UNIT,
    2 * BOUND,
    2,
)
POWERS |= {
    "reciprocal of both signs": ((NARROW + 20 * NARROW.sign(),), torch.reciprocal, 0, BOUND, 2),
    "pow -2": ((NARROW[:90] - 0.5,), lambda x: x**-2, 0, 2 * BOUND, 8),
    "div": ((MATRIX, OTHER.abs() + 0.25), torch.div, 0, 2 * BOUND, 40),
    "number / x": ((OTHER.abs() + 0.25,), lambda x: 3 / x, 0, 2 * BOUND, 8),
    "pow of tensors": ((OTHER.abs() + 0.25, MATRIX / 4), torch.pow, 0, 2.0**-8, 8),
    "xlogy": ((MATRIX, OTHER.abs() + 0.25), torch.xlogy, 8 * BOUND, BOUND, 2),
    "vector_norm": ((MATRIX,), lambda x: torch.linalg.vector_norm(x, dim=1), 0, BOUND, 2),
    "norm 1": ((MATRIX,), lambda x: x.norm(1), 84 * UNIT, 0, 0),
    "norm inf": ((MATRIX,), lambda x: torch.linalg.vector_norm(x, math.inf), UNIT, 0, 0),
    "normalize": ((MATRIX,), F.normalize, BOUND, 0, 0),
    "cosine_similarity": ((MATRIX, OTHER), F.cosine_similarity, 4 * BOUND, 0, 0),
}


def layer_norm(x, y):
    return F.layer_norm(x, (12,), y[0], y[1])


REDUCTIONS = {
    "softmax": ((MATRIX,), lambda x: x.softmax(1), BOUND, 0, 0),
    "softmax dim 0": ((MATRIX,), lambda x: x.softmax(0), BOUND, 0, 0),
    "log_softmax": ((MATRIX,), lambda x: x.log_softmax(-1), 2 * BOUND, 0, 0),
    "logsumexp": ((MATRIX,), lambda x: x.logsumexp(1), 2 * BOUND, 0, 0),
    "logsumexp dims": ((MATRIX,), lambda x: x.logsumexp((0, 1), True), 2 * BOUND, 0, 0),
    "masked softmax": (
        (MATRIX,),
        lambda x: x.masked_fill(OTHER > 2, -math.inf).softmax(1),
        BOUND,
        0,
        0,
    ),
    "layer_norm": ((MATRIX, OTHER), layer_norm, 2.0**-8, 0, 0),
    "layer_norm with an offset": ((OFFSET,), lambda x: F.layer_norm(x, (768,)), 2.0**-9, 0, 0),
    "layer_norm two dims": ((MATRIX,), lambda x: F.layer_norm(x, (7, 12)), 2.0**-9, 0, 0),
    "rms_norm": ((MATRIX,), lambda x: F.rms_norm(x, (12,), eps=1e-5), 2.0**-9, 0, 0),
    "group_norm": (
        (MATRIX, OTHER),
        lambda x, y: F.group_norm(x[:6].reshape(3, 4, 6), 2, y[0, :4], y[1, :4]),
        2.0**-8,
        0,
        0,
    ),
    "instance_norm": (
        (MATRIX,),
        lambda x: F.instance_norm(x[:6].reshape(3, 4, 6)),
        2.0**-9,
        0,
        0,
    ),
    "batch_norm": (
        (MATRIX, OTHER),
        lambda x, y: F.batch_norm(x, None, None, y[0], y[1], training=True),
        2.0**-8,
        0,
        0,
    ),
    "batch_norm by secret statistics": (
        (MATRIX, OTHER.abs() + 1),
        lambda x, y: F.batch_norm(x, y[0].detach(), y[1].detach(), y[2], y[3]),
        2.0**-7,
        0,
        0,
    ),
    "mean of many": ((OFFSET,), lambda x: x.mean(1), 4 * UNIT, 2.0**-14, 0),
    "var": ((MATRIX,), lambda x: x.var(1), 2.0**-11, 0, 0),
    "var biased": ((MATRIX,), lambda x: x.var((0, 1), correction=0, keepdim=True), BOUND, 0, 0),
    "std": ((MATRIX,), lambda x: x.std(), 2.0**-10, 0, 0),
    "var_mean": ((MATRIX,), lambda x: torch.var_mean(x, 0)[1], BOUND, 0, 0),
    "prod": ((MATRIX / 3,), lambda x: x[:, :5].prod(1), 2.0**-9, 2.0**-11, 0),
    "prod of all": ((OTHER.abs() / 4 + 0.5,), lambda x: x[:2, :5].prod(), 0, 2.0**-9, 8),
    "cumsum": ((MATRIX,), lambda x: x.cumsum(1), 12 * UNIT, 0, 0),
}
LABELS = torch.tensor([0, 3, 11, 3, 5, 7, -100])
SHARES = OTHER.softmax(1)
CHANCES = torch.sigmoid(MATRIX / 4)
LOSSES = {
    "cross_entropy": ((MATRIX,), lambda x: F.cross_entropy(x, LABELS)),
    "cross_entropy sum": ((MATRIX,), lambda x: F.cross_entropy(x, LABELS, reduction="sum") / 8),
    "cross_entropy weights": (
        (MATRIX,),
        lambda x: F.cross_entropy(x, LABELS, torch.arange(1, 13).to(x.dtype)),
    ),
    "cross_entropy smoothed": (
        (MATRIX,),
        lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.1),
    ),
    "cross_entropy image": (
        (MATRIX,),
        lambda x: F.cross_entropy(
            x.reshape(1, 7, 3, 4), LABELS[:6].clamp(0, 6).view(1, 3, 2)[:, :, [0, 1, 0, 1]]
        ),
    ),
    "cross_entropy shares": ((MATRIX, SHARES), F.cross_entropy),
    "nll_loss": ((MATRIX,), lambda x: F.nll_loss(x, LABELS, reduction="none")),
    "bce": ((CHANCES, SHARES), F.binary_cross_entropy),
    "bce_with_logits": ((MATRIX, SHARES), F.binary_cross_entropy_with_logits),
    "bce_with_logits weights": (
        (MATRIX, SHARES),
        lambda x, t: F.binary_cross_entropy_with_logits(
            x, t, pos_weight=torch.full((12,), 2.5, dtype=x.dtype)
        ),
    ),
    "mse": ((MATRIX, OTHER), F.mse_loss),
    "l1": ((MATRIX, OTHER), F.l1_loss),
    "smooth_l1": ((MATRIX, OTHER), F.smooth_l1_loss),
    "smooth_l1 beta": ((MATRIX, OTHER), lambda x, y: F.smooth_l1_loss(x, y, beta=0.25)),
    "huber": ((MATRIX, OTHER), lambda x, y: F.huber_loss(x, y, delta=2.0)),
    "kl_div": ((MATRIX, SHARES), lambda x, t: F.kl_div(x.log_softmax(1), t, reduction="batchmean")),
}
LOSSES = {name: Case(*case, 2.0**-9, 2.0**-11) for name, case in LOSSES.items()}

VOLUME = encodable(torch.randn(2, 3, 6, 7).double())
ORDER = {
    "max": ((MATRIX,), lambda x: x.max()),
    "min": ((MATRIX,), lambda x: x.min()),
    "max dim": ((TIES,), lambda x: torch.stack(tuple(v.to(x.dtype) for v in x.max(1)))),
    "min dim": ((TIES,), lambda x: torch.stack(tuple(v.to(x.dtype) for v in x.min(1, True)))),
    "argmax": ((MATRIX,), lambda x: x.argmax()),
    "argmax dim": ((TIES,), lambda x: x.argmax(1)),
    "argmin": ((MATRIX,), lambda x: x.argmin(0, keepdim=True)),
    "amax": ((VOLUME,), lambda x: x.amax((1, 3))),
    "amin": ((VOLUME,), lambda x: x.amin((0, 2), True)),
    "aminmax": ((MATRIX,), lambda x: torch.stack(tuple(torch.aminmax(x)))),
    "maximum": ((MATRIX, OTHER), torch.maximum),
    "minimum": ((MATRIX, OTHER), torch.minimum),
    "sort": ((MATRIX,), lambda x: x.sort(1).values),
    "sort down": ((MATRIX,), lambda x: x.sort(0, descending=True)[1]),
    "sort stable": ((TIES,), lambda x: torch.sort(x, stable=True, dim=1)[1]),
    "sort stable down": (
        (TIES,),
        lambda x: torch.sort(x, stable=True, dim=1, descending=True)[1],
    ),
    "argsort": ((MATRIX,), lambda x: x.argsort(1)),
    "msort": ((MATRIX,), torch.msort),
    "topk": ((MATRIX,), lambda x: x.topk(3).values),
    "topk smallest": ((MATRIX,), lambda x: x.topk(4, 0, largest=False)[1]),
    "topk 1": ((MATRIX,), lambda x: x.topk(1)[1]),
    "median": ((MATRIX,), lambda x: x.median()),
    "median dim": ((MATRIX,), lambda x: x.median(1).values),
    "kthvalue": ((MATRIX,), lambda x: x.kthvalue(5, 0, True).values),
    "max_pool1d": ((VOLUME,), lambda x: F.max_pool1d(x[0], 3, 2, 1)),
    "max_pool2d": ((VOLUME,), lambda x: F.max_pool2d(x, 2)),
    "max_pool3d": ((VOLUME,), lambda x: F.max_pool3d(x, 2, 1)),
    "max_pool2d positions": ((VOLUME,), lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True)[1]),
    "max_pool1d positions": ((VOLUME,), lambda x: F.max_pool1d(x[0], 3, return_indices=True)[1]),
    "adaptive_max_pool2d": ((VOLUME,), lambda x: F.adaptive_max_pool2d(x, (4, 3))),
    "adaptive_max_pool1d": ((VOLUME,), lambda x: F.adaptive_max_pool1d(x[0], 4)),
    "adaptive_max_pool3d": ((VOLUME,), lambda x: F.adaptive_max_pool3d(x, (2, 4, 4))),
    "adaptive positions": (
        (VOLUME,),
        lambda x: F.adaptive_max_pool2d(x, (4, 3), return_indices=True)[1],
    ),
}
ORDER = {name: Case(*case, UNIT) for name, case in ORDER.items()}
AVERAGES = {
    "adaptive_avg_pool2d": ((VOLUME,), lambda x: F.adaptive_avg_pool2d(x, (4, 3))),
    "adaptive_avg_pool1d": ((VOLUME,), lambda x: F.adaptive_avg_pool1d(x[0], 4)),
    "adaptive_avg_pool3d": ((VOLUME,), lambda x: F.adaptive_avg_pool3d(x, (2, 4, 5))),
    "avg_pool2d ceil": ((VOLUME,), lambda x: F.avg_pool2d(x, 2, 2, 1, True)),
    "avg_pool2d uneven": (
        (VOLUME,),
        lambda x: F.avg_pool2d(x, (3, 2), 2, 1, True, count_include_pad=False),
    ),
    "avg_pool2d divisor": ((VOLUME,), lambda x: F.avg_pool2d(x, 3, divisor_override=5)),
    "avg_pool3d": ((VOLUME,), lambda x: F.avg_pool3d(x, 2)),
}
AVERAGES = {name: Case(*case, 2.0**-12) for name, case in AVERAGES.items()}
GROUPS = {
    "piecewise": PIECEWISE,
    "smooth": SMOOTH,
    "powers": POWERS,
    "reductions": REDUCTIONS,
    "losses": LOSSES,
    "order": ORDER,
    "averages": AVERAGES,
}
GROUPS = {
    group: {name: Case(*case) for name, case in cases.items()} for group, cases in GROUPS.items()
}
