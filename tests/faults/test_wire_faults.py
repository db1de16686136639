# SPDX-License-Identifier: MIT
"""Encrypted links: bytes altered on the wire, and a peer with a certificate that sends nonsense."""

import os
import random
import socket
import ssl
import struct
import threading
import time

import pytest
from cases import LOST_SECONDS, MOMENTS, TIMEOUT
from rank_program import compute

from cryptensor import _C, session
from cryptensor.config import Settings
from cryptensor.errors import AuthFailed, Error, PeerLost, PeerTimeout, ProtocolError

SETTINGS = Settings(provider="first_party", timeout=TIMEOUT)
HASTY = Settings(provider="first_party", timeout=0.4)
SESSION = bytes(range(32))
LANES = 4
SEED = 6


def transport(folder, rank, listener, addresses):
    return _C.tls_transport(
        rank=rank,
        listener=listener.detach(),
        addresses=addresses,
        names=["party0", "party1"],
        authority=f"{folder}/authority.pem",
        certificate=f"{folder}/party{rank}.pem",
        key=f"{folder}/party{rank}.key",
        session=SESSION,
        seconds=8.0,
    )


def in_threads(work, count=2):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


# ---- the wire ----------------------------------------------------------------------------------

WIRE = {
    "flipped": lambda b, draw: _flipped(b, draw.randrange(8 * len(b))),
    "cut": lambda b, draw: b[: draw.randrange(len(b))],
    "replayed": lambda b, draw: b + b,
    "order": lambda b, draw: b[len(b) // 2 :] + b[: len(b) // 2],
    "inserted": lambda b, draw: draw.randbytes(1 + draw.randrange(100)) + b,
    "zeroed": lambda b, draw: bytes(len(b)),
}


def _flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


class Wire:
    """Carries connections to a port, and alters one piece of one of them."""

    def __init__(self, target, kind, moment):
        self._target, self._kind, self._moment = target, kind, moment
        self._draw = random.Random(f"{kind} {moment}")
        self._lock = threading.Lock()
        self.armed = False
        self.struck = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        try:
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                for a, b in ((near, far), (far, near)):
                    a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._carry, args=(a, b), daemon=True).start()
        except OSError:
            return

    def _carry(self, source, target):
        try:
            while content := source.recv(1 << 16):
                target.sendall(self._altered(content))
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _altered(self, content):
        with self._lock:
            if not self.armed or self.struck is not None:
                return content
            self._moment -= 1
            if self._moment > 0:
                return content
            self.struck = time.monotonic()
        return WIRE[self._kind](content, self._draw)


@pytest.mark.parametrize("kind", WIRE)
def test_bytes_altered_on_the_wire(certificates, kind):
    draw = random.Random(f"wire {kind}")
    for _ in range(MOMENTS):
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        own = [listener.getsockname() for listener in listeners]
        wire = Wire(own[1], kind, draw.randrange(2, 30))
        seen = [[own[0], wire.address], [own[0], own[1]]]
        errors, times = [None, None], [0.0, 0.0]

        def play(rank, listeners=listeners, seen=seen, wire=wire, errors=errors, times=times):
            try:
                link = transport(certificates, rank, listeners[rank], seen[rank])
                session.open_session(link, rank, SETTINGS)
                wire.armed = True
                compute()
            except Error as caught:
                errors[rank], times[rank] = caught, time.monotonic()
                session.abandon()

        in_threads(play)
        wire.close()
        # The reader of what was altered refuses it, or waits for what was cut off.
        cause = (AuthFailed, PeerTimeout) if kind == "cut" else (AuthFailed,)
        assert any(isinstance(e, cause) for e in errors), errors
        assert all(isinstance(e, (*cause, PeerLost, PeerTimeout)) for e in errors), errors
        assert max(times) - wire.struck <= LOST_SECONDS + TIMEOUT


# ---- a hostile peer ----------------------------------------------------------------------------


