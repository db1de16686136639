# SPDX-License-Identifier: MIT
"""Models as they are written: inputs and outputs of any structure, ties, public parts, indexing."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from agreement import encodable, gradients, secret_in, shared
from module_case import values
from torch import nn

import cryptensor as ct
from cryptensor import _C
from cryptensor.errors import PublicSinkError, UnsupportedOperation
from cryptensor.tensor import CrypTensor

BOUND = 2.0**-8
FAST = {"parties": 2, "provider": "first_party"}
X, Y = values(3, 4, 5), values(5, 6)
FIRST, TABLE = torch.tensor([2, 0]), torch.tensor([[1, 3], [0, 0]])
MASK = torch.tensor([True, False, True])


@dataclass
class Answer:
    logits: torch.Tensor
    hidden: tuple[torch.Tensor, ...]
    loss: torch.Tensor | None = None


class Pair(nn.Module):
    """Two inputs, one of them by its name, and the output that `form` asks for."""

    def __init__(self, form):
        super().__init__()
        self.form, self.left, self.right = form, nn.Linear(5, 4), nn.Linear(6, 4)

    def forward(self, x, *, context, labels=None):
        hidden = self.left(x), self.right(context).tanh()
        logits = hidden[0] * hidden[1]
        loss = None if labels is None else F.cross_entropy(logits, labels)
        if self.form == "dict":
            return {"logits": logits, "hidden": hidden, "loss": loss}
        if self.form == "dataclass":
            return Answer(logits, hidden, loss)
        return logits, hidden, loss


def fields(answer):
    if isinstance(answer, dict):
        answer = answer["logits"], answer["hidden"], answer["loss"]
    elif isinstance(answer, Answer):
        answer = answer.logits, answer.hidden, answer.loss
    logits, hidden, loss = answer
    return [logits, *hidden, loss]


LABELS = torch.tensor([1, 3, 0])


def answer(model, x, context):
    secret = ct.encrypt(model, src=0)
    given = [ct.cryptensor(v, src=1, dtype=torch.float64) for v in (x, context)]
    result = secret(given[0], context=given[1], labels=LABELS)
    return type(result), [part.reveal() for part in fields(result)]


@pytest.mark.parametrize("form", ["tuple", "dict", "dataclass"])
def test_inputs_and_outputs_of_any_structure(form):
    model, x, context = Pair(form).double(), values(3, 5), values(3, 6)
    expected = model(x, context=context, labels=LABELS)
    for kind, parts in ct.simulate(answer, model, x, context, **FAST):
        assert kind is type(expected)
        for found, wanted in zip(parts, fields(expected), strict=True):
            assert (found - wanted).abs().max() < BOUND


class Tied(nn.Module):
    """A language model in small: one table at both ends, one layer used twice."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
        self.head.weight = self.table.weight
        self.block = nn.Linear(4, 4)
        self.blocks = nn.ModuleList([self.block, self.block])

    def forward(self, words):
        x = self.table(words)
        for block in self.blocks:
            x = block(x).tanh()
        return self.head(x)


WORDS = torch.tensor([[1, 5, 2], [0, 2, 2]])


