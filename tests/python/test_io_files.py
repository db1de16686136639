# SPDX-License-Identifier: MIT
"""load() refuses every file that is not what this party saved, at all parties and by name."""

import hashlib
import json
import os
import shutil

import pytest
import safetensors.torch
import torch
from saved_files import NUMBERS, file_of, outcomes, refused, saved

import cryptensor as ct
from cryptensor.errors import ConfigError, FileError
from cryptensor.io import container


def test_every_byte_counts(tmp_path):
    content = file_of(saved(tmp_path), 1).read_bytes()
    header_, tensors = container.decode(content)
    assert header_.party == 1 and set(tensors) == {"sum", "plain"}
    for i in range(len(content)):
        for flip in (0x01, 0x2A, 0x80):  # 0x2A makes a line feed of a blank in the padding
            altered = bytearray(content)
            altered[i] ^= flip
            with pytest.raises(FileError):
                container.decode(bytes(altered))
        with pytest.raises(FileError):
            container.decode(content[:i])
    with pytest.raises(FileError, match="truncated or altered"):
        container.decode(content + b"\0")


def plant(path, what):
    """Puts something else in the place of party 1's file."""
    file = file_of(path, 1)
    content = file.read_bytes()
    file.unlink()
    if what == "directory":
        file.mkdir()
    elif what == "pipe":
        os.mkfifo(file)
    elif what == "truncated":
        file.write_bytes(content[:-3])
    elif what == "truncated header":
        file.write_bytes(content[:100])
    elif what == "altered":
        file.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    elif what == "empty":
        file.write_bytes(b"")
    elif what == "huge header":
        file.write_bytes((2**60).to_bytes(8, "little") + content[8:])
    elif what == "safetensors":
        safetensors.torch.save_file({"x": NUMBERS}, file)
    elif what == "pickle":
        torch.save(NUMBERS, file)
    elif what == "text":
        file.write_text("Dear reader, these are no shares.\n" * 9)
    elif what == "other party":
        shutil.copy(file_of(path, 0), file)
    else:
        assert what == "missing"


WRONG = {
    "missing": "no such file",
    "directory": "no such file",
    "pipe": "no such file",
    "truncated": "truncated or altered",
    "truncated header": "truncated",
    "altered": "truncated or altered",
    "empty": "is no file of ct.save()",
    "huge header": "is no file of ct.save()",
    "safetensors": "is no file of ct.save()",
    "pickle": "is no file of ct.save()",
    "text": "is no file of ct.save()",
    "other party": "is of party 0; it must be 1's",
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_at_one_party_is_refused_at_all(tmp_path, what):
    path = saved(tmp_path)
    plant(path, what)
    errors = outcomes(lambda: ct.load(path))
    refused(errors, FileError, "party 1 could not load its file", WRONG[what])
    assert "x.ct.party1" in str(errors[1])
    assert isinstance(errors[0], OSError) and isinstance(errors[0], ct.errors.Error)


def test_files_of_two_saves_do_not_mix(tmp_path):
    first, second = saved(tmp_path, name="a.ct"), saved(tmp_path, name="b.ct")
    shutil.copy(file_of(second, 1), file_of(first, 1))
    refused(outcomes(lambda: ct.load(first)), FileError, "are mixed", "are mixed")


def with_metadata(content, **changes):
    """A file with a right checksum and other metadata, as only an attacker makes it."""
    text = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    text.update(changes, checksum="0" * 64)
    forged = safetensors.torch.save(safetensors.torch.load(content), text)
    digest = hashlib.sha256(forged).hexdigest().encode()
    return forged.replace(b'"checksum":"' + b"0" * 64, b'"checksum":"' + digest)


ROW = {"name": "sum", "kind": "secret", "dtype": "float32", "shape": [2], "owner": -1}
PLAIN = {"name": "plain", "kind": "plain", "dtype": "float32", "shape": [2]}
ROWS = {
    "no list": "7",
    "no JSON": "[",
    "deep": "[" * 100_000,
    "no row": "[7]",
    "unknown field": json.dumps([{**ROW, "pickle": "x"}, PLAIN]),
    "no name": json.dumps([{"kind": "plain"}]),
    "name": json.dumps([{**ROW, "name": ["sum"]}, PLAIN]),
    "name twice": json.dumps([ROW, ROW, PLAIN]),
    "kind": json.dumps([{**ROW, "kind": "clear"}, PLAIN]),
    "dtype": json.dumps([{**ROW, "dtype": "complex64"}, PLAIN]),
    "negative shape": json.dumps([{**ROW, "shape": [-2]}, PLAIN]),
    "huge shape": json.dumps([ROW, PLAIN, {**ROW, "name": "x", "shape": [2**30] * 2, "owner": 0}]),
    "other shape": json.dumps([{**ROW, "shape": [1, 2]}, PLAIN]),
    "fraction bits": json.dumps([{**ROW, "fraction_bits": 63}, PLAIN]),
    "boolean bits": json.dumps([{**ROW, "fraction_bits": True}, PLAIN]),
    "owner": json.dumps([{**ROW, "owner": 2}, PLAIN]),
    "gradient": json.dumps([{**ROW, "requires_grad": 1}, PLAIN]),
    "tied to nothing": json.dumps([ROW, PLAIN, {"name": "x", "kind": "tied", "shape": []}]),
    "missing tensor": json.dumps([ROW, PLAIN, {**PLAIN, "name": "more"}]),
    "tensor beyond": json.dumps([ROW]),
}
FIELDS = {
    "version": {"version": "2"},
    "protocol": {"protocol": "replicated"},
    "save": {"save": "12"},
    "party": {"party": "2"},
    "signed party": {"party": "-1"},
    "parties": {"parties": "1000"},
    "precision": {"precision": "sixteen"},
    "contents": {"contents": "code"},
    "too many": {"contents": "tensor"},
    **{f"tensors: {name}": {"tensors": text} for name, text in ROWS.items()},
}


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Party 1's file."""
    return file_of(saved(tmp_path_factory.mktemp("forged")), 1).read_bytes()


def test_metadata_of_other_spelling_is_read(content):
    header, _ = container.decode(with_metadata(content, tensors=json.dumps([ROW, PLAIN])))
    assert [entry.name for entry in header.entries] == ["sum", "plain"]


@pytest.mark.parametrize("name", FIELDS)
def test_forged_metadata_is_refused(content, name):
    with pytest.raises(FileError) as caught:
        container.decode(with_metadata(content, **FIELDS[name]))
    assert len(str(caught.value)) < 300


def test_a_version_to_come_is_named(tmp_path):
    path = saved(tmp_path)
    for party in range(2):
        content = file_of(path, party).read_bytes()
        file_of(path, party).write_bytes(with_metadata(content, version="2"))
    errors = outcomes(lambda: ct.load(path))
    refused(errors, FileError, "is of format version '2'", "is of format version '2'")


def test_other_sessions_are_refused(tmp_path):
    path = saved(tmp_path)
    shutil.copy(file_of(path, 1), file_of(path, 2))
    errors = outcomes(lambda: ct.load(path), precision=20)
    refused(errors, ConfigError, *["precision is 20 in this session; it must be 16"] * 2)
    path = saved(tmp_path, parties=3, name="three.ct")
    errors = outcomes(lambda: ct.load(path))
    refused(errors, ConfigError, *["parties is 2 in this session; it must be 3"] * 2)
