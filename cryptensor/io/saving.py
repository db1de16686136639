# SPDX-License-Identifier: MIT
"""save(): what each party holds of a model or tensor, into a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from .. import _C, session
from ..errors import ConfigError
from ..tensor import CrypTensor
from . import container
from .agreement import agree, attempt
from .header import DTYPES, MAX_ELEMENTS, Entry, Header

_DIGEST_BYTES, _ID_BYTES = 32, 16
_SINGLE = "tensor"


def save(obj: Any, path: Any) -> None:
    """Writes a secret model or tensor, one file per party: `path` with `.party0` and so on behind.

    Every party calls it with an obj of the same structure; load() reads it in a later session of
    as many parties and the same precision.

    obj: a CrypTensor, a torch.nn.Module (its state_dict; tied tensors are stored once), or a dict
      from names to tensors. Secrets of any shape are stored as they are, without rounding. A plain
      tensor is stored as this party has it.
    path: where; the folder must exist. A file that is there is replaced once all parties have
      written theirs.

    A file holds the party's shares, and the values that the party owns in the clear; of values
    that another party owns it holds the shape. It is readable by its user only (mode 0600), and not
    encrypted. Public numbers only are exchanged: whether all went well, a digest of names, shapes
    and owners, and the number of the save.
    Cost: two agreements, of one round for each party and one more.
    Raises, at every party: ConfigError for another obj or path, other names, shapes, dtypes or
    owners at another party; FileError where a disk refuses: older files then stay as they are.
    PeerTimeout where a party writes for longer than the session waits. A party that dies in the
    very last step, when all have written, can leave files of two saves, which load() refuses.
    """
    engine: Any = session.current().engine
    plan, error = attempt(lambda: _Plan(engine, obj, path))
    digest = plan.header.digest() if plan is not None else bytes(_DIGEST_BYTES)
    lines = agree(engine, "ct.save()", error, digest + _C.random_bytes(_ID_BYTES))
    assert plan is not None
    for party, line in enumerate(lines):
        if line[:_DIGEST_BYTES] != lines[0][:_DIGEST_BYTES]:
            raise ConfigError(
                f"obj differs between party 0 and party {party}; names, shapes, dtypes, owners and "
                "fraction bits must be the same at all parties"
            )
    save_id = lines[0][_DIGEST_BYTES:].hex()
    draft, error = attempt(lambda: plan.write(save_id))
    try:
        agree(engine, "the end of ct.save()", error)
    except BaseException:
        if draft is not None:
            container.discard(draft)
        raise
    assert draft is not None
    container.replace(draft, plan.path)


class _Plan:
    """What this party will write, before the parties have agreed on it."""

    def __init__(self, engine: Any, obj: Any, path: Any) -> None:
        self.path = container.path_of(path, engine.rank)
        contents, named = _named(obj)
        entries: list[Entry] = []
        first: dict[int, str] = {}
        self._tensors: dict[str, torch.Tensor] = {}
        for name, value in named.items():
            _check(engine, name, value)
            if id(value) in first:
                entries.append(Entry(name, "tied", same_as=first[id(value)]))
                continue
            first[id(value)] = name
            entries.append(_entry(name, value, keep_grad=contents != "module"))
            if entries[-1].stored_at(engine.rank):
                self._tensors[name] = value
        self.header = Header(
            engine.rank, engine.parties, engine.precision, contents, tuple(entries)
        )

    def write(self, save_id: str) -> Any:
        """The finished draft of the file."""
        elements = {name: _elements(value) for name, value in self._tensors.items()}
        header = replace(self.header, save_id=save_id)
        return container.write(self.path, container.encode(header, elements))


def _named(obj: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(obj, torch.Tensor):
        return "tensor", {_SINGLE: obj}
    if isinstance(obj, nn.Module):
        # The tensors themselves, not aliases of them: those that are tied are one object.
        return "module", obj.state_dict(keep_vars=True)
    if isinstance(obj, Mapping):
        return "dict", obj
    raise ConfigError(
        f"obj is of type {type(obj).__name__}; it must be a CrypTensor, a torch.nn.Module or a "
        "dict from names to tensors"
    )


def _check(engine: Any, name: Any, value: Any) -> None:
    """ConfigError naming what cannot be saved."""
    if not isinstance(name, str) or name == "__metadata__":
        raise ConfigError(f"obj has the name {name!r}; it must be text other than '__metadata__'")
    if not isinstance(value, torch.Tensor):
        raise ConfigError(f"obj[{name!r}] is of type {type(value).__name__}; it must be a tensor")
    if isinstance(value, CrypTensor):
        if value._engine is not engine:
            raise ConfigError(f"obj[{name!r}] belongs to another session; it must be of this one")
    elif value.layout != torch.strided or value.is_meta or value.is_quantized:
        raise ConfigError(f"obj[{name!r}] is sparse, quantized or on meta; it must be dense")
    if value.numel() > MAX_ELEMENTS:
        raise ConfigError(f"obj[{name!r}] has {value.numel()} elements; at most 2^31 can be saved")
    if _dtype_name(value) not in DTYPES:
        raise ConfigError(
            f"obj[{name!r}] is of dtype {value.dtype}; it must be one of {', '.join(DTYPES)}"
        )


def _entry(name: str, value: torch.Tensor, keep_grad: bool) -> Entry:
    entry = Entry(
        name,
        "secret" if isinstance(value, CrypTensor) else "plain",
        _dtype_name(value),
        tuple(value.shape),
        requires_grad=keep_grad and value.requires_grad and value.is_leaf,
    )
    if not isinstance(value, CrypTensor):
        return entry
    secret = value._secret
    return replace(entry, fraction_bits=secret.fraction_bits, owner=secret.owner)


def _elements(value: torch.Tensor) -> torch.Tensor:
    if isinstance(value, CrypTensor):
        return value._secret.export_share().contiguous()
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def _dtype_name(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")
