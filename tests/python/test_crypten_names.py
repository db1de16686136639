# SPDX-License-Identifier: MIT
"""CrypTen's public names: each is there and works, or is refused with a reason."""

import inspect

import pytest
import torch
import torch.nn.functional as F
from crypten_names import NAMES

import cryptensor as ct
import cryptensor.crypten as crypten
from cryptensor.crypten import communicator, mpc
from cryptensor.crypten.mpc.primitives import ArithmeticSharedTensor, BinarySharedTensor
from cryptensor.crypten.refusals import REFUSED
from cryptensor.errors import ConfigError, RemoteError, ShapeError, UnsupportedOperation

OWNERS = {
    "crypten": crypten,
    "MPCTensor": mpc.MPCTensor,
    "mpc": mpc,
    "nn": crypten.nn,
    "nn.Module": crypten.nn.Module,
    "optim": crypten.optim,
    "communicator": communicator,
    "Communicator": communicator.Communicator,
    "ArithmeticSharedTensor": ArithmeticSharedTensor,
    "BinarySharedTensor": BinarySharedTensor,
    "differentiable": mpc.MPCTensor,
}
# Where several things have a name and it is refused for some.
SERVED = {"Module.from_onnx", "bits"}


def reason(owner, name):
    return REFUSED.get(f"{owner.split('.')[-1]}.{name}") or REFUSED.get(name)


@pytest.mark.parametrize("owner", NAMES)
def test_every_name_is_there(owner):
    static = [name for name in NAMES[owner] if not _has(OWNERS[owner], name)]
    assert static == []


def _has(owner, name):
    try:
        inspect.getattr_static(owner, name)
    except AttributeError:
        return False
    return True


@pytest.mark.parametrize("owner", NAMES)
def test_what_is_refused_says_why(owner):
    for name in NAMES[owner]:
        if reason(owner, name) is None:
            continue
        with pytest.raises(NotImplementedError, match="has no equivalent: "):
            found = getattr(_instance(owner), name)
            found["local"] if name == "generators" else found()


def _instance(owner):
    """Something to read the attributes of: of a class, an object of one party's session."""
    kinds = {"MPCTensor", "ArithmeticSharedTensor", "BinarySharedTensor", "differentiable"}
    if owner not in kinds:
        return OWNERS[owner]
    return mpc.run_multiprocess(world_size=1)(lambda: OWNERS[owner](torch.ones(2)))()[0]


def test_refusals_are_few_and_all_of_crypten():
    known = {name for names in NAMES.values() for name in names}
    assert {name.split(".")[-1] for name in REFUSED} - known - SERVED == set()
    assert len(REFUSED) < 25


