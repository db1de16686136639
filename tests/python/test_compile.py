# SPDX-License-Identifier: MIT
"""torch.compile and torch.export around secrets: operations run as they would without."""

import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn

import cryptensor as ct
from cryptensor.errors import RemoteError

BACKENDS = ("eager", "aot_eager", "inductor")


def model():
    torch.manual_seed(1)
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    return nn.Sequential(*layers, nn.Softmax(-1)).eval()


X = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def compiled(function, backend):
    return function if backend is None else torch.compile(function, backend=backend)


def infer(net, x, backend):
    secret = compiled(ct.encrypt(net, src=0), backend)
    opened = secret(ct.cryptensor(x, src=1)).reveal()
    return opened, ct.stats().rounds, ct.stats().bytes_sent


def whole(net, x, backend):
    """Everything inside, with plain operations around."""

    def function(net, x):
        secret = ct.encrypt(net, src=0)(ct.cryptensor(x * 2 - x, src=1))
        return secret.reveal() * 1.0

    opened = compiled(function, backend)(net, x)
    return opened, ct.stats().rounds, ct.stats().bytes_sent


def step(net, x, backend):
    secret = ct.encrypt(net.train(), src=0)
    optimizer = torch.optim.SGD(secret.parameters(), 0.1)

    def function(x):
        loss = secret(x).square().sum()
        loss.backward()
        optimizer.step()
        return loss

    compiled(function, backend)(ct.cryptensor(x, src=1))
    return secret[4].weight.reveal(), ct.stats().rounds, ct.stats().bytes_sent


@pytest.mark.parametrize("work", [infer, whole, step])
def test_equal_to_eager(work):
    expected = ct.simulate(work, model(), X, None)
    # Plain operations would make inductor call a C++ compiler.
    for backend in BACKENDS[:2] if work is whole else BACKENDS:
        torch._dynamo.reset()
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # what dynamo says of C++ it meets
            found = ct.simulate(work, model(), X, backend)
        for (opened, *cost), (wanted, *wanted_cost) in zip(found, expected, strict=True):
            assert torch.allclose(opened, wanted, rtol=0, atol=2**-13), backend
            assert cost == wanted_cost, backend


def test_protocols_are_not_compiled():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    ct.simulate(infer, model(), X, "eager")
    assert torch._dynamo.utils.counters["frames"]["total"] < 10  # the user's own, at two parties
    assert not torch._dynamo.utils.counters["stats"]["unique_graphs"]


def test_one_graph_is_refused():
    torch._dynamo.reset()

    def run(net, x):
        torch.compile(ct.encrypt(net), backend="eager", fullgraph=True)(ct.cryptensor(x))

    with pytest.raises(RemoteError, match="compile without fullgraph=True") as caught:
        ct.simulate(run, model(), X)
    assert caught.value.kind == "Unsupported"


def test_import_leaves_the_compiler_out():
    program = "import sys, cryptensor; sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_exported_program():
    net = model()
    program = torch.export.export(net, (X,)).module()

    def run(program, x):
        secret = ct.encrypt(program, src=0)
        return secret(ct.cryptensor(x, src=1)).reveal()

    for opened in ct.simulate(run, program, X):
        assert torch.allclose(opened, net(X), rtol=0, atol=2**-11)
    assert ct.check(program, X).ok
