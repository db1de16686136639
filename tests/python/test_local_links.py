# SPDX-License-Identifier: MIT
"""When ranks share memory: by themselves on one host, on demand, or not at all."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import cryptensor as ct
from cryptensor import local_links
from cryptensor.config import Settings, chosen_transport
from cryptensor.errors import ConfigError
from cryptensor.rendezvous import Meeting

ROOT = Path(__file__).resolve().parents[2]
HERE = Meeting(rank=0, size=3, host="127.0.0.1", port=1, hosts_store=False, loopback=True)
FAR = Meeting(rank=0, size=3, host="10.0.0.1", port=1, hosts_store=False, loopback=False)


def shares_memory():
    return "cryptensor-link" in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize(
    ("settings", "environment", "shared"),
    [({}, None, True), ({"transport": "gloo"}, "shared_memory", False), ({}, "gloo", False)],
)
def test_launch_shares_memory_unless_told_otherwise(monkeypatch, settings, environment, shared):
    monkeypatch.delenv("CRYPTENSOR_TRANSPORT", raising=False)
    if environment:
        monkeypatch.setenv("CRYPTENSOR_TRANSPORT", environment)
    assert ct.launch(shares_memory, provider="first_party", **settings) == [shared] * 2


PROGRAM = textwrap.dedent(
    """
    import pathlib, sys, torch
    import cryptensor as ct
    ct.init(provider="first_party")
    shared = "cryptensor-link" in pathlib.Path("/proc/self/maps").read_text()
    value = ct.cryptensor(torch.ones(2), src=0).reveal().sum().item()
    pathlib.Path(sys.argv[1], str(ct.rank())).write_text(f"{shared} {value}")
    ct.shutdown()
    """
)


def test_ranks_of_torchrun_on_one_host_share_memory(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, str(program), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == ["True 2.0"] * 2


def test_a_rank_with_others_far_away_shares_no_memory():
    host = local_links.host_of(HERE)
    assert host is not None and local_links.host_of(FAR) is None
    assert local_links.are_chosen(Settings(), [host] * 3)
    assert not local_links.are_chosen(Settings(transport="gloo"), [host] * 3)
    assert not local_links.are_chosen(Settings(certificates="folder"), [host] * 3)
    for hosts in ([host, host, None], [None] * 3, [host, host, host + "1"]):
        assert not local_links.are_chosen(Settings(), hosts)
        with pytest.raises(ConfigError, match="transport is 'shared_memory' with ranks that are n"):
            local_links.are_chosen(Settings(transport="shared_memory"), hosts)


@pytest.mark.parametrize("value", ["tcp", "", None, 1, True, "Gloo"])
def test_a_bad_transport_is_named(value):
    with pytest.raises(ConfigError, match=r"^transport is .*; it must be one of 'auto', 'gloo'"):
        Settings(transport=value)


def test_encrypted_links_are_not_replaced(monkeypatch):
    with pytest.raises(ConfigError, match="transport is 'gloo'; it must be 'auto' with certificat"):
        Settings(transport="gloo", certificates="folder")
    monkeypatch.setenv("CRYPTENSOR_TRANSPORT", "gloo")
    assert chosen_transport("auto", "folder") == "auto"
    assert chosen_transport("auto", None) == "gloo"


def test_a_bad_environment_variable_is_named(monkeypatch):
    monkeypatch.setenv("CRYPTENSOR_TRANSPORT", "udp")
    with pytest.raises(ConfigError, match="environment variable CRYPTENSOR_TRANSPORT is 'udp'; it"):
        ct.launch(ct.rank)
