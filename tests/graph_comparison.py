# SPDX-License-Identifier: MIT
"""Models before and after optimize(): the same results, and what each costs in secret."""

import re

import torch
import torch.nn.functional as F
from torch import nn

import cryptensor as ct
from cryptensor.graph.optimization import PASSES
from cryptensor.tensor import CrypTensor

ALL = tuple(PASSES)


def with_statistics(model):
    """Running statistics and affine weights as after training."""
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            norm.weight.data.uniform_(0.5, 1.5)
            norm.bias.data.normal_()
    return model.eval()


class Of(nn.Module):
    """A forward pass over named layers, in one line."""

    def __init__(self, run, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.run = run

    def forward(self, x):
        return self.run(self, x)


def party(models, x):
    """Results, and what each model costs: rounds, bytes online, bytes of the dealer."""
    results, costs = [], []
    for model in models:
        secret_model, secret = ct.encrypt(model, src=0), ct.cryptensor(x, src=1)
        ct.reset_stats()
        with torch.inference_mode():
            result = secret_model(secret)
        total = ct.stats().total()
        costs.append((total.rounds, total.bytes_sent, total.dealer_bytes))
        found = [t for t in torch.utils._pytree.tree_leaves(result) if isinstance(t, CrypTensor)]
        results.append([t.reveal() for t in found])
    return results, costs


def compared(model, x, passes=ALL, tolerance=2.0**-11):
    """(rounds, bytes) of the model and of the optimized one, after a check of both results."""
    optimized = ct.optimize(model, x, passes=passes)
    with torch.no_grad():
        want = torch.utils._pytree.tree_leaves(model(x))
        for a, b in zip(want, torch.utils._pytree.tree_leaves(optimized(x)), strict=True):
            torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)
    results, costs = zip(*ct.simulate(party, [model, optimized], x, parties=2), strict=True)
    for found in results[0]:
        assert len(found) == len(want)
        for a, b in zip(want, found, strict=True):
            assert float((a - b).abs().max()) < tolerance
    return [(costs[0][i][0], costs[0][i][1] + costs[1][i][1], costs[1][i][2]) for i in range(2)]


def operations(module):
    """The forward pass without the names of its variables."""
    return re.findall(r"torch\.[\w.]+|truncated\(|self\.\w+\(", module.code)


def attention(m, x):
    return F.scaled_dot_product_attention(m.q(x), m.k(x), m.v(x))
