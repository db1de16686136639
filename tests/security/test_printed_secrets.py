# SPDX-License-Identifier: MIT
"""Programs on known values: no text that they can cause holds a value or a share."""

from __future__ import annotations

import copy
import logging
import pickle
import warnings

import pytest
import torch
from engines import C, oracle, run
from test_disclosure import ENCODED, SECRET, share_of, tells

import cryptensor as ct
from cryptensor import session
from cryptensor.errors import RemoteError

VALUES = torch.full((2, 2), SECRET, dtype=torch.float64)


METHODS = [
    (kind, name)
    for kind in (C.Engine, C.Secret, C.Transport, C.MemoryHub)
    for name in vars(kind)
    if not name.startswith("_") and callable(vars(kind)[name])
]
FUNCTIONS = [name for name in vars(C) if type(vars(C)[name]).__name__.startswith("builtin")]


def mistaken(call, *leading) -> list[str]:
    """The texts of calls with tensors in wrong places and under a wrong name."""
    texts = []
    for args, named in [
        ((VALUES, "x", VALUES, object(), VALUES, VALUES, VALUES, VALUES, VALUES, VALUES), {}),
        ((), {"never": VALUES}),
        ((VALUES,), {"never": VALUES}),
    ]:
        with pytest.raises(TypeError) as caught:
            call(*leading, *args, **named)
        texts.append(str(caught.value))
    return texts


@pytest.mark.parametrize(("kind", "name"), METHODS, ids=lambda v: getattr(v, "__name__", v))
def test_no_method_prints_its_arguments(kind, name):
    hub = C.MemoryHub(1)
    made = {"MemoryHub": hub, "Transport": hub.transport(0)}

    def body(engine):
        made["Engine"] = engine
        made["Secret"] = engine.public(VALUES)
        for text in mistaken(getattr(kind, name), made[kind.__name__]):
            assert not tells(text, ENCODED) and "tensor(" not in text
            assert text.startswith(f"{name}() was called with (") and "Tensor" in text

    oracle(body)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_prints_its_arguments(name):
    for text in mistaken(getattr(C, name)):
        assert "tensor(" not in text and str(SECRET) not in text
        assert text.startswith(f"{name}() was called with (")


def test_a_right_call_is_still_found():
    """Also where a number has to be converted first, which the refusal must not preempt."""

    def body(engine):
        x = engine.input(VALUES, src=0)
        doubled = engine.scale(x, 2)
        assert engine.relu(doubled, 4).shape == [2, 2]
        assert engine.public(3).is_public and engine.public(3.5).is_public
        return engine.reveal(engine.sum(x, (0,), False))

    assert torch.equal(oracle(body), 2 * VALUES[0])
    with pytest.raises(TypeError, match=r"scale\(\) was called with \(str\); allowed: scale\("):
        oracle(lambda engine: engine.scale("2"))


def words_of_party(x) -> list[int]:
    return [share_of(x._secret.rearrange(lambda t: t.reshape(-1)[0]))]


def shared():
    """A result, so that each party holds a random share."""
    return torch.relu(ct.cryptensor(VALUES, src=0) + ct.cryptensor(torch.zeros(2, 2), src=1))


MISTAKES = {
    "owner as text": lambda x: session.current().engine.input(VALUES, "x"),
    "no owner": lambda x: session.current().engine.input(VALUES),
    "in a list": lambda x: session.current().engine.input_many([VALUES, "x"], 0, 1, 2),
    "a share as a file's": lambda x: session.current().engine.import_share(VALUES, "f", 0),
    "item": lambda x: x.item(),
    "bool": lambda x: bool(x[0, 0]),
    "float": lambda x: float(x[0, 0]),
    "numpy": lambda x: x.numpy(),
    "list": lambda x: x.tolist(),
    "pickle": lambda x: pickle.dumps(x),
    "save": lambda x: torch.save(x, "/dev/null"),
    "in": lambda x: SECRET in x,
    "shapes": lambda x: x @ x[:1],
    "text": lambda x: x + "a",
    "no operation": lambda x: torch.linalg.svd(x),
    "index": lambda x: VALUES[x],
    "out": lambda x: torch.add(x, x, out=torch.empty(2, 2)),
    "a bad dst": lambda x: x.reveal(dst=7),
    "into plain": lambda x: torch.empty(2, 2, dtype=torch.float64).copy_(x),
    "program": lambda x: {}[str(x)],
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_error_of_a_program_holds_no_secret(name, capfd):
    words: list[int] = []

    def body():
        x = shared()
        words.extend(words_of_party(x))
        MISTAKES[name](x)

    with pytest.raises(RemoteError) as caught:
        ct.simulate(body)
    error = caught.value
    texts = [str(error), repr(error), error.remote_traceback, repr(error.failures)]
    texts += list(capfd.readouterr())
    assert len(words) == 2
    assert not any(tells(text, word) for text in texts for word in words)


def test_what_a_session_says_and_keeps_holds_no_secret(capfd, caplog):
    words: list[int] = []
    texts: list[str] = []

    def body():
        x = shared()
        y = torch.relu(x * x) + x.softmax(1)
        words.extend(words_of_party(x) + words_of_party(y))
        model = ct.encrypt(torch.nn.Linear(2, 2).double(), src=0)
        texts.extend(f"{v} {v!r} {v:>9} {v.shape} {vars(v)}" for v in (x, y, model.weight))
        texts.extend((str(model), repr(model.state_dict()), repr(list(model.parameters()))))
        texts.extend((str(ct.stats()), repr(ct.stats()), str(session.current())))
        texts.append(repr(pickle.loads(pickle.dumps(ct.stats()))))
        texts.append(repr(copy.deepcopy(x)))
        logging.getLogger(__name__).warning("%s %r", x, y)
        warnings.warn(f"{x}", stacklevel=1)
        print(x, y, ct.stats())

    with caplog.at_level(0), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        ct.simulate(body)
    texts += [*capfd.readouterr(), caplog.text, *(str(w.message) for w in warned)]
    assert len(words) == 4 and caplog.records and warned
    assert not any(tells(text, word) for text in texts for word in words)


def test_a_profile_holds_no_secret(tmp_path):
    def body():
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, record_shapes=True) as profile:
            x = shared()
            y = torch.relu(x * x) + x.softmax(1)
        trace = tmp_path / f"{ct.rank()}.json"
        profile.export_chrome_trace(str(trace))
        table = profile.key_averages(group_by_input_shape=True).table()
        return str(table), trace.read_text(), words_of_party(x) + words_of_party(y)

    for *texts, words in ct.launch(body):
        assert all("aten::" in text for text in texts)
        assert not any(tells(text, word) for text in texts for word in words)


def test_processes_print_no_secret(capfd):
    """Shares differ from run to run; the result says which they were."""

    def body():
        x = shared()
        y = torch.relu(x)
        print(x, y, flush=True)
        logging.getLogger("a.program").error("%r", y)
        return words_of_party(x) + words_of_party(y)

    results = ct.launch(body)
    texts = capfd.readouterr()
    assert texts.out.count("CrypTensor(") == 4
    assert not any(tells(text, word) for text in texts for words in results for word in words)


def test_the_grep_sees_what_is_printed(capfd):
    """Turned against a party that does print its share."""

    def body(engine):
        print(share_of(engine.public(VALUES[:1, :1])))

    run(body)
    assert tells(capfd.readouterr().out, ENCODED)