# Methods by what they are in PyTorch; a and b are secret, m is a public mask.
METHODS = {
    "abs": lambda a, b: a.abs(),
    "adaptive_avg_pool2d": (
        lambda a, b: a.reshape(1, 1, 3, 4).adaptive_avg_pool2d(2),
        lambda a, b: F.adaptive_avg_pool2d(a.reshape(1, 1, 3, 4), 2),
    ),
    "avg_pool2d": (
        lambda a, b: a.reshape(1, 1, 3, 4).avg_pool2d(2, stride=1),
        lambda a, b: F.avg_pool2d(a.reshape(1, 1, 3, 4), 2, stride=1),
    ),
    "batchnorm": (
        lambda a, b: a.batchnorm(b[0], b[1], training=True),
        lambda a, b: F.batch_norm(a, None, None, b[0], b[1], True),
    ),
    "binary_cross_entropy": (
        lambda a, b: a.sigmoid().binary_cross_entropy(b > 0),
        lambda a, b: F.binary_cross_entropy(a.sigmoid(), (b > 0).float()),
    ),
    "binary_cross_entropy_with_logits": (
        lambda a, b: a.binary_cross_entropy_with_logits(b > 0),
        lambda a, b: F.binary_cross_entropy_with_logits(a, (b > 0).float()),
    ),
    "conv1d": (
        lambda a, b: a.reshape(1, 3, 4).conv1d(b[:, :3].reshape(1, 3, 3), 1, 2),
        lambda a, b: F.conv1d(a.reshape(1, 3, 4), b[:, :3].reshape(1, 3, 3), None, 2, 1),
    ),
    "conv2d": (
        lambda a, b: a.reshape(1, 1, 3, 4).conv2d(b[:2, :2].reshape(1, 1, 2, 2), padding=1),
        lambda a, b: F.conv2d(a.reshape(1, 1, 3, 4), b[:2, :2].reshape(1, 1, 2, 2), padding=1),
    ),
    "conv_transpose1d": (
        lambda a, b: a.reshape(1, 3, 4).conv_transpose1d(b[:, :2].reshape(3, 1, 2), stride=2),
        lambda a, b: F.conv_transpose1d(a.reshape(1, 3, 4), b[:, :2].reshape(3, 1, 2), stride=2),
    ),
    "copy_": lambda a, b: a.clone().copy_(b),
    "cosine_similarity": (
        lambda a, b: a.cosine_similarity(b),
        lambda a, b: F.cosine_similarity(a, b),
    ),
    "cossin": (lambda a, b: torch.stack(a.cossin()), lambda a, b: torch.stack([a.cos(), a.sin()])),
    "cross_entropy": (
        lambda a, b: a.cross_entropy(b.argmax(1)),
        lambda a, b: F.cross_entropy(a, b.argmax(1)),
    ),
    "cumsum": lambda a, b: a.cumsum(1),
    "data": lambda a, b: a.data,
    "div": lambda a, b: a.div(b.abs() + 1),
    "dot": (lambda a, b: a.dot(b, b), lambda a, b: (a * b * b).sum()),
    "eq": (lambda a, b: a.eq(a) * 1, lambda a, b: torch.ones(3, 4)),
    "erf": lambda a, b: a.erf(),
    "expand": lambda a, b: a.expand(2, 3, 4),
    "flip": lambda a, b: a.flip(0),
    "gather": lambda a, b: a.gather(0, torch.tensor([[2, 1, 0, 1]])),
    "ge": (lambda a, b: 1 - a.ge(b), lambda a, b: 1 - a.ge(b).float()),
    "ger": lambda a, b: a[0].ger(b[0]),
    "hardtanh": (lambda a, b: a.hardtanh(-1, 0.5), lambda a, b: F.hardtanh(a, -1, 0.5)),
    "index_add": lambda a, b: a.index_add(0, torch.tensor([2, 2, 0]), b),
    "index_select": lambda a, b: a.index_select(1, torch.tensor([3, 0])),
    "inv_sqrt": (lambda a, b: (a * a + 1).inv_sqrt(), lambda a, b: (a * a + 1).rsqrt()),
    "log": (lambda a, b: a.sigmoid().log(input_in_01=True), lambda a, b: a.sigmoid().log()),
    "log_softmax": lambda a, b: a.log_softmax(1),
    "argmax": (
        lambda a, b: a.argmax(1),
        lambda a, b: F.one_hot(a.argmax(1), 4).float(),
    ),
    "argmin": (
        lambda a, b: a.argmin(1, one_hot=False, keepdim=True),
        lambda a, b: a.argmin(1, keepdim=True).float(),
    ),
    "max": (lambda a, b: a.max(1)[0], lambda a, b: a.max(1)[0]),
    "max with places": (
        lambda a, b: a.max(0, keepdim=True)[1],
        lambda a, b: F.one_hot(a.argmax(0), 3).T.float(),
    ),
    "min": (lambda a, b: a.min(1, one_hot=False)[1], lambda a, b: a.min(1)[1].float()),
    "max_pool2d": (
        lambda a, b: a.reshape(1, 1, 3, 4).max_pool2d(2, 1, 1),
        lambda a, b: F.max_pool2d(a.reshape(1, 1, 3, 4), 2, 1, 1),
    ),
    "narrow": lambda a, b: a.narrow(1, 1, 2),
    "norm": lambda a, b: a.norm(dim=1),
    "pad": (lambda a, b: a.pad((1, 0), value=2), lambda a, b: F.pad(a, (1, 0), value=2)),
    "polynomial": (
        lambda a, b: a.polynomial([1.0, 0.5, 0.25, 2]),
        lambda a, b: a + 0.5 * a**2 + 0.25 * a**3 + 2 * a**4,
    ),
    "pos_pow": (lambda a, b: (a.abs() + 1).pos_pow(1.5), lambda a, b: (a.abs() + 1) ** 1.5),
    "prod": lambda a, b: a.prod(1),
    "rappor_loss": (
        lambda a, b: a.rappor_loss(b > 0, 0.8),
        lambda a, b: F.binary_cross_entropy(0.6 * a.sigmoid() + 0.2, (b > 0).float()),
    ),
    "relu6": (lambda a, b: (4 * a).relu6(), lambda a, b: F.relu6(4 * a)),
    "repeat": lambda a, b: a.repeat(2, 1),
    "roll": lambda a, b: a.roll(1, 0),
    "scatter": lambda a, b: a.scatter(0, torch.tensor([[0, 1, 2, 0]]), b),
    "scatter_add": lambda a, b: a.scatter_add(0, torch.tensor([[0, 1, 2, 0]]), b),
    "set": (lambda a, b: a.clone().set(torch.ones(3, 4)), lambda a, b: torch.ones(3, 4)),
    "shallow_copy": (lambda a, b: a.shallow_copy(), lambda a, b: a),
    "sign": (lambda a, b: (a * 0).sign(), lambda a, b: torch.ones(3, 4)),
    "stack": (lambda a, b: a.stack([a, b], 1), lambda a, b: torch.stack([a, b], 1)),
    "sub": lambda a, b: 1 - a.sub(b),
    "take": (lambda a, b: a.take(torch.tensor([3, 0]), 1), lambda a, b: a[:, [3, 0]]),
    "trace": lambda a, b: a.trace(),
    "unfold": lambda a, b: a.unfold(1, 2, 1),
    "var": lambda a, b: a.var(1),
    "where": (lambda a, b: a.where(a > b, b), lambda a, b: torch.maximum(a, b)),
    "where, public": (lambda a, b: a.where(torch.tensor(1), b), lambda a, b: a),
}


