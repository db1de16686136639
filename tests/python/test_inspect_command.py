# SPDX-License-Identifier: MIT
"""`cryptensor inspect`: every kind of file that the library writes, and what is none."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

import cryptensor as ct
from cryptensor.cli.application import application
from cryptensor.errors import Error, FileError, StoreError
from cryptensor.offline import deal

SECRET = 4242.125


def run(*arguments):
    return CliRunner().invoke(application, ["inspect", *map(str, arguments)])


def described(file):
    done = run(file, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def program(folder):
    model = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    with torch.no_grad():
        model[0].weight.fill_(SECRET)
        secret = ct.encrypt(model, src=0)
        ct.save(secret, folder / "model")
        ct.save({"shared": ct.share(ct.cryptensor(torch.full((3,), SECRET), src=1))}, folder / "s")
        for _ in range(3):
            with ct.offline_step():
                secret(ct.cryptensor(torch.ones(1, 4), src=1)).reveal()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    # trace() hands a copy of its arguments to each party.
    plan = ct.trace(program, folder)
    plan.save(folder / "plan.json")
    deal(plan, folder / "store", 10)
    ct.make_certificates(folder / "certificates", 2, days=20)
    return folder


def test_a_party_s_file(folder):
    mine, theirs = (described(folder / f"model.party{party}") for party in (0, 1))
    assert mine["kind"] == "a party's file of ct.save()"
    assert (mine["party"], mine["parties"], mine["contents"]) == (0, 2, "module")
    assert (mine["elements held here"], theirs["elements held here"]) == (10, 0)
    assert mine["digest of the save"] == theirs["digest of the save"]
    weight = mine["rows"][0]
    assert weight["name"] == "0.weight" and weight["shape"] == [2, 4]
    assert weight["owner"] == "party 0" and weight["held here"]
    shared = described(folder / "s.party1")["rows"][0]
    assert shared["owner"] == "shared" and shared["held here"]


def test_a_store_and_its_plan(folder):
    plan = described(folder / "plan.json")
    store = described(folder / "store" / "party1.store")
    assert plan["digest"] == store["plan digest"] == ct.Plan.load(folder / "plan.json").digest
    assert (store["party"], store["steps left"], store["lots left"]) == (1, 10, store["lots"])
    kinds = {row["correlation"].partition(" ")[0] for row in plan["rows"]}
    assert {"mask", "matmul", "relu"} <= kinds
    assert {row["part"] for row in plan["rows"]} == {"start", "step"}


def test_a_certificate_and_a_key(folder):
    certificate = described(folder / "certificates" / "party1.pem")
    assert certificate["subject"] == "party1" and certificate["names"] == ["party1"]
    assert 18 <= certificate["days left"] <= 20 and len(certificate["sha256"]) == 64
    key = folder / "certificates" / "party1.key"
    assert described(key) == {
        "kind": "a private key, of which nothing is shown",
        "mode": "0600",
        "rows": [],
        "advice": "",
    }
    key.chmod(0o644)
    assert "chmod 600" in described(key)["advice"]


def test_an_expired_certificate_says_so(tmp_path):
    ct.make_certificates(tmp_path, 2, days=-2)
    assert "expired" in described(tmp_path / "party0.pem")["advice"]


def test_plain_safetensors_by_their_header(tmp_path):
    save_file({"w": torch.full((2, 3), SECRET)}, tmp_path / "plain.safetensors")
    found = described(tmp_path / "plain.safetensors")
    assert found["rows"] == [{"name": "w", "dtype": "F32", "shape": [2, 3]}]
    assert found["elements"] == 6


def test_tables_show_no_secret_and_no_share(folder):
    """Neither the values, nor any element that a file holds, nor a line of a key."""
    from cryptensor.io import container

    for file in ("model.party0", "s.party0", "s.party1", "certificates/party0.key", "plan.json"):
        for options in ([], ["--json"]):
            shown = run(folder / file, *options)
            assert shown.exit_code == 0, shown.output
            assert str(SECRET) not in shown.stdout
            assert str(round(SECRET * 2**16)) not in shown.stdout.replace(",", "")
            if "party" in file and not file.endswith("key"):
                _, tensors = container.read(folder / file)
                words = [str(word) for t in tensors.values() for word in t.flatten().tolist()]
                assert not any(len(w) > 6 and w in shown.stdout.replace(",", "") for w in words)
            if file.endswith("key"):
                lines = (folder / file).read_text().splitlines()
                assert not any(line in shown.stdout for line in lines)
    assert "0.weight" in run(folder / "model.party0").stdout


@pytest.mark.parametrize(
    "content, kind",
    [
        (b"", FileError),
        (b"hello", FileError),
        (b"{}", StoreError),
        (b'{"format": "cryptensor-plan-1"}', StoreError),
        (b"CTSTORE1", StoreError),
        (b"\xff" * 8 + b"{", FileError),
        (b"\x09" + b"\0" * 7 + b'{"w": {}}', FileError),
        (b"\x09" + b"\0" * 7 + b'{"w": []', FileError),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", FileError),
        (b"-----BEGIN CERTIFICATE-----\n\xff\n", FileError),
    ],
)
def test_what_is_none_of_them_is_refused(tmp_path, content, kind):
    (tmp_path / "file").write_bytes(content)
    error = run(tmp_path / "file").exception
    assert isinstance(error, kind) and "file" in str(error), repr(error)


def test_damaged_missing_and_folders_are_refused(folder, tmp_path):
    content = bytearray((folder / "model.party0").read_bytes())
    content[-1] ^= 1
    (tmp_path / "model.party0").write_bytes(content)
    for path in (tmp_path / "model.party0", tmp_path / "nowhere", tmp_path):
        assert isinstance(run(path).exception, Error)
