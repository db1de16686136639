# SPDX-License-Identifier: MIT
"""Every served operation against plain PyTorch, on the single-process engine."""

import pytest
import torch
import torch.nn.functional as F

from cryptensor import _C
from cryptensor.data import to_tensor
from cryptensor.tensor import CrypTensor

torch.manual_seed(0)
X = torch.randn(4, 6)
Y = torch.randn(4, 6)
IMAGE = torch.randn(2, 4, 8, 8)
MASK = X > 0
TOLERANCE = 2e-3


def secret_in(engine):
    return lambda data: CrypTensor(engine.input(to_tensor(data), 0), engine)


def same(secret, plain, tolerance=TOLERANCE):
    opened = secret.reveal()
    assert opened.shape == plain.shape
    assert opened.dtype == plain.dtype
    if plain.dtype == torch.bool:
        return torch.equal(opened, plain)
    return bool(((opened.double() - plain.double()).abs() <= tolerance).all())


ELEMENTWISE = {
    "add": lambda a, b: a + b,
    "add alpha": lambda a, b: torch.add(a, b, alpha=0.5),
    "add number": lambda a, b: a + 1.5,
    "number first": lambda a, b: 2 - a,
    "add plain": lambda a, b: a + Y,
    "plain first": lambda a, b: Y - a,
    "broadcast": lambda a, b: a + b[0],
    "sub": lambda a, b: a - b,
    "neg": lambda a, b: -a,
    "mul": lambda a, b: a * b,
    "mul number": lambda a, b: a * 0.3,
    "mul integer": lambda a, b: 3 * a,
    "mul plain": lambda a, b: a * Y,
    "mul one-element tensor": lambda a, b: a * torch.tensor(0.25),
    "mul column": lambda a, b: a * torch.tensor([[1.0], [2.0], [3.0], [4.0]]),
    "mul mask": lambda a, b: a * MASK,
    "product used twice": lambda a, b: (lambda p: p * p + p)(a * b),
    "div number": lambda a, b: a / 8,
    "div plain": lambda a, b: a / (Y.abs() + 1),
    "square": lambda a, b: a.square(),
    "x * x": lambda a, b: a * a,
    "pow 2": lambda a, b: a**2,
    "pow 3": lambda a, b: a**3,
    "pow 1": lambda a, b: a**1,
    "pow 0": lambda a, b: a**0,
    "sum": lambda a, b: a.sum(),
    "sum dim": lambda a, b: a.sum(1, keepdim=True),
    "sum dims": lambda a, b: a.sum((0, 1)),
    "mean": lambda a, b: a.mean(),
    "mean dim": lambda a, b: a.mean(0),
    "cumsum": lambda a, b: a.cumsum(1),
    "abs": lambda a, b: a.abs(),
    "abs of a product": lambda a, b: (a * b).abs(),
    "relu": lambda a, b: a.relu(),
    "relu of a product": lambda a, b: (a @ b.t()).relu(),
    "relu_": lambda a, b: F.relu((a * b).clone(), inplace=True),
    "clamp": lambda a, b: a.clamp(-0.5, 0.75),
    "clamp min": lambda a, b: a.clamp(min=0.25),
    "clamp max": lambda a, b: a.clamp(max=0.25),
    "relu6": lambda a, b: F.relu6(a * 10),
    "hardtanh": lambda a, b: F.hardtanh(a),
    "leaky_relu": lambda a, b: F.leaky_relu(a, 0.1),
    "sign": lambda a, b: a.sign(),
    "maximum": lambda a, b: torch.maximum(a, b),
    "minimum": lambda a, b: torch.minimum(a, b),
    "amax": lambda a, b: a.amax(1),
    "amax keepdim": lambda a, b: a.amax(0, keepdim=True),
    "amin": lambda a, b: a.amin(1),
    "max": lambda a, b: a.max(),
    "lt": lambda a, b: a < b,
    "gt": lambda a, b: a > b,
    "le": lambda a, b: a <= b,
    "ge": lambda a, b: a >= b,
    "gt number": lambda a, b: a > 0.1,
    "ge number": lambda a, b: a >= 0,
    "lt plain": lambda a, b: a < Y,
    "plain lt": lambda a, b: Y < a,
    "eq": lambda a, b: a == a.clone(),
    "ne": lambda a, b: a != b,
    "lt infinity": lambda a, b: a < float("inf"),
    "isnan": lambda a, b: a.isnan(),
    "not": lambda a, b: ~(a > b),
    "and": lambda a, b: (a > 0) & (b > 0),
    "or": lambda a, b: (a > 0) | MASK,
    "xor": lambda a, b: (a > 0) ^ (b > 0),
    "count": lambda a, b: (a > 0).sum(1),
    "bit as float": lambda a, b: (a > 0).float() * b,
    "where": lambda a, b: torch.where(a > b, a, b),
    "where number": lambda a, b: torch.where(a > 0, a, 0.5),
    "where plain condition": lambda a, b: torch.where(MASK, a, b),
    "where numbers": lambda a, b: torch.where(a > 0, 1.0, -1.0),
    "masked_fill": lambda a, b: a.masked_fill(MASK, 2.0),
    "masked_fill secret": lambda a, b: a.masked_fill(a > b, 0.0),
}
MOVING = {
    "view": lambda a, b: a.view(2, 12),
    "reshape of a transpose": lambda a, b: a.t().reshape(3, 8),
    "flatten": lambda a, b: a.flatten(),
    "transpose": lambda a, b: a.transpose(0, 1),
    "permute": lambda a, b: a.permute(1, 0),
    "contiguous": lambda a, b: a.t().contiguous(),
    "expand": lambda a, b: a[0].expand(3, 6),
    "squeeze": lambda a, b: a.unsqueeze(1).squeeze(1),
    "slice": lambda a, b: a[1:3, ::2],
    "select": lambda a, b: a[-1],
    "ellipsis": lambda a, b: a[..., None, 2],
    "public indices": lambda a, b: a[[0, 2, 2]],
    "public index tensors": lambda a, b: a[torch.tensor([0, 1]), torch.tensor([2, 3])],
    "public mask": lambda a, b: a[MASK],
    "gather": lambda a, b: a.gather(1, torch.tensor([[0], [1], [2], [3]])),
    "index_select": lambda a, b: a.index_select(1, torch.tensor([5, 0])),
    "embedding": lambda a, b: F.embedding(torch.tensor([[0, 3], [1, 1]]), a),
    "split": lambda a, b: a.split(2)[1],
    "chunk": lambda a, b: a.chunk(3, 1)[2],
    "unbind": lambda a, b: a.unbind(1)[4],
    "iteration": lambda a, b: list(a)[2],
    "cat": lambda a, b: torch.cat([a, b, Y]),
    "cat of a product": lambda a, b: torch.cat([a * b, b], 1),
    "stack": lambda a, b: torch.stack([a, b], 1),
    "pad": lambda a, b: F.pad(a, (1, 2)),
    "pad value": lambda a, b: F.pad(a, (1, 0, 0, 2), value=-3.0),
    "flip": lambda a, b: a.flip(0),
    "roll": lambda a, b: a.roll(1, 1),
    "repeat": lambda a, b: a.repeat(2, 1),
    "tril": lambda a, b: a.tril(),
    "clone": lambda a, b: a.clone(),
    "detach": lambda a, b: a.detach(),
    "double": lambda a, b: a.double(),
    "to device": lambda a, b: a.to("cpu"),
    "zeros_like": lambda a, b: torch.zeros_like(a),
    "ones_like": lambda a, b: torch.ones_like(a) + a,
    "full_like": lambda a, b: torch.full_like(a, 2.5),
    "new_zeros": lambda a, b: a.new_zeros(2, 3),
    "scatter_add": lambda a, b: a.scatter_add(1, torch.tensor([[0, 1], [2, 3]]), b),
    "index_add": lambda a, b: a.index_add(0, torch.tensor([0, 0]), b[:2]),
}
PRODUCTS = {
    "mm": lambda a, b: a @ b.t(),
    "mm plain": lambda a, b: a @ Y.t(),
    "plain mm": lambda a, b: Y.t() @ a,
    "mv": lambda a, b: a.mv(b[0]),
    "dot": lambda a, b: a[0].dot(b[0]),
    "bmm": lambda a, b: torch.bmm(a.view(2, 2, 6), b.view(2, 6, 2)),
    "matmul broadcast": lambda a, b: a.view(2, 2, 6) @ b.t(),
    "addmm": lambda a, b: torch.addmm(a[:, :4], a, b.t(), beta=0.5, alpha=2),
    "linear": lambda a, b: F.linear(a, b, b[:, 0]),
    "linear plain": lambda a, b: F.linear(a, Y, Y[:, 0]),
    "einsum": lambda a, b: torch.einsum("ij,kj->ik", a, b),
}
IMAGES = {
    "conv2d": lambda x: F.conv2d(x, IMAGE[:, :, :3, :3], IMAGE[0, 0, 0, :2], padding=1),
    "conv2d secret": lambda x: F.conv2d(x, x[:, :, :3, :2], stride=2, dilation=2),
    "conv2d groups": lambda x: F.conv2d(x, x[:, :2, :3, :3], groups=2),
    "conv2d same": lambda x: F.conv2d(x, x[:, :, :3, :3], padding="same"),
    "conv1d": lambda x: F.conv1d(x[0], x[0, :, :, :3], stride=2, padding=1),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
    "avg_pool2d padded": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "avg_pool2d without padding": lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "avg_pool1d": lambda x: F.avg_pool1d(x[0], 3, 2),
    "adaptive_avg_pool2d 1": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive_avg_pool2d 4": lambda x: F.adaptive_avg_pool2d(x, (4, 2)),
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "max_pool2d overlapping": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max_pool2d ceil": lambda x: F.max_pool2d(x, 3, 3, 0, ceil_mode=True),
    "max_pool2d dilated": lambda x: F.max_pool2d(x, (2, 3), 1, 1, 2),
    "max_pool2d of a negative image": lambda x: F.max_pool2d(-x.abs() - 1, 3, 2, 1),
    "max_pool2d unbatched": lambda x: F.max_pool2d(x[0], 2),
    "max_pool1d": lambda x: F.max_pool1d(x[0], 3, 2, 1),
    "torch.max_pool2d": lambda x: torch.max_pool2d(x, 2),
    "upsample": lambda x: F.interpolate(x, scale_factor=2),
    "batch_norm": lambda x: F.batch_norm(x, torch.ones(4), torch.ones(4) * 2, IMAGE[0, 0, 0, :4]),
    "dropout in eval": lambda x: F.dropout(x, 0.5, training=False),
}