def test_methods_compute_what_they_say():
    generator = torch.Generator().manual_seed(1)
    a, b = torch.randn(2, 3, 4, generator=generator)

    def program():
        x, y = crypten.cryptensor(a, src=0), crypten.cryptensor(b, src=1)
        out = {}
        for name, method in METHODS.items():
            secret = (method[0] if isinstance(method, tuple) else method)(x, y)
            assert isinstance(secret, crypten.CrypTensor), name
            out[name] = secret.get_plain_text()
        return out

    found = ct.simulate(program)[0]
    for name, method in METHODS.items():
        expected = (method[1] if isinstance(method, tuple) else method)(a, b)
        assert found[name].shape == expected.shape, name
        assert torch.allclose(found[name], expected, atol=4e-3, rtol=4e-3), name


def test_pytorch_keeps_its_meaning_below_and_beside():
    class Net(torch.nn.Module):
        def forward(self, x):
            values, places = x.max(1)
            return values, places, x.argmax(1), x > 0

    def program():
        x = crypten.cryptensor([[1.0, 3.0], [5.0, -2.0]])
        outputs = crypten.nn.from_pytorch(Net()).encrypt()(x)
        own = ct.cryptensor([1.0, 2.0])
        return [o.dtype for o in outputs], type(outputs[0]), own.argmax().reveal(), type(own > 1)

    dtypes, kind, place, beside = ct.simulate(program)[0]
    assert dtypes == [torch.float32, torch.int64, torch.int64, torch.bool]
    assert kind is mpc.MPCTensor and beside is ct.CrypTensor
    assert place == 1 and not hasattr(ct.CrypTensor, "inv_sqrt")