class HostilePeer:
    """Party 1 without the library: valid TLS and a valid greeting, and then what it likes."""

    def __init__(self, folder):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self._server, self._client = (
            self._context(folder, kind)
            for kind in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)
        )
        self.outgoing, self.incoming = [], []

    @staticmethod
    def _context(folder, kind):
        context = ssl.SSLContext(kind)
        context.load_verify_locations(f"{folder}/authority.pem")
        context.load_cert_chain(f"{folder}/party1.pem", f"{folder}/party1.key")
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def meet(self, address):
        for lane in range(LANES):
            stream = self._client.wrap_socket(
                socket.create_connection(address, timeout=8), server_hostname="party0"
            )
            stream.sendall(struct.pack("<IHHHH32s", 0x31544C54, 1, 0, lane, 0, SESSION))
            assert struct.unpack("<IHHHH32s", self._exactly(stream, 44))[4] == 0
            self.outgoing.append(stream)
        for _ in range(LANES):
            plain, _ = self.listener.accept()
            stream = self._server.wrap_socket(plain, server_side=True)
            stream.sendall(self._exactly(stream, 44))  # the verdict in it is "accepted"
            self.incoming.append(stream)

    def close(self):
        for stream in (*self.outgoing, *self.incoming, self.listener):
            stream.close()

    def send(self, lane, frame, size=None):
        self.outgoing[lane].sendall(struct.pack("<Q", len(frame) if size is None else size) + frame)

    def greet(self):
        """The handshake of an honest party; gives the session."""
        hello = struct.pack("<IIIHHQ", 2, 16, 255, 0, 0, 7) + os.urandom(32)
        self.send(0, header(1, 0, 0, len(hello)) + hello)
        size = struct.unpack("<Q", self._exactly(self.incoming[0], 8))[0]
        theirs = self._exactly(self.incoming[0], size)[48:]
        return struct.unpack_from("<Q", theirs, 16)[0]

    @staticmethod
    def _exactly(stream, size):
        content = b""
        while len(content) < size:
            more = stream.recv(size - len(content))
            assert more
            content += more
        return content


def header(operation, session_number, sequence, length, dtype=0, lane=0, sender=1):
    return struct.pack(
        "<IHHQQHBBIQQ",
        *(0x31465443, 1, operation, session_number, sequence, sender, dtype, lane, 0, length, 0),
    )


def hostile_frame(draw, number, sequence):
    """A frame of any kind of nonsense, and the size that it says in front."""
    near = header(draw.randrange(16), number, sequence, draw.randrange(100), draw.randrange(4))
    payload = draw.randbytes(draw.randrange(300))
    kind = draw.randrange(6)
    if kind == 0:
        return draw.randbytes(draw.randrange(1, 500)), None
    if kind == 1:
        return _flipped(near, draw.randrange(8 * len(near))) + payload, None
    if kind == 2:
        return near[: draw.randrange(len(near))], None
    if kind == 3:
        return header(2, number, sequence, 1 << 60, 1) + payload, None
    if kind == 4:
        return near + bytes(1 << 20), 1 << 60
    return header(
        2, number, (sequence - draw.randrange(1, 4)) % 2**64, len(payload), 1
    ) + payload, None


def test_a_hostile_peer_with_a_certificate(certificates):
    """Each session ends with a ProtocolError or, where it claims bytes to come, in time."""
    draw = random.Random(SEED)
    kinds = []
    for attempt in range(60):
        peer = HostilePeer(certificates)
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        addresses = [address, peer.listener.getsockname()]
        found = []

        def attacked(_, listener=listener, addresses=addresses, found=found):
            try:
                link = transport(certificates, 0, listener, addresses)
                session.open_session(link, 0, HASTY)
                found.append(compute())
            except Error as error:
                found.append(type(error))
                session.abandon()

        victim = threading.Thread(target=attacked, args=(0,))
        victim.start()
        try:
            peer.meet(address)
            number = peer.greet() if attempt % 3 else 0
            start = time.monotonic()
            # It may have been refused before all of them are on their way.
            try:
                for sequence in range(1 if attempt % 3 else 0, 4):
                    peer.send(0, *hostile_frame(draw, number, sequence))
            except OSError:
                pass
            victim.join(10)
            assert not victim.is_alive()
            assert time.monotonic() - start <= LOST_SECONDS + TIMEOUT
        finally:
            peer.close()
        kinds.append(found[0])
    assert set(kinds) <= {ProtocolError, PeerTimeout, PeerLost}, kinds
    assert kinds.count(ProtocolError) > len(kinds) // 2, kinds
