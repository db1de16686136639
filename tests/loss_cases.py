# SPDX-License-Identifier: MIT
"""Losses of torch.nn with scores and targets."""

from __future__ import annotations

import torch
from module_case import Case, apart, bits, classes, positive, signs, unit, values
from torch import nn

LOSSES = {
    "l1": Case(nn.L1Loss, (apart(3, 4), apart(3, 4) + 1 / 64)),
    "mse": Case(nn.MSELoss, (values(3, 4), values(3, 4))),
    "mse sum": Case(lambda: nn.MSELoss(reduction="sum"), (values(3, 4), values(3, 4))),
    "mse none": Case(lambda: nn.MSELoss(reduction="none"), (values(3, 4), values(3, 4))),
    "cross entropy": Case(nn.CrossEntropyLoss, (values(3, 4), classes(4, 3))),
    "cross entropy, smoothed": Case(
        lambda: nn.CrossEntropyLoss(label_smoothing=0.1), (values(3, 4), classes(4, 3))
    ),
    "cross entropy, weighted": Case(
        nn.Identity,
        (values(3, 4, 2), classes(4, 3, 2)),
        lambda model, x, y: nn.functional.cross_entropy(
            x, y, torch.tensor([0.5, 1.0, 0.25, 2.0], dtype=torch.float64), ignore_index=1
        ),
    ),
    "cross entropy to probabilities": Case(
        nn.CrossEntropyLoss, (values(3, 4), unit(3, 4)), lambda m, x, y: m(x, y)
    ),
    "nll": Case(nn.NLLLoss, (values(3, 4, 2), classes(4, 3, 2))),
    "poisson nll": Case(nn.PoissonNLLLoss, (values(3, 4), positive(3, 4))),
    "poisson nll of rates": Case(
        lambda: nn.PoissonNLLLoss(log_input=False), (positive(3, 4), positive(3, 4))
    ),
    "poisson nll, full": Case(
        lambda: nn.PoissonNLLLoss(full=True),
        (values(3, 4), apart(3, 4).abs() + 1.5),
        lambda m, x, y: m(x, y.detach()),
    ),
    "gaussian nll": Case(
        nn.GaussianNLLLoss,
        (values(3, 4), values(3, 4), positive(3, 4)),
    ),
    "kl div": Case(
        lambda: nn.KLDivLoss(reduction="batchmean"),
        (values(3, 4), unit(3, 4)),
        lambda m, x, y: m(x, y.detach()),
    ),
    "kl div, log target": Case(
        lambda: nn.KLDivLoss(reduction="batchmean", log_target=True), (values(3, 4), values(3, 4))
    ),
    "bce": Case(nn.BCELoss, (unit(3, 4), bits(3, 4)), lambda m, x, y: m(x, y.detach())),
    "bce with logits": Case(nn.BCEWithLogitsLoss, (values(3, 4), bits(3, 4))),
    "margin ranking": Case(
        lambda: nn.MarginRankingLoss(0.5), (apart(6), apart(6) + 1 / 64, signs(6))
    ),
    "hinge embedding": Case(nn.HingeEmbeddingLoss, (apart(3, 4), signs(3, 4).long())),
    "hinge embedding, secret": Case(
        nn.HingeEmbeddingLoss, (apart(3, 4), signs(3, 4)), lambda m, x, y: m(x, y.detach())
    ),
    "multi label margin": Case(
        nn.MultiLabelMarginLoss, (values(2, 4), torch.tensor([[3, 0, -1, 1], [1, -1, 0, 2]]))
    ),
    "huber": Case(nn.HuberLoss, (values(3, 4), values(3, 4))),
    "smooth l1": Case(nn.SmoothL1Loss, (values(3, 4), values(3, 4))),
    "soft margin": Case(
        nn.SoftMarginLoss, (values(3, 4), signs(3, 4)), lambda m, x, y: m(x, y.detach())
    ),
    "multi label soft margin": Case(nn.MultiLabelSoftMarginLoss, (values(3, 4), bits(3, 4))),
    "cosine embedding": Case(
        lambda: nn.CosineEmbeddingLoss(0.1),
        (values(4, 5), values(4, 5), torch.tensor([1, -1, 1, -1])),
    ),
    "cosine embedding, secret": Case(
        lambda: nn.CosineEmbeddingLoss(0.1),
        (values(4, 5), values(4, 5), signs(4)),
        lambda m, x, y, t: m(x, y, t.detach()),
    ),
    "multi margin": Case(nn.MultiMarginLoss, (values(3, 4), classes(4, 3))),
    "multi margin squared": Case(lambda: nn.MultiMarginLoss(2), (values(3, 4), classes(4, 3))),
    "triplet margin": Case(nn.TripletMarginLoss, (values(3, 4), values(3, 4), values(3, 4))),
    "triplet margin, swapped": Case(
        lambda: nn.TripletMarginLoss(swap=True), (values(3, 4), values(3, 4), values(3, 4))
    ),
    "triplet margin with distance": Case(
        nn.TripletMarginWithDistanceLoss, (values(3, 4), values(3, 4), values(3, 4))
    ),
    "adaptive log softmax": Case(
        lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 6, [2, 4]), (values(3, 4), classes(6, 3))
    ),
}
