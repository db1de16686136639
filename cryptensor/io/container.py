# SPDX-License-Identifier: MIT
"""One party's file: safetensors, with a checksum over every byte of it.

The checksum is the SHA-256 of the file with zeros for the digits of the checksum itself, so that
no byte is left out: neither elements nor metadata nor padding.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from ..errors import ConfigError, FileError
from . import header as of
from .header import Header

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit
_BLANK = b"0" * 64
# Within a JSON string each quote is escaped, so that no name of a tensor can look like this.
_CHECKSUM = re.compile(rb'"checksum":"([0-9a-f]{64})"')


def path_of(path: Any, party: int) -> Path:
    """The file of one party: the path with `.party0` and so on behind it.

    Raises ConfigError for what names no file.
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise ConfigError(f"path is of type {type(path).__name__}; it must be a path") from None
    if "\0" in text or os.path.basename(text) in ("", ".", ".."):
        raise ConfigError(f"path is {text!r}; it must name a file")
    return Path(f"{text}.party{party}")


def encode(header: Header, tensors: dict[str, torch.Tensor]) -> list[bytes | memoryview]:
    """The content of a file, in parts. Raises ConfigError for names that have no encoding."""
    metadata = {**header.metadata(), "checksum": _BLANK.decode()}
    try:
        content = safetensors.torch.save(tensors, metadata)
    except (ValueError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
        raise ConfigError(f"obj cannot be written as safetensors: {error}") from None
    (found,) = _CHECKSUM.finditer(content, 0, _end_of_header(content))
    view = memoryview(content)
    return [
        view[: found.start(1)],
        hashlib.sha256(content).hexdigest().encode(),
        view[found.end(1) :],
    ]


def decode(content: bytes) -> tuple[Header, dict[str, torch.Tensor]]:
    """Header and elements. Raises FileError, whose text continues "the file ..."."""
    metadata = _metadata(content)
    found = list(_CHECKSUM.finditer(content, 0, _end_of_header(content)))
    digest = hashlib.sha256()
    if len(found) == 1:
        view = memoryview(content)
        for part in (view[: found[0].start(1)], _BLANK, view[found[0].end(1) :]):
            digest.update(part)
    if len(found) != 1 or digest.hexdigest().encode() != found[0].group(1):
        raise FileError("is truncated or altered: its checksum is not that of its content")
    header = of.parse(metadata)
    try:
        tensors = safetensors.torch.load(content)
    except Exception as error:
        raise FileError(f"holds no tensors: {error}") from None
    expected = {e.name: e for e in header.entries if e.stored_at(header.party)}
    if tensors.keys() != expected.keys():
        raise FileError("holds other tensors than its metadata names")
    for name, entry in expected.items():
        if (tensors[name].dtype, tuple(tensors[name].shape)) != (entry.stored_dtype, entry.shape):
            raise FileError(f"holds {name!r} with another dtype or shape than its metadata names")
    return header, tensors


def read(path: Path) -> tuple[Header, dict[str, torch.Tensor]]:
    """Header and elements of a file. Raises FileError naming the file and what is wrong with it."""
    try:
        if not path.is_file():  # a pipe would block
            raise FileNotFoundError("no such file")
        with path.open("rb") as file:
            start = file.read(_LENGTH_BYTES)
            # Ask a short question first: a foreign file may be of any size.
            _metadata(start + file.read(_header_bytes(start)))
            file.seek(0)
            return decode(file.read())
    except FileError as error:
        raise FileError(f"the file {path} {error}") from None
    except OSError as error:
        raise FileError(f"the file {path} cannot be read: {error.strerror or error}") from None


def write(path: Path, content: list[bytes | memoryview]) -> Path:
    """Writes beside `path`, readable by its owner only, and returns where: replace() finishes.

    Raises FileError where the disk refuses; nothing is left behind then.
    """
    draft = path.with_name(f".{path.name[:200]}.{os.urandom(8).hex()}.tmp")
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a directory")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        discard(draft)
        raise FileError(f"the file {path} cannot be written: {error.strerror or error}") from None
    return draft


def replace(draft: Path, path: Path) -> None:
    """Gives a draft its name, in one step; what was there before is gone. Raises FileError."""
    try:
        os.replace(draft, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        discard(draft)
        raise FileError(f"the file {path} cannot be written: {error.strerror or error}") from None


def discard(draft: Path) -> None:
    with suppress(OSError):
        draft.unlink()


def _header_bytes(content: bytes) -> int:
    if len(content) < _LENGTH_BYTES:
        raise FileError("is no file of ct.save(), or the first bytes of one")
    size: int
    (size,) = struct.unpack_from("<Q", content)
    if size > _MAX_HEADER_BYTES:
        raise FileError("is no file of ct.save()")
    return size


def _end_of_header(content: bytes) -> int:
    return _LENGTH_BYTES + _header_bytes(content)


def _metadata(content: bytes) -> dict[str, Any]:
    """The metadata of a file that begins with `content`. FileError for a foreign file."""
    end = _end_of_header(content)
    text = content[_LENGTH_BYTES:end]
    if len(content) < end:
        raise FileError("is truncated in its header, or no file of ct.save()")
    try:
        metadata: dict[str, Any] = json.loads(text)["__metadata__"]
        is_ours = metadata["format"] == of.FORMAT
    except (ValueError, TypeError, KeyError, RecursionError):
        is_ours = False
    if not is_ours:
        hint = ", or was altered" if b'"cryptensor"' in text else ""
        raise FileError(f"is no file of ct.save(){hint}")
    return metadata
