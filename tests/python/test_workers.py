# SPDX-License-Identifier: MIT
"""Several workers per party: their layout, what a party's workers share, and separate masks."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import workers_rank

import cryptensor as ct
from cryptensor import session
from cryptensor.config import Settings
from cryptensor.errors import ConfigError, Error, RemoteError

TESTS = Path(__file__).resolve().parents[1]
sys.path.append(str(TESTS / "security"))
from homogeneity import p_value as two_sample_p  # noqa: E402
from uniformity import ALARM  # noqa: E402
from uniformity import p_value as uniform_p  # noqa: E402

PLACES = [(party, worker) for party in range(2) for worker in range(2)]
# Messages of whole words under fresh masks; the others are packed and compared as bytes.
WORDS = ("matmul", "multiply")
LEAST_BYTES = 256


def torchrun(ranks: int, *words: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *(f"--nproc-per-node={ranks}", str(TESTS / "workers_rank.py"), *words),
        ],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent), **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> dict[tuple[int, int], dict]:
    """What each computing rank of a 2 x 2 layout under torchrun left behind.

    The workers meet at addresses of their parties' own, as workers on several hosts have to.
    """
    folder = tmp_path_factory.mktemp("ranks")
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        ports = [str(probe.getsockname()[1]) for probe in probes]
    ended = torchrun(6, str(folder), *ports)
    assert ended.returncode == 0, ended.stderr
    return {place: pickle.loads((folder / "{}.{}".format(*place)).read_bytes()) for place in PLACES}


def test_ranks_know_their_places(ranks):
    for place, rank in ranks.items():
        assert rank["place"] == rank["coordinate"] == place
        assert rank["names"] == ("party", "worker") and rank["shape"] == (2, 2)


def test_no_process_group_reaches_another_party(ranks):
    for rank in ranks.values():
        assert rank["inside"] == rank["world"] == 2
        assert not rank["left"]


def test_a_batch_over_the_workers_is_gathered_by_its_owner_only(ranks):
    plain = workers_rank.build()(workers_rank.images())
    assert ranks[1, 0]["gathered"].shape == plain.shape
    assert (ranks[1, 0]["gathered"] - plain).abs().max() < 1e-2
    assert (ranks[1, 0]["rows"], ranks[1, 1]["rows"]) == (33, 32)
    for place in [(0, 0), (0, 1), (1, 1)]:
        assert ranks[place]["gathered"] is None


def alike(first: list, second: list) -> list[str]:
    """Where the messages of two workers with equal inputs tell that their masks are related."""
    found = []
    for (_, _, operation, one), (_, _, _, other) in zip(first, second, strict=True):
        if len(one) < LEAST_BYTES:
            continue
        if one == other:
            found.append(f"{operation}: equal messages")
        if operation in WORDS:
            a, b = (np.frombuffer(bytes(p), dtype=np.uint64) for p in (one, other))
            if np.intersect1d(a, b).size:
                found.append(f"{operation}: equal words")
            if uniform_p(a - b) < ALARM:
                found.append(f"{operation}: related words")
            if two_sample_p(a, b) < ALARM:
                found.append(f"{operation}: different distributions")
    return found


@pytest.mark.parametrize("party", [0, 1])
def test_masks_of_two_workers_never_coincide(ranks, party):
    first, second = (
        [frame for frame in ranks[party, w]["frames"] if frame[2] != "dealer_request"]
        for w in (0, 1)
    )
    outlines = [[(f[0], f[1], f[2], len(f[3])) for f in sent] for sent in (first, second)]
    assert outlines[0] == outlines[1]
    assert sum(len(frame[3]) for frame in first if frame[2] in WORDS) > 200_000
    assert alike(first, second) == []


def test_equal_and_shifted_masks_are_found(ranks):
    sent = [frame for frame in ranks[0, 0]["frames"] if frame[2] in WORDS]
    shifted = [
        (*frame[:3], (np.frombuffer(bytes(frame[3]), dtype=np.uint64) + np.uint64(1)).tobytes())
        for frame in sent
    ]
    assert {f.split(": ")[1] for f in alike(sent, sent)} >= {"equal messages", "equal words"}
    assert {f.split(": ")[1] for f in alike(sent, shifted)} >= {"related words"}


def refusals() -> dict[str, str]:
    """The name and text of each refusal; the session and the party's workers go on after them."""
    mesh = ct.mesh()
    secret = ct.cryptensor(torch.ones(3, 2) if ct.rank() == 0 else None, src=0)
    wrong = {
        "scalar": lambda: mesh.split(torch.tensor(1.0)),
        "list": lambda: mesh.split([1.0, 2.0]),
        "no tensor": lambda: mesh.broadcast([1.0]),
        "secret broadcast": lambda: mesh.broadcast(secret),
        "secret gather": lambda: mesh.gather(secret),
        "complex": lambda: mesh.gather(torch.ones(2, dtype=torch.complex64)),
        "shapes": lambda: mesh.broadcast(torch.ones(2 + mesh.worker)),
        "types": lambda: mesh.gather(
            torch.ones(2, dtype=(torch.float32, torch.int64)[mesh.worker])
        ),
        "columns": lambda: mesh.gather(torch.ones(2, 2 + mesh.worker)),
        "missing": lambda: mesh.gather(None if mesh.worker else torch.ones(2)),
        "again": ct.init_mesh,
    }
    found = {}
    for name, call in wrong.items():
        try:
            found[name] = f"no error: {call()}"
        except Error as error:
            found[name] = f"{type(error).__name__}: {error}"
    found["gathered"] = mesh.gather(torch.full((mesh.worker, 2), float(mesh.worker)))
    found["nothing"] = mesh.gather(None)
    found["buffer"] = mesh.broadcast(torch.full((2, 3), float(mesh.worker)).t()).sum().item()
    found["sum"] = secret.sum().reveal().item()
    return found