@pytest.fixture(params=["grad mode", "no_grad", "inference_mode"])
def mode(request):
    contexts = {"no_grad": torch.no_grad, "inference_mode": torch.inference_mode}
    with contexts.get(request.param, torch.enable_grad)():
        yield


@pytest.mark.parametrize("name", [*ELEMENTWISE, *MOVING, *PRODUCTS])
def test_matches_plain(name, mode):
    operation = {**ELEMENTWISE, **MOVING, **PRODUCTS}[name]
    secret = secret_in(_C.plaintext_engine())
    assert same(operation(secret(X), secret(Y)), operation(X, Y))


@pytest.mark.parametrize("name", IMAGES)
def test_image_operation_matches_plain(name, mode):
    secret = secret_in(_C.plaintext_engine())
    assert same(IMAGES[name](secret(IMAGE)), IMAGES[name](IMAGE), 5e-3)


def test_batch_norm_with_a_prepared_secret_scale():
    secret = secret_in(_C.plaintext_engine())
    scale, offset = torch.rand(4) + 0.5, torch.rand(4)
    result = F.batch_norm(
        secret(IMAGE), torch.zeros(4), torch.full((4,), 1 - 1e-5), secret(scale), secret(offset)
    )
    assert same(result, IMAGE * scale.view(-1, 1, 1) + offset.view(-1, 1, 1))


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (2, 0, 3)])
def test_odd_shapes(shape):
    secret = secret_in(_C.plaintext_engine())
    plain = torch.rand(shape) - 0.5
    x = secret(plain)
    for operation in (
        lambda t: t + t,
        lambda t: t * 2.5,
        lambda t: t.relu(),
        lambda t: t.sum(),
        lambda t: t > 0,
        lambda t: torch.stack([t, t]),
    ):
        assert same(operation(x), operation(plain))


