# SPDX-License-Identifier: MIT
"""PyTorch's own autograd on secrets: gradients of linear operations and of relu."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from cryptensor import _C
from cryptensor.data import to_tensor
from cryptensor.tensor import CrypTensor

torch.manual_seed(1)
X, Y = torch.randn(4, 6), torch.randn(4, 6)
IMAGE, KERNEL = torch.randn(2, 4, 7, 7), torch.randn(6, 2, 3, 3)


def secret(data, engine):
    return CrypTensor(engine.input(to_tensor(data), 0), engine).requires_grad_()


# 32 units of 2^-16: a gradient here adds up at most 54 inputs, each rounded by half a unit, and a
# few truncations of one unit.
BOUND = 2.0**-11


def gradients_agree(operation, a, b):
    engine = _C.plaintext_engine()
    plain = [a.clone().requires_grad_(), b.clone().requires_grad_()]
    hidden = [secret(a, engine), secret(b, engine)]
    operation(*plain).sum().backward()
    operation(*hidden).sum().backward()
    for p, h in zip(plain, hidden, strict=True):
        if p.grad is None:
            assert h.grad is None
            continue
        assert h.grad.shape == p.grad.shape
        assert (h.grad.reveal() - p.grad).abs().max() < BOUND


POINTWISE = {
    "add": lambda a, b: a + b,
    "sub broadcast": lambda a, b: a - b[0],
    "mul": lambda a, b: a * b,
    "mul public": lambda a, b: a * Y + b * 2.5,
    "div public": lambda a, b: a / 4 + b,
    "square": lambda a, b: a.square() + b**3,
    "mean": lambda a, b: a.mean(1) * b.mean(),
    "matmul": lambda a, b: a @ b.t(),
    "linear": lambda a, b: F.linear(a, b, b[:, 0]),
    "relu": lambda a, b: (a @ b.t()).relu(),
    "leaky_relu": lambda a, b: F.leaky_relu(a * b),
    "abs": lambda a, b: a.abs() * b,
    "clamp": lambda a, b: a.clamp(-0.5, 0.5) * b,
    "relu6": lambda a, b: F.relu6(a * 10) * b,
    "where": lambda a, b: torch.where(a > b, a * 2, b),
    "cat": lambda a, b: torch.cat([a, b], 1)[:, 3:9] ** 2,
    "stack": lambda a, b: torch.stack([a, b])[1] * a,
    "index": lambda a, b: a[[0, 1, 1]] * b[[2, 2, 3]],
    "slice": lambda a, b: a[1:3, ::2] * b[1:3, 1::2],
    "embedding": lambda a, b: F.embedding(torch.tensor([1, 1, 3]), a) * b[:3],
    "expand": lambda a, b: a[0].expand(4, 6) * b,
    "permute": lambda a, b: a.permute(1, 0) @ b,
    "pad": lambda a, b: F.pad(a, (1, 1)) * F.pad(b, (1, 1)),
    "in place": lambda a, b: (a * 2).add_(b).mul_(b),
    "in place on a view": lambda a, b: _scaled_rows(a * 1, b),
}


def _scaled_rows(z, b):
    z[1:3].mul_(b[1:3])
    return z


@pytest.mark.parametrize("name", POINTWISE)
def test_gradient(name):
    gradients_agree(POINTWISE[name], X, Y)


CONVOLUTIONS = {
    "plain": {"groups": 2},
    "padding": {"groups": 2, "padding": 1},
    "stride": {"groups": 2, "stride": 2, "padding": 1},
    "stride with a rest": {"groups": 2, "stride": 3},
    "dilation": {"groups": 2, "dilation": 2, "padding": (1, 2)},
    "wide padding": {"groups": 2, "padding": 4},
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_gradient(name):
    geometry = CONVOLUTIONS[name]
    gradients_agree(lambda x, w: F.conv2d(x, w, **geometry), IMAGE, KERNEL)


def test_conv1d_gradient_with_bias():
    def convolve(x, w):
        return F.conv1d(x[:, :, 0], w[:, :, 0].repeat(1, 2, 1), w[:, 0, 0, 0])

    gradients_agree(convolve, IMAGE, KERNEL)


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.avg_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        lambda x: F.adaptive_avg_pool2d(x, 2),
        lambda x: F.adaptive_avg_pool2d(x, 1),
    ],
)
def test_average_pool_gradient(pool):
    gradients_agree(lambda x, w: pool(x[..., :6, :6]) ** 2, IMAGE, KERNEL)


class Counting:
    """An engine that counts its calls."""

    def __init__(self, engine):
        self.engine, self.calls = engine, Counter()

    def __getattr__(self, name):
        attribute = getattr(self.engine, name)
        if callable(attribute):
            self.calls[name] += 1
        return attribute


def test_the_gradient_of_relu_pays_for_no_comparison():
    engine = Counting(_C.plaintext_engine())
    x = secret(X, engine)
    y = (x * 3).relu()
    engine.calls.clear()
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert not {"ltz", "relu", "relu_with_sign"} & set(engine.calls)
    assert torch.equal(gradient.reveal(), 3.0 * (X > 0))


def test_relu_without_gradient_keeps_no_sign():
    engine = Counting(_C.plaintext_engine())
    x = secret(X, engine)
    with torch.no_grad():
        x.relu()
    x.detach().relu()
    assert engine.calls["relu_with_sign"] == 0


def test_a_public_leaf_gets_a_secret_gradient():
    engine = _C.plaintext_engine()
    weight = Y.clone().requires_grad_()
    (secret(X, engine).detach() * weight).sum().backward()
    assert isinstance(weight.grad, CrypTensor)
    assert (weight.grad.reveal() - X).abs().max() < 1e-3


def test_functional_call_and_no_grad():
    engine = _C.plaintext_engine()
    layer = torch.nn.Linear(6, 3)
    weights = {name: secret(p.detach(), engine) for name, p in layer.named_parameters()}
    result = torch.func.functional_call(layer, weights, (X,))
    assert isinstance(result, CrypTensor)
    assert (result.reveal() - layer(X)).abs().max() < 1e-3
    with torch.no_grad():
        assert not (weights["weight"] * 2).requires_grad
