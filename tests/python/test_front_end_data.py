# SPDX-License-Identifier: MIT
"""cryptensor(): what may be encrypted, and the error for what may not, at every party."""

from decimal import Decimal

import numpy as np
import pytest
import torch

import cryptensor as ct
from cryptensor import session
from cryptensor.data import cryptensor, shape_of, to_tensor
from cryptensor.errors import ConfigError, RangeError, RemoteError, ShapeError

ACCEPTED = {
    "number": 2.5,
    "integer": -7,
    "bool": True,
    "list": [[1.5, 2.5], [3.5, -4.5]],
    "mixed list": [1, 2.5, True],
    "tuple": (1, 2, 3),
    "empty": [],
    "float64 array": np.array([1.5, 2.75]),
    "float16 array": np.array([1.5, 2.75], dtype=np.float16),
    "long double": np.array([1.5], dtype=np.longdouble),
    "uint8 array": np.array([0, 255], dtype=np.uint8),
    "bool array": np.array([True, False]),
    "foreign byte order": np.array([1.5, 2.5], dtype=">f8"),
    "foreign integers": np.array([1, 2], dtype=">i4"),
    "strided array": np.arange(12.0).reshape(3, 4)[::2, ::-1],
    "numpy number": np.float32(1.5),
    "float32 tensor": torch.tensor([[1.5, -2.5]]),
    "bfloat16 tensor": torch.tensor([1.5], dtype=torch.bfloat16),
    "uint8 tensor": torch.tensor([0, 255], dtype=torch.uint8),
    "bool tensor": torch.tensor([True, False]),
    "transposed tensor": torch.arange(6.0).reshape(2, 3).t(),
    "tensor with a graph": torch.ones(2, requires_grad=True) * 2,
    "empty tensor": torch.empty(0, 3),
    "list of tensors": [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])],
}
REFUSED = {
    "None": (None, TypeError, "None"),
    "text": ("1.5", TypeError, "str"),
    "texts": (["1.5", "2"], TypeError, "text"),
    "dict": ({"a": 1}, TypeError, "dict"),
    "objects": (np.array([object()]), TypeError, "objects"),
    "decimals": ([Decimal("1.5")], TypeError, "objects"),
    "None inside": ([1.0, None], TypeError, "objects"),
    "ragged": ([[1.0, 2.0], [3.0]], ShapeError, "ragged"),
    "ragged tensors": ([torch.ones(2), torch.ones(3)], ShapeError, "ragged"),
    "complex": (1 + 2j, TypeError, "complex"),
    "complex array": (np.array([1j]), TypeError, "complex"),
    "complex tensor": (torch.tensor([1j]), TypeError, "real"),
    "sparse": (torch.eye(2).to_sparse(), TypeError, "dense"),
    "meta": (torch.ones(2, device="meta"), TypeError, "meta"),
    "dates": (np.array(["2020-01-01"], dtype="M8[D]"), TypeError, "dates"),
    "long integer": (2**70, RangeError, "64 bits"),
    "unsigned": (np.array([2**63], dtype=np.uint64), RangeError, "63 bits"),
}


def plain(data):
    if isinstance(data, list) and data and isinstance(data[0], torch.Tensor):
        return torch.stack(data)
    if isinstance(data, np.ndarray):
        data = data.astype(np.float64)
    return torch.as_tensor(data).detach().to(torch.float32)


def open_from(data, src, dtype=torch.float32):
    mine = data if session.current().engine.rank == src else None
    x = cryptensor(mine, src=src, dtype=dtype)
    return x.owner, x.reveal()


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name):
    data = ACCEPTED[name]
    if isinstance(data, torch.Tensor):
        data = data.detach()
    for owner, opened in ct.simulate(open_from, data, 1, parties=2):
        assert owner == 1
        assert opened.dtype == torch.float32
        assert torch.equal(opened, plain(data))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_precise_error(name):
    data, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words):
        to_tensor(data)


def refused_everywhere(data, src):
    mine = data if session.current().engine.rank == src else None
    try:
        cryptensor(mine, src=src)
    except (TypeError, ValueError, RuntimeError) as error:
        return type(error).__name__, cryptensor([1.0], src=0).reveal().tolist()
    return "no error", None


@pytest.mark.parametrize("data", [None, "text", [[1.0], [1.0, 2.0]], 1j, float("nan")])
def test_bad_data_raises_at_every_party_and_the_session_goes_on(data):
    for name, after in ct.simulate(refused_everywhere, data, 0, parties=2):
        assert name != "no error"
        assert after == [1.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e15])