def step(model):
    """A step of SGD on next words; the ties must hold before and after."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    loss = F.cross_entropy(model(WORDS[:, :-1]).flatten(0, 1), WORDS[:, 1:].flatten())
    loss.backward()
    optimizer.step()
    assert model.head.weight is model.table.weight and model.blocks[0] is model.blocks[1]
    return model


def train_tied(model):
    secret = step(ct.encrypt(model))
    assert len(list(secret.parameters())) == 3
    plain = ct.decrypt(secret)
    assert plain.head.weight is plain.table.weight
    return plain.state_dict()


def test_tied_parameters_stay_tied():
    torch.manual_seed(3)
    model = Tied().double()
    found = ct.simulate(train_tied, model, **FAST)
    expected = step(model).state_dict()
    for state in found:
        assert state.keys() == expected.keys()
        for name, value in expected.items():
            assert (state[name] - value).abs().max() < BOUND, name


def half_secret(body, head):
    """A public body on secret data below a secret head; only the head learns."""
    x = shared(X[:, 0])
    for parameter in body.parameters():
        parameter.requires_grad_(False)
    model = nn.Sequential(body, ct.encrypt(head))
    model(x).square().sum().backward()
    assert all(type(p) is nn.Parameter for p in body.parameters())
    assert all(isinstance(p, CrypTensor) for p in model[1].parameters())
    optimizer = torch.optim.SGD(body.parameters(), lr=0.1)
    for parameter in body.parameters():
        parameter.requires_grad_(True)
    model(x).sum().backward()
    with pytest.raises(PublicSinkError):
        optimizer.step()
    return model[1].weight.grad.reveal()


def test_public_weights_stay_public():
    """Their gradients are secret, so that a step on them is refused."""
    torch.manual_seed(4)
    body, head = nn.Linear(5, 4).double(), nn.Linear(4, 2).double()
    # half_secret() adds a second gradient, that of the sum.
    y = head(body(X[:, 0]))
    (y.square().sum() + y.sum()).backward()
    expected = head.weight.grad.clone()
    head.zero_grad()
    body.zero_grad()
    bodies = [nn.Linear(5, 4).double() for _ in range(2)]
    for copy in bodies:
        copy.load_state_dict(body.state_dict())

    def run():
        return half_secret(bodies[ct.rank()], head)

    for found in ct.simulate(run, **FAST):
        assert (found - expected).abs().max() < BOUND


def written(a, b):
    c = a.clone()
    c[FIRST] = b
    c[:, 1] = 0.0
    c[MASK, 2] = 1.5
    return c


PROGRAMS = {
    "einsum": (lambda a, b: torch.einsum("bij,jk->bik", a, b), X, Y),
    "einsum of three": (lambda a, b, c: torch.einsum("bij,jk,bk->bi", a, b, c), X, Y, values(3, 6)),
    "einsum, diagonal": (lambda a: torch.einsum("bii->bi", a[:, :4, :4]), X),
    "einsum, ellipsis": (lambda a, b: torch.einsum("...j,jk->...k", a, b), X, Y),
    "einsum, outer": (lambda a, b: torch.einsum("i,j->ij", a[0, 0], b[0]), X, Y),
    "tensordot": (lambda a, b: torch.tensordot(a, b, dims=([2], [0])), X, Y),
    "tensordot of two": (lambda a, b: torch.tensordot(a, b, dims=2), X, values(4, 5, 2)),
    "inner": (torch.inner, X, values(2, 5)),
    "outer": (torch.outer, values(3), values(4)),
    "kron": (torch.kron, values(2, 3), values(3, 2)),
    "multi_dot": (lambda *a: torch.linalg.multi_dot(a), values(2, 3), values(3, 4), values(4, 2)),
    "broadcasting": (lambda a, b: a * b + b - a / 4, X, values(4, 1)),
    "matmul, broadcast": (torch.matmul, values(2, 1, 3, 4), values(5, 4, 2)),
    "rows": (lambda a: a[FIRST], X),
    "columns": (lambda a: a[:, TABLE], X),
    "pairs": (lambda a: a[FIRST, :, TABLE[0]], X),
    "grid": (lambda a: a[FIRST[:, None], TABLE], X),
    "mask": (lambda a: a[MASK], X),
    "new axis": (lambda a: a[..., None, [0, 2]], X),
    "from the end": (lambda a: a[-1, :, torch.tensor([-1, -2])], X),
    "take": (lambda a: a.take(TABLE), X),
    "masked_select": (lambda a: a.masked_select(MASK[:, None, None]), X),
    "masked_fill": (lambda a: a.masked_fill(MASK[:, None, None], 2.0), X),
    "where": (lambda a: torch.where(MASK[:, None, None], a, -a), X),
    "written": (written, X, values(2, 4, 5)),
    "index_copy": (lambda a, b: a.index_copy(0, FIRST, b), X, values(2, 4, 5)),
    "repeat_interleave": (lambda a: a.repeat_interleave(torch.tensor([1, 0, 2]), 0), X),
    "cumprod": (lambda a: a.cumprod(1), X),
    "unfold": (lambda a: a.unfold(1, 2, 1), X),
    "meshgrid": (lambda a: torch.meshgrid(a[0, 0], a[0, 1], indexing="ij")[0], X),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_products_and_indices(name):
    function, *inputs = PROGRAMS[name]
    engine = _C.plaintext_engine()
    found = function(*(secret_in(engine, x) for x in inputs))
    expected = function(*inputs)
    assert found.shape == expected.shape
    assert (found.reveal() - expected).abs().max() < BOUND
    pairs = zip(
        gradients([secret_in(engine, x) for x in inputs], function),
        gradients([x.clone() for x in inputs], function),
        strict=True,
    )
    for secret, plain in pairs:
        assert (secret.reveal() - plain).abs().max() < BOUND


def test_complex_numbers_are_refused():
    x = secret_in(_C.plaintext_engine(), encodable(values(3, 2)))
    for call in (lambda: torch.view_as_complex(x), lambda: x.to(torch.complex128)):
        with pytest.raises(UnsupportedOperation):
            call()