def test_views_write_through():
    secret = secret_in(_C.plaintext_engine())
    x, plain = secret(X), X.clone()
    for target in (x, plain):
        target[0] = 2.0
        target[:, 1].add_(1)
        target.t()[2].mul_(0.5)
        target[[1, 2], 3] = torch.tensor([5.0, 6.0])
        target.view(-1)[-1:].zero_()
        target[3].fill_(0.25)
    assert same(x, plain)


def test_in_place_views():
    secret = secret_in(_C.plaintext_engine())
    x, plain = secret(X), X.clone()
    for target in (x, plain):
        target.t_().unsqueeze_(0).squeeze_(0).add_(1)
    assert x.stride() == plain.stride()
    assert same(x, plain)


def test_a_public_buffer_becomes_secret_when_a_secret_is_written():
    secret = secret_in(_C.plaintext_engine())
    x = secret(X)
    buffer = x.new_zeros(4, 6)
    assert buffer.is_public
    assert buffer[1, 1].item() == 0
    buffer[1].copy_(x[1])
    assert not buffer.is_public
    assert same(buffer[1], X[1])


def test_out():
    secret = secret_in(_C.plaintext_engine())
    x, out = secret(X), secret(Y)
    assert torch.add(x, 1, out=out) is out
    assert same(out, X + 1)


def test_strides_are_those_of_the_plain_tensor():
    secret = secret_in(_C.plaintext_engine())
    x = secret(IMAGE)
    for move in (
        lambda t: t.transpose(1, 2),
        lambda t: t[:, 1::2],
        lambda t: t.expand(2, 2, 4, 8, 8),
    ):
        assert move(x).stride() == move(IMAGE).stride()
        assert move(x).storage_offset() == move(IMAGE).storage_offset()


def test_public_operands_cost_nothing():
    engine = _C.plaintext_engine()
    secret = secret_in(engine)
    ones = torch.ones_like(secret(X))
    assert ones.is_public
    assert (ones * ones).is_public
    assert same(ones * secret(X), X)


def test_max_pool_shares_comparisons_of_overlapping_windows():
    class Counting:
        def __init__(self, engine):
            self.engine, self.windows = engine, []

        def __getattr__(self, name):
            return getattr(self.engine, name)

        def largest(self, rows, dim):
            self.windows.append(rows.shape[dim])
            return self.engine.largest(rows, dim)

    engine = Counting(_C.plaintext_engine())
    image = secret_in(engine)(IMAGE)
    for kernel, stride, windows in ((2, 2, [4]), (3, 2, [3, 3]), (4, 4, [16]), (3, 3, [9])):
        engine.windows.clear()
        F.max_pool2d(image, kernel, stride)
        assert engine.windows == windows
