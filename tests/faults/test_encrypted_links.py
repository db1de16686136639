# SPDX-License-Identifier: MIT
"""Encrypted links in real processes: who is let in, and what happens to those who are not."""

import re
import socket
import threading
import time

import pytest
import torch

import cryptensor as ct
from cryptensor import _C
from cryptensor.errors import AuthFailed, ConfigError, Error, PeerLost, RemoteError, SetupError

SECONDS = 2.0  # from the first connection to the error


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("certificates")
    ct.make_certificates(path, 3)
    return path


def meet(files, sessions=None, names=None, seconds=8.0):
    """What each rank gets that comes with these files (authority, certificate, key)."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in files]
    addresses = [listener.getsockname() for listener in listeners]
    names = names or [f"party{rank}" for rank in range(len(files))]
    found = [None] * len(files)

    def come(rank):
        authority, certificate, key = map(str, files[rank])
        start = time.monotonic()
        try:
            found[rank] = _C.tls_transport(
                rank=rank,
                listener=listeners[rank].detach(),
                addresses=addresses,
                names=names,
                authority=authority,
                certificate=certificate,
                key=key,
                session=(sessions or {}).get(rank, bytes(32)),
                seconds=seconds,
            )
        except Error as error:
            found[rank] = error
        return time.monotonic() - start

    took = [0.0] * len(files)

    def timed(rank):
        took[rank] = come(rank)

    threads = [threading.Thread(target=timed, args=(rank,)) for rank in range(len(files))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, max(took)


def files_of(folder, name):
    return folder / "authority.pem", folder / f"{name}.pem", folder / f"{name}.key"


def products():
    torch.manual_seed(0)
    x, y = torch.randn(300, 200), torch.randn(200, 100)
    secret = ct.cryptensor(x, src=0) @ ct.cryptensor(y, src=1)
    return torch.relu(secret).reveal(), torch.relu(x @ y)


@pytest.mark.parametrize("provider", ["third_party", "first_party"])
def test_a_program_runs_over_encrypted_links(folder, provider):
    for secret, plain in ct.launch(products, provider=provider, certificates=str(folder)):
        assert (secret - plain).abs().max() < 2**-10


def test_what_is_sent_is_the_same_over_all_links(folder):
    def counted():
        products()
        return ct.stats().total()

    links = [{"transport": "gloo"}, {"transport": "shared_memory"}, {"certificates": str(folder)}]
    plain, *others = (ct.launch(counted, **link)[0] for link in links)
    for name in ("rounds", "messages", "bytes_sent", "bytes_received", "dealer_bytes"):
        assert {getattr(other, name) for other in others} == {getattr(plain, name)}


def test_a_party_that_ends_is_lost_within_a_second(folder):
    def body():
        products()
        if ct.rank() == 1:
            raise KeyError("missing column")
        start = time.monotonic()
        with pytest.raises(PeerLost):
            products()
        ct.progress(time.monotonic() - start)
        raise SystemExit(1)

    waited = []
    with pytest.raises(RemoteError, match="missing column"):
        ct.launch(
            body, certificates=str(folder), on_progress=lambda _, message: waited.append(message)
        )
    assert len(waited) == 1 and waited[0] < 1.0


def other_authority(folder, tmp_path):
    ct.make_certificates(tmp_path, 2)
    return (folder / "authority.pem", *files_of(tmp_path, "party1")[1:])


def expired(folder, tmp_path):
    return _signed_again(folder, tmp_path, "party1", -3, -1)


def not_yet(folder, tmp_path):
    return _signed_again(folder, tmp_path, "party1", 1, 3)


def other_name(folder, tmp_path):
    return files_of(folder, "party2")


def name_of_the_dealer(folder, tmp_path):
    return files_of(folder, "dealer")


def _signed_again(folder, tmp_path, name, start, end):
    for kind in ("pem", "key"):
        (tmp_path / f"authority.{kind}").write_bytes((folder / f"authority.{kind}").read_bytes())
    _C.make_certificate(str(tmp_path), name, start, end)
    return files_of(tmp_path, name)


IMPOSTORS = [other_authority, expired, not_yet, other_name, name_of_the_dealer]


@pytest.mark.parametrize("impostor", IMPOSTORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("rank", [0, 1])
def test_who_cannot_prove_its_rank_is_refused_at_both_ends(folder, tmp_path, impostor, rank):
    files = [files_of(folder, f"party{r}") for r in range(2)]
    files[1] = impostor(folder, tmp_path)
    names = ["party0", "party1"]
    if rank == 0:
        files.reverse()
        names.reverse()
    found, seconds = meet(files, names=names)
    assert [type(error) for error in found] == [AuthFailed, AuthFailed], found
    assert seconds < SECONDS


def test_a_peer_without_a_certificate_is_refused(folder):
    import ssl

    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    found = []

    def serve():
        try:
            _C.tls_transport(
                rank=0,
                listener=listener.detach(),
                addresses=[address, ("127.0.0.1", 1)],
                names=["party0", "party1"],
                authority=str(folder / "authority.pem"),
                certificate=str(folder / "party0.pem"),
                key=str(folder / "party0.key"),
                session=bytes(32),
                seconds=5.0,
            )
        except Error as error:
            found.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    start = time.monotonic()
    with socket.create_connection(address) as plain, pytest.raises(OSError):
        with context.wrap_socket(plain, server_hostname="party0") as stream:
            # The refusal comes in answer to the first bytes; none of a protocol come before.
            stream.sendall(bytes(44))
            assert stream.recv(1) == b"" or pytest.fail("the server sent something")
            raise OSError("closed")
    thread.join()
    assert isinstance(found[0], AuthFailed)
    assert time.monotonic() - start < SECONDS


def test_strangers_at_the_port_are_not_peers(folder):
    """A scanner that sends something else, or nothing, does not stop the ranks from meeting."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [listener.getsockname() for listener in listeners]
    stranger = socket.create_connection(addresses[0])
    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    gone = socket.create_connection(addresses[1])
    gone.close()
    found = [None, None]

    def come(rank):
        authority, certificate, key = map(str, files_of(folder, f"party{rank}"))
        found[rank] = _C.tls_transport(
            rank=rank,
            listener=listeners[rank].detach(),
            addresses=addresses,
            names=["party0", "party1"],
            authority=authority,
            certificate=certificate,
            key=key,
            session=bytes(32),
            seconds=8.0,
        )

    threads = [threading.Thread(target=come, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stranger.close()
    assert [transport.rank for transport in found] == [0, 1]


def test_ranks_of_different_sessions_or_settings_do_not_meet(folder):
    files = [files_of(folder, f"party{rank}") for rank in range(2)]
    found, _ = meet(files, sessions={1: bytes([1]) * 32}, seconds=3.0)
    assert [type(error) for error in found] == [SetupError, SetupError]
    assert any("another session" in str(error) for error in found)


def test_a_rank_that_does_not_come_is_named(folder):
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    authority, certificate, key = map(str, files_of(folder, "party0"))
    with pytest.raises(SetupError, match="rank 1"):
        _C.tls_transport(
            rank=0,
            listener=listener.detach(),
            addresses=[address, ("127.0.0.1", 1)],
            names=["party0", "party1"],
            authority=authority,
            certificate=certificate,
            key=key,
            session=bytes(32),
            seconds=1.0,
        )


@pytest.mark.parametrize("missing", ["authority.pem", "party1.pem", "party1.key", "dealer.key"])
def test_a_missing_file_is_named(tmp_path, missing):
    ct.make_certificates(tmp_path, 2)
    (tmp_path / missing).unlink()
    with pytest.raises(RemoteError, match=re.escape(missing)):
        ct.launch(products, certificates=str(tmp_path))


def test_a_key_of_another_certificate_is_refused(tmp_path):
    ct.make_certificates(tmp_path, 2)
    (tmp_path / "party1.key").write_bytes((tmp_path / "party0.key").read_bytes())
    with pytest.raises(RemoteError, match=r"party1\.key"):
        ct.launch(products, certificates=str(tmp_path))


@pytest.mark.parametrize("parties", [1, True, "2"])
def test_certificates_for_a_bad_number_of_parties(tmp_path, parties):
    with pytest.raises(ConfigError, match="parties is"):
        ct.make_certificates(tmp_path, parties)


def test_keys_are_readable_by_their_owner_only(folder):
    for file in folder.glob("*.key"):
        assert file.stat().st_mode & 0o077 == 0
