# SPDX-License-Identifier: MIT
"""What a file of the library is: shapes, owners, counts, digests. Never a secret or a share."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import stat
import struct
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import FileError
from .io import container
from .io.header import FORMAT
from .offline import Plan, store_status

_STORE_MAGIC = b"CTSTORE1"
_PEM = b"-----BEGIN "
_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000  # of safetensors
_OTHERS = 0o077
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Description:
    """kind: in a few words. facts: by name. rows: of tensors or correlations, with equal keys."""

    kind: str
    facts: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    advice: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, ready for JSON."""
        return {"kind": self.kind, **self.facts, "rows": self.rows, "advice": self.advice}


def describe(path: str | os.PathLike[str]) -> Description:
    """Reads a file of save(), of `cryptensor deal`, of a plan's save() or of make_certificates().

    Plain safetensors, which load_from_party() takes, are described by their header. Each is checked
    as when it is used, and what is secret in it stays out of the description. A store gets its
    .used file if it has none. Raises FileError or StoreError for a file that is damaged, or none of
    these.
    """
    file = Path(path)
    try:
        if not file.is_file():  # a pipe would block
            raise FileError(f"{file} is no file")
        with file.open("rb") as opened:
            start = opened.read(64)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"the file {file} cannot be read: {error.strerror or error}") from None
    if start.startswith(_STORE_MAGIC):
        return _store(file)
    if start.startswith(_PEM):
        return _pem(file)
    if start[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{":
        return _safetensors(file)
    if start.lstrip().startswith(b"{"):
        return _plan(file)
    raise FileError(
        f"{file} is none of the files that cryptensor writes: shares of ct.save(), a store, a "
        "plan, a certificate or a key"
    )


def _store(file: Path) -> Description:
    status = store_status(file)
    facts = {
        "party": status.party,
        "parties": status.parties,
        "precision": status.precision,
        "truncation": status.truncation,
        "checked": status.checked,
        "lots": status.lots,
        "lots left": status.lots_left,
        "steps per lot": status.steps,
        "steps left": status.steps_left,
        "bytes": status.bytes,
        "plan digest": status.plan,
    }
    advice = "All its lots are used up: deal another store." if not status.lots_left else ""
    return Description("correlations dealt before a session", facts, advice=advice)


def _plan(file: Path) -> Description:
    plan = Plan.load(file)
    facts = {
        "parties": plan.parties,
        "precision": plan.precision,
        "truncation": plan.truncation,
        "checked": plan.checked,
        "correlations of the start": plan.start,
        "correlations of a step": plan.step,
        "bytes of the start": plan.start_bytes,
        "bytes of a step": plan.step_bytes,
        "digest": plan.digest,
    }
    rows = plan._plan.rows()
    parts = [("start", rows[: plan.start]), ("step", rows[plan.start :])]
    return Description(
        "a plan of ct.trace()",
        facts,
        [
            {"part": part, "correlation": text, "times": times, "bytes": times * size}
            for part, found in parts
            for (text, size, _), times in Counter(found).items()
        ],
    )


def _safetensors(file: Path) -> Description:
    metadata = _header(file).get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        return _plain_tensors(file)
    header, _ = container.read(file)
    owners = {-1: "shared", -2: "public"}
    rows: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "kind": f"tied to {entry.same_as}" if entry.kind == "tied" else entry.kind,
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "owner": owners.get(entry.owner, f"party {entry.owner}")
            if entry.kind == "secret"
            else "",
            "held here": entry.stored_at(header.party),
        }
        for entry in header.entries
    ]
    facts = {
        "party": header.party,
        "parties": header.parties,
        "precision": header.precision,
        "contents": header.contents,
        "tensors": len(rows),
        "elements held here": sum(
            _product(row["shape"]) for row in rows if row["held here"] is True
        ),
        "save": header.save_id,
        "digest of the save": header.digest().hex(),
    }
    return Description("a party's file of ct.save()", facts, rows, _openness(file))


def _plain_tensors(file: Path) -> Description:
    """Only the header is read."""
    rows: list[dict[str, Any]] = []
    try:
        for name, entry in _header(file).items():
            if name != "__metadata__":
                shape = [int(size) for size in entry["shape"]]
                rows.append({"name": name, "dtype": str(entry["dtype"]), "shape": shape})
    except (TypeError, KeyError, ValueError):
        raise FileError(f"{file} has a header that is none of safetensors") from None
    facts = {"tensors": len(rows), "elements": sum(_product(row["shape"]) for row in rows)}
    return Description("plain safetensors, for ct.load_from_party()", facts, rows)


def _header(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        (size,) = struct.unpack("<Q", opened.read(_LENGTH_BYTES))
        text = opened.read(size) if size <= _LONGEST_HEADER else b""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise FileError(f"{file} is truncated in its header, or no safetensors file")
    return header


def _pem(file: Path) -> Description:
    text = file.read_text(errors="replace")
    if "PRIVATE KEY" in text.partition("\n")[0]:
        facts: dict[str, Any] = {"mode": f"{stat.S_IMODE(file.stat().st_mode):04o}"}
        return Description(
            "a private key, of which nothing is shown", facts, advice=_openness(file)
        )
    try:
        encoded = ssl.PEM_cert_to_DER_cert(text)
        # Python has no public reader of a certificate that it does not trust.
        found: dict[str, Any] = ssl._ssl._test_decode_cert(str(file))  # type: ignore[attr-defined]
    except (ValueError, OSError):
        raise FileError(f"{file} holds no certificate, or a damaged one") from None
    days = int((ssl.cert_time_to_seconds(found["notAfter"]) - time.time()) // _DAY)
    facts = {
        "subject": _common_name(found["subject"]),
        "issuer": _common_name(found["issuer"]),
        "names": [name for _, name in found.get("subjectAltName", ())],
        "from": found["notBefore"],
        "until": found["notAfter"],
        "days left": days,
        "serial": found["serialNumber"],
        "sha256": hashlib.sha256(encoded).hexdigest(),
    }
    advice = "It has expired: make new ones, `cryptensor cert`." if days < 0 else ""
    return Description("a certificate", facts, advice=advice)


def _common_name(names: Any) -> str:
    return ", ".join(value for part in names for key, value in part if key == "commonName")


def _openness(file: Path) -> str:
    if not file.stat().st_mode & _OTHERS:
        return ""
    return f"Other users of this host can read it: chmod 600 {file}"


def _product(shape: list[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total