def test_random_secrets():
    def program():
        uniform = crypten.rand(3000).get_plain_text()
        normal = crypten.randn(1501).get_plain_text()
        coins = crypten.bernoulli(torch.full((2000,), 0.25)).get_plain_text()
        weights = crypten.cryptensor([1.0, 0.0, 3.0]).expand(1000, 3)
        sample, index = weights.weighted_sample(1)
        return uniform, normal, coins, index.get_plain_text(), sample.get_plain_text()

    for parties in (2, 3):
        uniform, normal, coins, index, sample = ct.simulate(program, parties=parties)[0]
        assert uniform.min() >= 0 and uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.04
        assert abs(uniform.std() - 12**-0.5) < 0.02
        assert normal.shape == (1501,) and abs(normal.mean()) < 0.15 and abs(normal.std() - 1) < 0.1
        assert set(coins.tolist()) == {0.0, 1.0} and abs(coins.mean() - 0.25) < 0.06
        assert (index.sum(1) == 1).all() and index[:, 1].sum() == 0
        assert abs(index[:, 2].mean() - 0.75) < 0.08
        assert torch.allclose(sample, index[:, 0] + 3 * index[:, 2], atol=1e-4)


def test_shares_are_masked_even_where_one_party_knows_the_value():
    def program():
        x = crypten.cryptensor(torch.zeros(1000), src=0)
        model = crypten.nn.Module()
        model.register_parameter("weight", torch.zeros(1000))
        weight = model.encrypt(src=1).weight
        try:
            (weight + 1).share  # noqa: B018
        except UnsupportedOperation as error:
            unshared = str(error)
        moved = (weight + 1).to(mpc.arithmetic) - 1
        y = x + 1
        y.share = y.share + (2**16 if ct.rank() == 0 else 0)
        shares = [x.share, weight.share, moved.share, y.share - 2 * 2**16 * ct.rank()]
        return weight.owner, shares, unshared, y.get_plain_text()

    (owner, ours, unshared, y), (_, theirs, _, _) = ct.simulate(program)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.unique().numel() == other.unique().numel() == 1000
        assert torch.equal(mine + other, torch.zeros(1000, dtype=torch.int64))
    assert owner == 1 and "known to party 1" in unshared and (y == 2).all()


def test_communicator_moves_public_values_bit_by_bit():
    def program():
        comm, rank = communicator.get(), ct.rank()
        values = torch.tensor([rank + 0.1, float("inf")], dtype=torch.float64)
        rows = [torch.tensor([k, -(2**63)]) for k in range(3)] if rank == 1 else None
        results = {
            "gather": comm.gather(values, 2),
            "scatter": comm.scatter(rows, 1),
            "sum": comm.all_reduce(torch.tensor([2**62 + rank])),
            "reduced": comm.reduce(torch.tensor([True, False]).int(), 0),
            "broadcast": comm.broadcast(torch.full((3,), rank, dtype=torch.uint8), 2),
            "object": comm.broadcast_obj({"a": [1, None, "ü"]} if rank == 0 else None, 0),
            "names": [comm.get_name(), comm.set_name("me"), comm.get_name()],
        }
        try:
            comm.broadcast_obj(object(), 0)
        except UnsupportedOperation as error:
            results["refused"] = str(error)
        comm.reset_communication_stats()
        comm.barrier()
        return results, comm.get_communication_stats()

    found = ct.simulate(program, parties=3)
    for rank, (results, stats) in enumerate(found):
        assert (results["gather"] is None) == (rank != 2)
        assert results["scatter"].tolist() == [rank, -(2**63)]
        assert results["sum"].tolist() == [3 * 2**62 + 3 - 2**64]
        assert results["broadcast"].tolist() == [2, 2, 2]
        assert results["object"] == {"a": [1, None, "ü"]} and "unpickled" in results["refused"]
        assert results["names"] == [f"rank{rank}", None, "me"] and stats["rounds"] <= 1
    assert [row.tolist() for row in found[2][0]["gather"]] == [
        [k + 0.1, float("inf")] for k in range(3)
    ]
    assert found[0][0]["reduced"].tolist() == [3, 0] and found[1][0]["reduced"] is None


