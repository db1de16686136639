# SPDX-License-Identifier: MIT
"""Encrypted links: certificates that say which rank somebody is, and TLS connections that ask.

A folder holds authority.pem and, of each rank, a certificate and a key: party0.pem, party0.key,
..., dealer.pem, dealer.key. A host needs its own key only.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import ssl
from pathlib import Path

from torch.distributed import Store

from . import _C
from .config import Settings
from .errors import ConfigError, SetupError
from .rendezvous import Meeting, listen

DAYS = 365


def make_certificates(folder: str | os.PathLike[str], parties: int, days: int = DAYS) -> list[Path]:
    """An authority of one's own and a certificate for each party and the dealer.

    folder: made where it does not exist; an authority in it is used again.
    days: how long the certificates are good. A negative number gives expired ones.

    Returns the files that were written. Whoever has authority.key can pretend to be any party: keep
    it away from the hosts that compute. Raises ConfigError where a file cannot be written.
    """
    if isinstance(parties, bool) or not isinstance(parties, int) or parties < 2:
        raise ConfigError(f"parties is {parties!r}; it must be an integer of at least 2")
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    names = [name_of(rank, parties) for rank in range(parties + 1)]
    start = min(-1, days - 1)
    if not (path / "authority.key").exists():
        _C.make_authority(str(path), start, max(days, DAYS))
        names.insert(0, "authority")
    for name in names:
        if name != "authority":
            _C.make_certificate(str(path), name, start, days)
    return [path / f"{name}.{kind}" for name in names for kind in ("pem", "key")]


def name_of(rank: int, parties: int) -> str:
    """What the certificate of a rank has to say."""
    return "dealer" if rank == parties else f"party{rank}"


def connect(store: Store, meeting: Meeting, settings: Settings, seconds: float) -> _C.Transport:
    """A transport over encrypted connections to all ranks of the meeting.

    Raises ConfigError (no or unusable files), AuthFailed (a peer that cannot prove its rank),
    SetupError (a rank that is not reached).
    """
    names = [name_of(rank, settings.parties) for rank in range(meeting.size)]
    files = _files(settings.certificates or "", names[meeting.rank])
    with listen(meeting) as listener:
        addresses, session = _addresses(store, meeting, listener, settings, seconds)
        return _C.tls_transport(
            rank=meeting.rank,
            listener=listener.detach(),
            addresses=addresses,
            names=names,
            session=session,
            seconds=float(seconds),
            **{what: str(file) for what, file in files.items()},
        )


def context(folder: str, own: str, protocol: int) -> ssl.SSLContext:
    """TLS 1.3 for the holder of the certificate named `own`, with certificates on both sides.

    protocol: ssl.PROTOCOL_TLS_CLIENT or ssl.PROTOCOL_TLS_SERVER. Raises ConfigError.
    """
    files = _files(folder, own)
    made = ssl.SSLContext(protocol)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_REQUIRED
    try:
        made.load_verify_locations(files["authority"])
        made.load_cert_chain(files["certificate"], files["key"])
    except OSError as error:
        raise ConfigError(
            f"certificates is {folder!r}, whose files for {own} cannot be used ({error}); make "
            "them with ct.make_certificates(folder, parties)"
        ) from error
    return made


def _files(folder: str, own: str) -> dict[str, Path]:
    files = {
        "authority": Path(folder) / "authority.pem",
        "certificate": Path(folder) / f"{own}.pem",
        "key": Path(folder) / f"{own}.key",
    }
    for what, file in files.items():
        if not file.is_file():
            raise ConfigError(
                f"certificates is {folder!r}, where {file.name} is missing, the {what} of {own}; "
                "make it with ct.make_certificates(folder, parties)"
            )
    return files


def _addresses(
    store: Store, meeting: Meeting, listener: socket.socket, settings: Settings, seconds: float
) -> tuple[list[tuple[str, int]], bytes]:
    """Where the ranks listen, and a digest of what they have to agree on.

    The store is not trusted: a wrong address leads to somebody without the right certificate, and a
    wrong record to different digests.
    """
    host, port = listener.getsockname()[:2]
    try:
        if meeting.rank == 0:
            store.set("tls/session", os.urandom(32).hex())
        store.set(f"tls/{meeting.rank}", json.dumps([host, port]))
        records = [json.loads(store.get(f"tls/{rank}")) for rank in range(meeting.size)]
        once = store.get("tls/session").decode()
        addresses = [(str(host), int(port)) for host, port in records]
    except (RuntimeError, ValueError, TypeError) as error:
        raise SetupError(
            f"rank {meeting.rank}: the addresses of the others did not come through the store "
            f"within {seconds:g} s"
        ) from error
    agreed = json.dumps([once, meeting.size, settings.agreement()], sort_keys=True)
    return addresses, hashlib.sha256(agreed.encode()).digest()
