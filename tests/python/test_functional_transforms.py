# SPDX-License-Identifier: MIT
"""torch.func on secrets: reverse mode and vmap work; forward mode where no storage is asked for."""

import pytest
import torch
import torch.nn.functional as F
from torch import func, nn
from torch.utils._pytree import tree_leaves, tree_map

import cryptensor as ct
from cryptensor import _C, session
from cryptensor.errors import PublicSinkError, UnsupportedOperation
from cryptensor.session import Session
from cryptensor.tensor import CrypTensor

X = torch.linspace(-1.5, 2, 12, dtype=torch.float64).reshape(3, 4).sin()
STEPS = torch.arange(4.0, dtype=torch.float64)


@pytest.fixture(autouse=True)
def oracle():
    session.push(Session(_C.plaintext_engine(), None))
    yield
    session.pop()


FUNCTIONS = {
    "relu": lambda v: F.relu(v).sum(),
    "softmax": lambda v: (v.softmax(-1) * STEPS).sum(),
    "layer norm": lambda v: (F.layer_norm(v, (4,)) * STEPS).sum(),
    "max": lambda v: v.max(),
    "exp": lambda v: v.exp().sum(),
    "erf": lambda v: v.erf().sum(),
    "gelu": lambda v: F.gelu(v).sum(),
    "norm": lambda v: v.norm(),
    "where": lambda v: torch.where(v > 0, v * v, -v).sum(),
    "logsumexp": lambda v: v.logsumexp(-1).sum(),
    "division": lambda v: (1 / (v * v + 1)).sum(),
    "product": lambda v: (v.reshape(-1, 4) @ v.reshape(-1, 4).T).square().sum(),
}
TRANSFORMS = {
    "grad": func.grad,
    "vmap": func.vmap,
    "vmap of grad": lambda f: func.vmap(func.grad(f)),
    "jacrev": lambda f: func.jacrev(lambda v: func.vmap(f)(v)),
    "vjp": lambda f: lambda v: func.vjp(f, v)[1](torch.ones((), dtype=v.dtype)),
}


def agree(transformed, *inputs):
    secret = [ct.cryptensor(x, dtype=x.dtype) for x in inputs]
    found = tree_leaves(transformed(*secret))
    for got, wanted in zip(found, tree_leaves(transformed(*inputs)), strict=True):
        assert isinstance(got, CrypTensor)
        assert torch.allclose(got.reveal(), wanted, atol=2**-8)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_reverse_mode_and_batches(transform):
    for function in FUNCTIONS.values():
        agree(TRANSFORMS[transform](function), X)


def test_gradients_of_each_sample():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)).double()

    def of_samples(net):
        def loss(parameters, row):
            return func.functional_call(net, parameters, (row,)).square().sum()

        return func.vmap(func.grad(loss), in_dims=(None, 0)), dict(net.named_parameters())

    secret, parameters = of_samples(ct.encrypt(model))
    plain, plain_parameters = of_samples(model)
    found = secret(parameters, ct.cryptensor(X, dtype=X.dtype))
    wanted = plain(plain_parameters, X)
    tree_map(
        lambda a, b: torch.testing.assert_close(a.reveal(), b, atol=2**-8, rtol=0), found, wanted
    )


def test_forward_mode():
    for name in ("relu", "max", "exp", "erf", "gelu", "norm", "where", "logsumexp", "product"):
        function = FUNCTIONS[name]
        agree(lambda x, v, f=function: func.jvp(f, (x,), (v,)), X, X.flip(0))
        agree(func.jacfwd(function), X)


def test_refused():
    x = ct.cryptensor(X, dtype=X.dtype)
    for name in ("softmax", "layer norm", "division"):
        with pytest.raises(UnsupportedOperation, match="use grad, vjp or jacrev"):
            func.jvp(FUNCTIONS[name], (x,), (x,))
    with pytest.raises(UnsupportedOperation, match="use grad, vjp or jacrev"):
        func.hessian(FUNCTIONS["exp"])(x)
    with pytest.raises(PublicSinkError):
        func.linearize(FUNCTIONS["exp"], x)[1](x)
    with pytest.raises(RuntimeError, match="data-dependent control flow"):
        func.vmap(lambda row: row if row.sum() > 0 else -row)(x)
