# SPDX-License-Identifier: MIT
"""Every supported layer and loss of torch.nn against float64: eval mode, training, gradients."""

import copy
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from agreement import secret_in, shared, weights_like
from module_case import values
from module_cases import GROUPS
from torch.utils._pytree import tree_leaves

import cryptensor as ct
from cryptensor import _C, session
from cryptensor.errors import (
    ConfigError,
    PublicSinkError,
    SecretLeakError,
    ShapeError,
    UnsupportedOperation,
)
from cryptensor.session import Session
from cryptensor.tensor import CrypTensor

BOUND = 2.0**-8


def step(model, case, inputs, training):
    """Outputs, and in training the gradients of all parameters and inputs."""
    model.train(training)
    inputs = [
        x.clone().requires_grad_() if training and x.is_floating_point() else x for x in inputs
    ]
    outputs = [y for y in tree_leaves(case.function(model, *inputs)) if isinstance(y, torch.Tensor)]
    if not training:
        return outputs
    sum((y * weights_like(y)).sum() for y in outputs if y.is_floating_point()).backward()
    return outputs + [t.grad for t in [*model.parameters(), *inputs] if t.requires_grad]


def opened(results):
    return [y.reveal() if isinstance(y, CrypTensor) else y for y in results]


def agree(name, found, expected):
    assert len(found) == len(expected), name
    for got, wanted in zip(found, expected, strict=True):
        if wanted is None:
            assert got is None or not got.any(), name
            continue
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype), name
        if wanted.numel():
            error = (got - wanted).abs() - BOUND * wanted.abs().clamp(min=1)
            assert error.max() <= 0, f"{name}: off by {error.max() + BOUND}"


def plain_models(cases):
    torch.manual_seed(1)
    return {name: case.make().double() for name, case in cases.items()}


def modes(case):
    return (False, True) if case.training else (False,)


def run(cases, models_of_parties):
    """Secret weights of party 0 on shared inputs."""
    models, results = models_of_parties[ct.rank()], {}
    for name, case in cases.items():
        for training in modes(case):
            models[name].train(training)
            model = ct.encrypt(models[name], src=0)
            secret = [shared(x) if x.is_floating_point() else x for x in case.inputs]
            results[name, training] = opened(step(model, case, secret, training))
    return results


@pytest.mark.parametrize("group", GROUPS)
def test_secret_weights_and_inputs(group):
    cases = GROUPS[group]
    models = plain_models(cases)
    expected = {
        (name, training): step(copy.deepcopy(models[name]), case, case.inputs, training)
        for name, case in cases.items()
        for training in modes(case)
    }
    copies = [copy.deepcopy(models) for _ in range(2)]
    for results in ct.simulate(run, cases, copies, parties=2, provider="first_party"):
        for (name, training), found in results.items():
            agree(f"{name}, training={training}", found, expected[name, training])


@pytest.fixture
def engine():
    made = _C.plaintext_engine()
    session.push(Session(made, None))
    yield made
    session.pop()


def mixtures(case, model):
    """(weights secret, inputs secret) where one of the two is public."""
    floats = any(x.is_floating_point() for x in case.inputs)
    if any(True for _ in model.parameters()):
        yield True, False
        if floats:
            yield False, True


# With secret weights these write into a plain tensor made like their public input.
SINKS = {("adaptive log softmax", False), ("adaptive log softmax", True)}
# The gradient of packing does, where the input is public.
SINKS |= {("lstm of packed sequences", True), ("gru of packed sequences", True)}


@pytest.mark.parametrize("group", GROUPS)
def test_public_weights_or_inputs(group, engine):
    cases = GROUPS[group]
    for name, model in plain_models(cases).items():
        case = cases[name]
        for (weights, inputs), training in product(mixtures(case, model), modes(case)):
            if training and not weights and any(True for _ in model.buffers()):
                continue  # running statistics in plain buffers: see test_refused
            model.train(training)
            secret = ct.encrypt(model) if weights else copy.deepcopy(model)
            given = [
                secret_in(engine, x) if inputs and x.is_floating_point() else x for x in case.inputs
            ]
            if not inputs and (name, training) in SINKS:
                with pytest.raises(PublicSinkError):
                    step(secret, case, given, training)
                continue
            found = opened(step(secret, case, given, training))
            expected = step(copy.deepcopy(model), case, case.inputs, training)
            agree(f"{name}, secret {weights=} {inputs=}", found, expected)


@pytest.mark.parametrize("name", [n for n in GROUPS["tables"] if "padding" not in n])
def test_secret_positions(name, engine):
    case = GROUPS["tables"][name]
    for training in (False, True):
        model = plain_models({name: case})[name]
        expected = step(copy.deepcopy(model), case, case.inputs, training)
        first, *rest = case.inputs
        given = [secret_in(engine, first, torch.int64)]
        given += [secret_in(engine, x) if x.is_floating_point() else x for x in rest]
        agree(name, opened(step(ct.encrypt(model), case, given, training)), expected)


@pytest.mark.parametrize("loss", [F.multi_margin_loss, F.cross_entropy, F.nll_loss])
def test_secret_classes(loss, engine):
    scores, classes = values(5, 4), torch.tensor([3, 0, 1, 2, 1])
    secret = secret_in(engine, classes, torch.int64)
    found = loss(secret_in(engine, scores), secret).reveal()
    assert abs(found - loss(scores, classes)) < BOUND


def refused_calls(engine):
    x = secret_in(engine, values(2, 2, 6, 6))
    table, where = secret_in(engine, values(5, 3)), torch.tensor([[1, 2]])
    secret = secret_in(engine, where, torch.int64)
    plain = torch.nn.BatchNorm2d(2).double()
    yield PublicSinkError, lambda: plain(x)
    yield UnsupportedOperation, lambda: F.embedding_bag(where, table, max_norm=1.0)
    yield UnsupportedOperation, lambda: F.embedding_bag(where, table, scale_grad_by_freq=True)
    yield UnsupportedOperation, lambda: F.embedding_bag(secret, table, padding_idx=1)
    yield ConfigError, lambda: F.embedding_bag(where, table, mode="median")
    yield ShapeError, lambda: F.embedding_bag(where, table, torch.tensor([0]))
    yield ShapeError, lambda: F.embedding_bag(where[0], table)
    yield SecretLeakError, lambda: F.embedding_bag(where[0], table, secret[0])
    yield (
        UnsupportedOperation,
        lambda: F.ctc_loss(x[0, 0, :, None], where, torch.tensor([6]), torch.tensor([2])),
    )
    yield UnsupportedOperation, lambda: F.fractional_max_pool2d(x, 2, 3)
    yield (
        UnsupportedOperation,
        lambda: F.max_unpool2d(*F.max_pool2d(x, 3, 2, return_indices=True), 3, 2),
    )
    yield ConfigError, lambda: F.multi_margin_loss(table, torch.tensor([1] * 5), p=3)
    yield ShapeError, lambda: F.multi_margin_loss(table, torch.tensor([1]))
    yield ShapeError, lambda: F.multilabel_margin_loss(table, where)
    yield SecretLeakError, lambda: F.multilabel_margin_loss(table[:1, :2], secret)
    yield ConfigError, lambda: F.gaussian_nll_loss(x, x, -torch.ones(x.shape))
    yield ConfigError, lambda: F.rrelu(x, 0.5, 0.25, True)
    yield ShapeError, lambda: torch.nn.utils.rnn.pack_padded_sequence(x[0], [7, 1])


def test_refused(engine):
    for number, (error, call) in enumerate(refused_calls(engine)):
        with pytest.raises(error):
            call()
            pytest.fail(f"call {number} was not refused")