def test_values_out_of_range(value):
    with pytest.raises(RemoteError, match="RangeError"):
        ct.simulate(open_from, [1.0, value], 0, parties=2)


def differing_shapes():
    rank = session.current().engine.rank
    return cryptensor(torch.ones(2 + rank), src=0).reveal()


def test_different_shapes_at_two_parties():
    with pytest.raises(RemoteError, match="ShapeError"):
        ct.simulate(differing_shapes, parties=2)


def same_shape_other_values():
    rank = session.current().engine.rank
    return cryptensor(torch.full((2,), float(rank)), src=1).reveal().tolist()


def test_only_the_values_of_src_count():
    assert ct.simulate(same_shape_other_values, parties=2) == [[1.0, 1.0]] * 2


@pytest.mark.parametrize("src", [-1, 2, 1.0, True, None])
def test_src_out_of_range(src):
    with pytest.raises(RemoteError, match="src is"):
        ct.simulate(open_from, [1.0], src, parties=2)


def with_precision(precision):
    return cryptensor([1.0], precision=precision).reveal().item()


def test_precision_is_the_session_s():
    assert ct.simulate(with_precision, 16, parties=2) == [1.0, 1.0]
    with pytest.raises(RemoteError, match="precision is 20; it must be 16"):
        ct.simulate(with_precision, 20, parties=2)


def test_dtype_of_the_revealed_tensor():
    big = 123_456_789
    for _, opened in ct.simulate(open_from, [big], 0, torch.int64, parties=2):
        assert opened.dtype == torch.int64
        assert opened.item() == big
    for _, opened in ct.simulate(open_from, [0.1 + 1000], 0, torch.float64, parties=2):
        assert opened.dtype == torch.float64
        assert abs(opened.item() - 1000.1) <= 2**-17
    with pytest.raises(RemoteError, match="dtype is"):
        ct.simulate(open_from, [1.0], 0, torch.complex64, parties=2)


def shared_again():
    x = ct.cryptensor(torch.tensor([3, -1]), src=1)
    y = ct.share(x)
    with pytest.raises(ConfigError, match="x is of type Tensor"):
        ct.share(torch.ones(2))
    return x.owner, y.owner, y.dtype, y.reveal().tolist(), y._secret.export_share().tolist()


def test_share_gives_up_the_owner():
    found = ct.simulate(shared_again, parties=2)
    for owner, none, dtype, opened, _ in found:
        assert (owner, none, dtype, opened) == (1, -1, torch.int64, [3, -1])
    # Neither share is the value.
    assert all(share != [3, -1] for *_, share in found)


def positions_of_one_party():
    data = torch.tensor([3, 0, 2]) if ct.rank() == 1 else None
    x = ct.cryptensor(data, src=1)
    rows = torch.nn.functional.embedding(x, torch.eye(4))
    return x.dtype, x._secret.fraction_bits, x.reveal(), rows.reveal()


def test_an_int64_tensor_stays_one_at_every_party():
    for dtype, fraction_bits, opened, rows in ct.simulate(positions_of_one_party, parties=2):
        assert (dtype, fraction_bits) == (torch.int64, 0)
        assert opened.dtype == torch.int64
        assert opened.tolist() == [3, 0, 2]
        assert torch.equal(rows, torch.eye(4)[[3, 0, 2]])


@pytest.mark.parametrize("data", [[1, 2], torch.tensor([1, 2], dtype=torch.int32)])
def test_other_integers_look_like_float32(data):
    for _, opened in ct.simulate(open_from, data, 0, None, parties=2):
        assert opened.dtype == torch.float32
        assert opened.tolist() == [1.0, 2.0]


def reveal_to_one():
    x = cryptensor([1.5], src=0)
    opened = x.reveal(dst=1)
    return None if opened is None else opened.item()


def test_reveal_to_one_party():
    assert ct.simulate(reveal_to_one, parties=2) == [None, 1.5]


def test_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    assert torch.equal(to_tensor(frame), torch.tensor([[1, 0.5], [2, 1.5]]).double())
    assert torch.equal(to_tensor(frame["a"]), torch.tensor([1, 2]))
    with pytest.raises(TypeError, match="columns name of data"):
        to_tensor(pandas.DataFrame({"a": [1, 2], "name": ["x", "y"]}))


def test_shape_of():
    assert shape_of(1.5) == torch.Size(())
    assert shape_of([[1, 2, 3]]) == torch.Size((1, 3))
    assert shape_of(np.ones((2, 3))) == torch.Size((2, 3))
    assert shape_of(torch.ones(4, device="meta")) == torch.Size((4,))
    assert shape_of(None) is None
    assert shape_of([[1], [2, 3]]) is None