def test_refusals_name_what_is_wrong_and_the_workers_go_on():
    parties = ct.launch(refusals, parties=2, workers=2, provider="first_party", setup_timeout=60)
    assert [len(workers) for workers in parties] == [2, 2]
    for workers in parties:
        assert torch.equal(workers[0].pop("gathered"), torch.ones(1, 2))
        assert workers[1].pop("gathered") is None
        for found in workers:
            assert (found.pop("buffer"), found.pop("sum"), found.pop("nothing")) == (0.0, 6.0, None)
            kinds = {name: text.partition(":")[0] for name, text in found.items()}
            shapes = {"shapes", "types", "columns", "missing"}
            assert {name for name, kind in kinds.items() if kind == "ShapeError"} == shapes
            assert {kind for name, kind in kinds.items() if name not in shapes} == {"ConfigError"}
            assert "worker 1 nothing" in found["missing"]
            assert "(2, 3)" in found["columns"]


def leaves() -> None:
    mesh = ct.mesh()
    if (mesh.party, mesh.worker) == (1, 1):
        os._exit(3)
    mesh.gather(torch.ones(2))


def test_a_lost_worker_is_named():
    with pytest.raises(RemoteError) as caught:
        ct.launch(leaves, parties=2, workers=2, provider="first_party", setup_timeout=60)
    assert "party 1, worker 1 ended with exit code 3" in str(caught.value)
    assert caught.value.party == 1
    echoes = {failure.kind for failure in caught.value.failures if failure.kind != "exit"}
    assert echoes <= {"PeerLost"}


def test_one_worker_is_a_layout_too():
    def party() -> tuple:
        mesh = ct.mesh()
        rows = torch.ones(3, 2)
        kept = mesh.broadcast(rows) is rows and mesh.gather(rows) is rows
        return mesh.party, mesh.workers, len(mesh.split(rows)), kept, mesh.device_mesh.shape

    assert ct.simulate(party) == [(0, 1, 3, True, (2, 1)), (1, 1, 3, True, (2, 1))]


@pytest.mark.parametrize("workers", [0, True, 1.5, 1025])
def test_a_bad_number_of_workers_is_named(workers):
    with pytest.raises(ConfigError, match=r"^workers is .*; it must be an integer from 1 to 1024"):
        ct.launch(print, workers=workers)
    assert Settings(workers=3).processes == 9


def test_a_wrong_number_of_ranks_is_named(monkeypatch):
    for name, value in {"WORLD_SIZE": "5", "RANK": "0", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(ConfigError, match=r"WORLD_SIZE is 5; it must be 6: 2 workers of 2 parties"):
        ct.init_mesh(parties=2, workers=2)
    assert not session.is_active()


@pytest.mark.parametrize("address", ["nowhere", "host:", ":1", "host:70000", "host:x"])
def test_a_bad_party_store_is_named(address):
    from cryptensor import inside

    with pytest.raises(ConfigError, match=r"party_store is .*; it must be 'host:port'"):
        inside.meet(None, _meeting(), 0, 0, Settings(workers=2), address)


def _meeting():
    from cryptensor.rendezvous import Meeting

    return Meeting(rank=0, size=4, host="127.0.0.1", port=1, hosts_store=False, loopback=True)
