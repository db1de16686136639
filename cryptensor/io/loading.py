# SPDX-License-Identifier: MIT
"""load() and load_from_party(): files become secrets of this session."""

from __future__ import annotations

from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from .. import session
from ..data import check_source, cryptensor
from ..errors import ConfigError, FileError
from ..nn import encrypt
from ..tensor import CrypTensor
from . import container
from .agreement import agree, attempt
from .header import DTYPES, Entry, Header
from .placement import check_plain, check_saved, place

_ID_BYTES = 16
_DTYPES = (torch.float32, torch.float64, torch.int64)  # what a secret may look like


def load(path: Any, into: nn.Module | None = None) -> Any:
    """What save() wrote to `path`: the tensor, the dict, or of a module the state_dict.

    Every party calls it. The values are those that were saved, exactly, with the same owners.

    into: a module to load a saved module or dict into; it is changed and returned. Its names,
      shapes and dtypes must be the saved ones, or become them when the batch normalisations of a
      module in eval mode are folded, as encrypt() does. Buffers that are not persistent are not
      saved and stay as they are. Parameters must not be part of a live autograd graph.
    Cost: one agreement, of one round for each party and one more.
    Raises, at every party: FileError where a file is missing, truncated, altered, foreign, of
    another version or party, or where the files are of different saves; ConfigError in a session
    with another number of parties or precision, or where `into` does not fit by name or dtype;
    ShapeError where it does not fit by shape.
    """
    engine: Any = session.current().engine
    found, error = attempt(lambda: _found(engine, path, into))
    line = bytes.fromhex(found[0].save_id) + found[0].digest() if found else bytes(48)
    lines = agree(engine, "ct.load()", error, line)
    assert found is not None
    for party, theirs in enumerate(lines):
        if theirs != lines[0]:
            raise FileError(
                f"the files of {str(path)!r} are mixed: party 0 has one of save "
                f"{_id(lines[0])} and party {party} one of {_id(theirs)}; they must be of one save"
            )
    header, tensors = found
    values = _Values(engine, header, tensors)
    if into is not None:
        return place(into, values.entries, values.fresh)
    named = values.named()
    return named["tensor"] if header.contents == "tensor" else named


def load_from_party(path: Any, src: int = 0, into: nn.Module | None = None) -> Any:
    """A plain file of party `src` as secrets that it owns; the others read no file.

    path: at src a file of torch.save(), read with weights_only=True so that no code runs, or one
      of safetensors (`.safetensors`). It holds a tensor, or with `into` a state_dict.
    into: at all parties, a plain module of the same structure, which becomes secret in place as
      by encrypt(into, src); its batch normalisations are folded in eval mode.
    Cost: one agreement, of one round for each party and one more, and one round.
    Raises, at every party: ConfigError for a src that is no party or a state_dict that does not
    fit; FileError for a file that is missing, or holds anything but tensors; otherwise as
    cryptensor() and encrypt().
    """
    engine: Any = session.current().engine
    check_source(engine, src)
    content: Any
    content, error = attempt(lambda: _plain(engine, path, src, into))
    line = bytes([into is not None, _DTYPES.index(_secret_dtype(content))])
    lines = agree(engine, "ct.load_from_party()", error, line)
    if any(line[0] != lines[0][0] for line in lines):
        raise ConfigError("into is a module at some parties only; it must be one at all or none")
    if into is None:
        return cryptensor(content, src, dtype=_DTYPES[lines[src][1]])
    if engine.rank == src:
        into.load_state_dict(content)
    return encrypt(into, src, in_place=True)


class _Values:
    """The tensors of a file, as values of the session."""

    def __init__(self, engine: Any, header: Header, tensors: dict[str, torch.Tensor]) -> None:
        self._engine, self._header, self._tensors = engine, header, tensors
        self.entries = {entry.name: entry for entry in header.entries}

    def fresh(self, name: str) -> torch.Tensor:
        """A new value without a gradient, as a module's parameter or buffer."""
        entry = self.entries[name]
        entry = self.entries[entry.same_as] if entry.kind == "tied" else entry
        value = self._value(entry)
        if isinstance(value, CrypTensor):
            value._secret.reuse()  # as encrypt() says of all that belongs to a model
        return value

    def named(self) -> dict[str, torch.Tensor]:
        out: dict[str, torch.Tensor] = {}
        for name, entry in self.entries.items():
            if entry.kind == "tied":
                out[name] = out[entry.same_as]
            elif self._header.contents == "module":
                out[name] = self.fresh(name)
            else:
                out[name] = self._value(entry).requires_grad_(entry.requires_grad)
        return out

    def _value(self, entry: Entry) -> torch.Tensor:
        if entry.kind == "plain":
            return self._tensors[entry.name].clone()
        share = self._tensors.get(entry.name)
        if share is None:  # another party owns it
            share = torch.zeros(entry.shape, dtype=torch.int64)
        secret = self._engine.import_share(share, entry.fraction_bits, entry.owner)
        return CrypTensor(secret, self._engine, DTYPES[entry.dtype])


def _found(engine: Any, path: Any, into: Any) -> tuple[Header, dict[str, torch.Tensor]]:
    file = container.path_of(path, engine.rank)
    header, tensors = container.read(file)
    if header.party != engine.rank:
        raise FileError(f"the file {file} is of party {header.party}; it must be {engine.rank}'s")
    for name in ("parties", "precision"):
        saved, here = getattr(header, name), getattr(engine, name)
        if saved != here:
            raise ConfigError(
                f"{name} is {here} in this session; it must be {saved}, as {file} was saved with"
            )
    if into is not None:
        if header.contents == "tensor":
            raise ConfigError(f"into is given, but {file} holds a single tensor; it must be None")
        check_saved(into, {entry.name: entry for entry in header.entries})
    return header, tensors


def _plain(engine: Any, path: Any, src: int, into: Any) -> Any:
    """At src what its file holds, checked; elsewhere None."""
    if into is not None and not isinstance(into, nn.Module):
        raise ConfigError(f"into is of type {type(into).__name__}; it must be a torch.nn.Module")
    if into is not None and any(isinstance(t, CrypTensor) for t in into.state_dict().values()):
        raise ConfigError("into holds secrets already; it must be a plain module")
    if engine.rank != src:
        return None
    try:
        if str(path).endswith(".safetensors"):
            content = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # What torch says about a pickle is several screens, and advises to run its code.
        raise FileError(
            f"the file {path} cannot be read as plain tensors ({type(error).__name__}); it must be "
            "of torch.save() with tensors only, or of safetensors with that suffix"
        ) from None
    if into is not None:
        check_plain(into, content)
    elif not isinstance(content, torch.Tensor):
        raise ConfigError(
            f"{path} holds a {type(content).__name__}; it must be a tensor where into is None"
        )
    return content


def _secret_dtype(content: Any) -> torch.dtype:
    dtype = getattr(content, "dtype", torch.float32)
    if not dtype.is_floating_point:
        return torch.int64
    return torch.float64 if dtype is torch.float64 else torch.float32


def _id(line: bytes) -> str:
    return line[:_ID_BYTES].hex()[:8]
