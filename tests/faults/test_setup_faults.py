# SPDX-License-Identifier: MIT
"""What goes wrong outside of the program: ports, absent ranks, a full disk, a link that is down."""

import os
import random
import resource
import socket
import subprocess
import time

import pytest
import torch
from cases import MOMENTS, TIMEOUT_SECONDS, case_of, links, networks
from conftest import ForkServer

import cryptensor as ct
from cryptensor.errors import FileError

SETUP_SECONDS = 10.0
NAMESPACE = ("unshare", "--net")


@links
@pytest.mark.parametrize("absent", [0, 1, 2])
def test_an_absent_rank_is_named(fork_server, certificates, absent, link):
    case = case_of(link, certificates, absent=[absent])
    case["settings"]["setup_timeout"] = 3.0
    (ranks,) = fork_server.play([case])
    for rank in ranks:
        assert (rank["error"], rank["status"]) == ("SetupError", 1)
        assert f"rank {absent} did not come" in rank["message"]
        assert rank["at"] - rank["began"] <= SETUP_SECONDS


@links
def test_a_taken_port_is_an_error_at_rank_0(fork_server, certificates, link):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        case = case_of(link, certificates, port=taken.getsockname()[1], absent=[1, 2])
        (ranks,) = fork_server.play([case])
    (rank,) = ranks
    assert (rank["error"], rank["status"]) == ("SetupError", 1)
    assert f"127.0.0.1:{case['port']}" in rank["message"]
    assert "choose another MASTER_PORT" in rank["message"]
    assert rank["at"] - rank["began"] <= SETUP_SECONDS


def test_a_taken_port_of_an_encrypted_link_is_named(certificates, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("CRYPTENSOR_PORT", str(port))
        start = time.monotonic()
        with pytest.raises(ct.errors.RemoteError, match=rf"cannot listen at 127\.0\.0\.1:{port}"):
            ct.launch(ct.rank, certificates=certificates, provider="first_party")
        assert time.monotonic() - start <= SETUP_SECONDS + 5.0  # with two interpreters' start


def test_a_full_disk_is_an_error_at_every_party(tmp_path):
    """The limit of a file's size acts like a disk that is full after so many bytes."""

    def save():
        secret = ct.cryptensor(torch.zeros(3000), src=0)
        try:
            ct.save(secret, tmp_path / "x.ct")
        except FileError as error:
            return str(error), ct.cryptensor(torch.ones(1), src=1).reveal().item()
        return "saved", 0.0

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in random.Random("disk").sample(range(24_000), MOMENTS):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            results = ct.simulate(save, timeout=10.0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        for message, after in results:
            assert "could not write" in message or "File too large" in message, message
            assert after == 1.0
        assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def namespaced_server():
    """Ranks in a network of their own, whose loopback interface can be taken down."""
    probe = subprocess.run([*NAMESPACE, "ip", "link", "set", "lo", "up"], capture_output=True)
    if os.geteuid() != 0 or probe.returncode != 0:
        pytest.skip("a network namespace needs root and iproute2")
    server = ForkServer(NAMESPACE, CRYPTENSOR_TEST_NAMESPACE="1")
    yield server.ready()
    server.close()


@networks
def test_a_link_that_goes_down_is_a_timeout(namespaced_server, certificates, frames, link):
    draw = random.Random(f"down {link}")
    for victim in range(MOMENTS - 3 if link == "encrypted" else 3):
        moment = draw.randrange(1, frames[0] // 2)
        case = case_of(link, certificates, "inside link down", victim % 2, moment, patience=1.5)
        (ranks,) = namespaced_server.play([case])
        struck = ranks[victim % 2]["struck"]
        for rank in ranks[:2]:
            assert rank["error"] == "PeerTimeout" and rank["status"] == 1, ranks
            assert rank["at"] - struck <= TIMEOUT_SECONDS
        # The dealer serves until the parties leave, and cannot hear that they did.
        assert "result" not in ranks[2]


@networks
def test_without_a_fault_the_namespace_works(namespaced_server, certificates, link):
    (ranks,) = namespaced_server.play([case_of(link, certificates)])
    assert [rank["status"] for rank in ranks] == [0, 0, 0], ranks