def test_settings():
    cfg = crypten.cfg
    assert cfg.mpc.provider == cfg["mpc.provider"] == "TTP" and mpc.ttp_required()
    with cfg.temp_override({"mpc.provider": "TFP", "functions.exp_iterations": 3}):
        assert cfg.functions.exp_iterations == 3 and mpc.get_default_provider() == "TFP"
    assert cfg.functions.exp_iterations == 8
    for name, value in {
        "mpc.active_security": True,
        "mpc.provider": "HE",
        "encoder.precision_bits": 60,
        "mpc.unknown": 1,
    }.items():
        with pytest.raises(ConfigError, match=name.split(".")[1]):
            cfg[name] = value
    with pytest.raises(ConfigError, match="must be one of"):
        cfg.functions.no_such  # noqa: B018


ERRORS = {
    "precision": (lambda x: crypten.cryptensor([1.0], precision=30), ConfigError),
    "src": (lambda x: crypten.cryptensor([1.0], src=2), ConfigError),
    "type": (lambda x: crypten.cryptensor([1.0], cryptensor_type="he"), ConfigError),
    "ptype": (lambda x: crypten.cryptensor([1.0], ptype="arithmetic"), ConfigError),
    "device": (lambda x: crypten.cryptensor([1.0], device="cuda"), ConfigError),
    "seed": (lambda x: crypten.manual_seed(1, 2, 3), ConfigError),
    "dot": (lambda x: x.dot(x[1:]), ShapeError),
    "async": (lambda x: communicator.get().all_gather(torch.ones(1), True), ConfigError),
    "secret": (lambda x: communicator.get().all_gather(x), ConfigError),
    "closure": (lambda x: crypten.save(x, "f", save_closure=print), ConfigError),
    "loss": (lambda x: crypten.nn.MSELoss()(x, x[1:]), ShapeError),
    "eval": (lambda x: crypten.nn.Linear(1, 1).eval().update_parameters(1), ConfigError),
    "binary": (lambda x: x.to(mpc.binary) & x, UnsupportedOperation),
    "graph": (lambda x: crypten.nn.Graph("x", "y")(x), ConfigError),
}


def test_errors_are_named_at_every_party():
    def program():
        x = crypten.cryptensor([1.0, 2.0])
        out = {}
        for name, (call, _) in ERRORS.items():
            try:
                call(x)
            except Exception as error:
                out[name] = type(error)
        return out, x.get_plain_text().tolist()

    for found, after in ct.simulate(program):
        assert found == {name: kind for name, (_, kind) in ERRORS.items()}
        assert after == [1.0, 2.0]


def test_outside_of_a_session():
    with pytest.raises(ct.errors.Error, match="no session"):
        crypten.cryptensor([1.0])
    crypten.init()
    try:
        with pytest.warns(RuntimeWarning, match="already"):
            crypten.init()
        x = crypten.cryptensor([1.0, -2.0], precision=0)
        assert x.relu().get_plain_text().tolist() == [1.0, 0.0]
        assert communicator.get().get_world_size() == 1
    finally:
        crypten.uninit()
    assert not crypten.is_initialized()


def test_a_party_that_fails_is_named(monkeypatch):
    monkeypatch.setattr("cryptensor.crypten.sessions.launch", _threads)
    with pytest.raises(RemoteError, match="ZeroDivisionError"):
        mpc.run_multiprocess(world_size=2)(lambda: 1 / 0)()


def _threads(function, *args, **options):
    return ct.simulate(function, *args, **options)
