# SPDX-License-Identifier: MIT
"""Values that cannot be secret and calls that cannot be right: an error at every party, by name.

The session works afterwards: each case ends with a number that is opened.
"""

import numpy as np
import pytest
import torch

import cryptensor as ct
from cryptensor.errors import ConfigError, Error

MIN = torch.iinfo(torch.int64).min

# What the owner gets; the others get an error of the library.
BAD_VALUES = {
    "NaN": ([1.0, float("nan")], "RangeError"),
    "+Inf": ([float("inf")], "RangeError"),
    "-Inf": ([-float("inf")], "RangeError"),
    "too large": ([2.0**46], "RangeError"),
    "too small": ([-(2.0**46)], "RangeError"),
    "int64 min": (torch.tensor([MIN]), "RangeError"),
    "int64 min as a float": (torch.tensor([MIN], dtype=torch.float64), "RangeError"),
    "complex": (torch.tensor([1j]), "TypeError"),
    "object array": (np.array([object()]), "TypeError"),
    "ragged list": ([[1.0], [1.0, 2.0]], "ShapeError"),
    "None": (None, "TypeError"),
    "string": ("1.5", "TypeError"),
    "sparse": (torch.eye(2).to_sparse(), "TypeError"),
    "meta": (torch.ones(2, device="meta"), "TypeError"),
}
GOOD_VALUES = {
    "bool": torch.tensor([True, False]),
    "uint8": torch.tensor([0, 255], dtype=torch.uint8),
    "empty": torch.empty(0, 3),
    "non-native byte order": np.array([1.5, -2.5], dtype=">f8"),
    "largest": torch.tensor([2.0**46 - 1, 1 - 2.0**46], dtype=torch.float64),
}


def still_works():
    return ct.cryptensor(torch.tensor([2.0]), src=1).reveal().item() == 2.0


def error_of(call):
    try:
        call()
    except Exception as error:
        named = isinstance(error, (Error, TypeError, ValueError, IndexError))
        return type(error).__name__, named, str(error), still_works()
    return "nothing", False, "", still_works()


@pytest.mark.parametrize("src", [0, 1])
@pytest.mark.parametrize("name", BAD_VALUES)
def test_bad_values(name, src):
    value, kind = BAD_VALUES[name]

    def body():
        return error_of(lambda: ct.cryptensor(value if ct.rank() == src else None, src=src))

    ends = ct.simulate(body, timeout=10.0)
    assert ends[src][0] == kind, ends
    for kind_here, named, _, works in ends:
        assert named and works and kind_here not in ("PeerLost", "PeerTimeout"), ends


@pytest.mark.parametrize("name", GOOD_VALUES)
def test_unusual_values_are_right(name):
    value = GOOD_VALUES[name]

    def body():
        return ct.cryptensor(value, src=1, dtype=torch.float64).reveal()

    native = value.astype(float) if isinstance(value, np.ndarray) else value
    for opened in ct.simulate(body, timeout=10.0):
        assert torch.equal(opened, torch.as_tensor(native, dtype=torch.float64))


def secrets(*shapes):
    return [ct.cryptensor(torch.ones(shape), src=0) for shape in shapes]


# What every party calls, and what its error says.
BAD_CALLS = {
    "src below": (lambda: ct.cryptensor([1.0], src=-1), "src is -1"),
    "src above": (lambda: ct.cryptensor([1.0], src=2), "src is 2"),
    "src of another type": (lambda: ct.cryptensor([1.0], src="0"), "src is '0'"),
    "another precision": (lambda: ct.cryptensor([1.0], precision=20), "precision is 20"),
    "reveal to a party that is none": (lambda: secrets(2)[0].reveal(dst=2), "dst is 2"),
    "reveal below": (lambda: secrets(2)[0].reveal(dst=-1), "dst is -1"),
    "reveal to no one": (lambda: secrets(2)[0].reveal(dst=[]), "reveal() was called with"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls(name):
    call, words = BAD_CALLS[name]
    for _, named, message, works in ct.simulate(lambda: error_of(call), timeout=10.0):
        assert named and works and words in message, message


# Operations on tensors of shapes [2, 3] and [4].
MISFITS = {
    "sum": torch.add,
    "sum with a plain tensor": lambda x, y: x + torch.ones(y.shape),
    "sum to a plain tensor": lambda x, y: torch.ones(x.shape) + y,
    "difference": torch.sub,
    "product": torch.mul,
    "quotient": torch.div,
    "power": torch.pow,
    "comparison": torch.gt,
    "equality": torch.eq,
    "maximum": torch.maximum,
    "two tensors of max": torch.max,
    "angle": torch.atan2,
    "choice": lambda x, y: torch.where(x > 0, x, y),
    "interpolation": lambda x, y: torch.lerp(x, y, 0.5),
    "sum of products": lambda x, y: torch.addcmul(x, x, y),
    "sum in place": lambda x, y: y.add_(x),
    "product in place": lambda x, y: x.mul_(y),
    "copy": lambda x, y: x.copy_(y),
    "masked": lambda x, y: x.masked_fill(y > 0, 1.0),
    "matrix product": torch.matmul,
    "linear": torch.nn.functional.linear,
    "addition to a product": lambda x, y: torch.addmm(y, x, x.t() @ x),
    "loss": torch.nn.functional.l1_loss,
    "stack": lambda x, y: torch.stack([x, y]),
    "concatenation": lambda x, y: torch.cat([x, y[None]]),
}


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("name", MISFITS)
def test_shapes_that_do_not_fit(name):
    def body():
        return error_of(lambda: MISFITS[name](*secrets((2, 3), (4,))))

    for kind, _, message, works in ct.simulate(body, timeout=10.0, provider="first_party"):
        assert kind == "ShapeError" and works, (kind, message)
        assert "[2, 3]" in message and ("[4]" in message or "[1, 4]" in message), message


def test_src_that_differs():
    def body():
        try:
            ct.cryptensor(torch.ones(2), src=ct.rank())
        except Error as error:
            return type(error).__name__
        return "nothing"

    assert set(ct.simulate(body, timeout=5.0)) <= {"ProtocolError", "ConfigError"}


def test_before_init():
    with pytest.raises(Error, match=r"no session.*ct\.launch"):
        ct.cryptensor([1.0])


def ended_session():
    """A secret and its session, which was shut down; another one takes its place."""
    kept = ct.session.current()
    x = ct.cryptensor([1.0], src=0) * 2.0
    ct.shutdown()
    return x, kept


def test_a_call_after_shutdown():
    def body():
        _, kept = ended_session()
        found = []
        for call in (lambda: ct.cryptensor([1.0]), ct.rank, ct.shutdown):
            with pytest.raises(Error, match="no session"):
                call()
            found.append(True)
        ct.session.push(kept)  # simulate() ends it once more
        return found

    assert ct.simulate(body, timeout=5.0) == [[True] * 3] * 2


def test_a_secret_after_shutdown():
    def body():
        x, kept = ended_session()
        try:
            with pytest.raises(Error):
                (x * x).reveal()
        finally:
            ct.session.push(kept)

    ct.simulate(body, timeout=5.0, provider="first_party")


def test_two_precisions_do_not_meet():
    xs = ct.simulate(lambda: ct.cryptensor([1.0], src=0), precision=20)

    def body():
        try:
            ct.cryptensor([1.0], src=0) + xs[ct.rank()]
        except ConfigError:
            return "ConfigError", still_works()
        except Error as error:
            return type(error).__name__, still_works()
        return "nothing", False

    for kind, works in ct.simulate(body, timeout=5.0):
        assert kind != "nothing" and works
