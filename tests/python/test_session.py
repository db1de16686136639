# SPDX-License-Identifier: MIT
"""Sessions: settings, the roll call of ranks, and what init() reads from torchrun."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import cryptensor as ct
from cryptensor import profiler, rendezvous, session
from cryptensor.config import Settings
from cryptensor.errors import ConfigError, Error, SetupError

ROOT = Path(__file__).resolve().parents[2]

BAD_SETTINGS = [
    ("parties", 1),
    ("parties", 0),
    ("parties", -2),
    ("parties", 65_535),
    ("parties", True),
    ("parties", 2.0),
    ("parties", "2"),
    ("parties", None),
    ("provider", "fourth_party"),
    ("provider", None),
    ("provider", ["third_party"]),
    ("timeout", 0),
    ("timeout", -1.0),
    ("timeout", float("nan")),
    ("timeout", float("inf")),
    ("timeout", "30"),
    ("timeout", True),
    ("timeout", 86_401),
    ("precision", 7),
    ("precision", 25),
    ("precision", 16.0),
    ("truncation", "Default"),
    ("truncation", 1),
    ("threads", 0),
    ("threads", 1.5),
    ("insecure_ok", "yes"),
    ("insecure_ok", 1),
    ("setup_timeout", 0),
    ("setup_timeout", None),
]


@pytest.mark.parametrize(("name", "value"), BAD_SETTINGS)
def test_a_bad_setting_is_named_with_its_value_and_range(name, value):
    with pytest.raises(ConfigError) as caught:
        Settings(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} is {value!r}; it must be ")
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("precision", [8, 16, 24])
@pytest.mark.parametrize("truncation", ["default", "local", "one_bit", "interactive", "exact"])
def test_all_good_settings_pass(precision, truncation):
    settings = Settings(precision=precision, truncation=truncation, timeout=0.5)
    assert settings.ranks == 3
    assert dataclasses.replace(settings, provider="first_party").ranks == 2


@pytest.mark.parametrize("truncation", ["local", "one_bit"])
def test_truncations_of_two_parties_are_refused_for_three(truncation):
    with pytest.raises(ConfigError, match=r"truncation is .*3 or more"):
        Settings(parties=3, truncation=truncation)


def test_settings_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().precision = 20


@pytest.mark.parametrize("call", [ct.rank, ct.world_size, ct.stats, ct.reset_stats, ct.shutdown])
def test_without_a_session_the_error_tells_how_to_get_one(call):
    with pytest.raises(Error, match=r"ct\.launch.*ct\.simulate.*ct\.init"):
        call()


def test_a_session_belongs_to_its_thread():
    def body():
        seen = []
        other = threading.Thread(target=lambda: seen.append(session.is_active()))
        other.start()
        other.join()
        return session.is_active(), seen

    assert ct.simulate(body) == [(True, [False])] * 2
    assert not session.is_active()


def test_rank_and_world_size_do_not_count_the_dealer():
    assert ct.simulate(lambda: (ct.rank(), ct.world_size()), parties=3) == [(0, 3), (1, 3), (2, 3)]


class CountedEngine:
    def stats(self):
        row = {"calls": 2, "rounds": 3, "bytes_sent": 1_000, "bytes_received": 900}
        row |= {"messages": 4, "dealer_bytes": 5_000, "wait_seconds": 0.25}
        return [{"operation": "matmul", **row}, {"operation": "reveal", **row, "dealer_bytes": 0}]

    def reveals(self):
        return 2


def test_stats_add_up():
    stats = profiler.Stats.of(CountedEngine())
    assert (stats.calls, stats.rounds, stats.bytes_sent) == (4, 6, 2_000)
    assert (stats.dealer_bytes, stats.wait_seconds, stats.reveals) == (5_000, 0.5, 2)
    assert stats["matmul"].dealer_bytes == 5_000
    assert json.loads(json.dumps(stats.to_dict()))["total"]["rounds"] == 6
    with pytest.raises(KeyError, match=r"'mul'.*matmul, reveal"):
        stats["mul"]


def test_stats_print_as_an_aligned_table():
    lines = repr(profiler.Stats.of(CountedEngine())).splitlines()
    assert lines[0].split()[:2] == ["operation", "calls"]
    assert [line.split()[0] for line in lines[2:5]] == ["matmul", "reveal", "total"]
    assert len({len(line) for line in lines[:5]}) == 1
    assert lines[5] == "reveals: 2"


# ---- init() ------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def torchrun_variables(monkeypatch):
    for name in ("LOCAL_WORLD_SIZE", "TORCHELASTIC_USE_AGENT_STORE"):
        monkeypatch.delenv(name, raising=False)
    values = {"RANK": "0", "WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1"}
    for name, value in (values | {"MASTER_PORT": str(free_port())}).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"])
def test_a_missing_variable_is_named(torchrun_variables, name):
    torchrun_variables.delenv(name)
    with pytest.raises(ConfigError, match=rf"{name}.*not set.*torchrun"):
        ct.init()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("RANK", "3", "from 0 to 2"),
        ("RANK", "-1", "from 0 to 2"),
        ("RANK", "one", "from 0 to 2"),
        ("WORLD_SIZE", "1", "from 2 to"),
        ("MASTER_PORT", "0", "from 1 to 65535"),
        ("MASTER_PORT", "70000", "from 1 to 65535"),
    ],
)
def test_a_bad_variable_is_named(torchrun_variables, name, value, allowed):
    torchrun_variables.setenv(name, value)
    with pytest.raises(ConfigError, match=rf"{name} is '{value}'.*{allowed}"):
        ct.init()


def test_two_ranks_leave_no_room_for_a_dealer(torchrun_variables):
    torchrun_variables.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"WORLD_SIZE is 2.*at least 3"):
        ct.init()


def test_a_second_session_with_a_dealer_is_refused_at_once(torchrun_variables):
    torchrun_variables.setattr(session, "_dealer_served", True)
    with pytest.raises(ConfigError, match="second init"):
        ct.init()


def test_first_party_between_hosts_is_refused(torchrun_variables):
    torchrun_variables.setenv("MASTER_ADDR", "192.0.2.1")
    with pytest.raises(ConfigError, match=r"first_party.*insecure_ok"):
        ct.init(provider="first_party")


def test_plain_links_between_hosts_are_refused(torchrun_variables):
    torchrun_variables.setenv("MASTER_ADDR", "192.0.2.1")
    with pytest.raises(ConfigError, match=r"certificates is None between hosts.*insecure_ok"):
        ct.init()


@pytest.mark.parametrize("name", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_loopback_is_known(name):
    assert rendezvous.is_loopback(name)


@pytest.mark.parametrize("name", ["192.0.2.1", "0.0.0.0", "no-such-host.invalid"])
def test_what_is_not_loopback_is_known(name):
    assert not rendezvous.is_loopback(name)


def test_the_local_store_listens_on_loopback_only():
    store = rendezvous.serve_loopback_store()
    listening = "0A"
    found = []
    for table in ("tcp", "tcp6"):
        rows = [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
        found += [row[1] for row in rows if row[3] == listening]
    suffix = f":{store.port:04X}"
    assert [address for address in found if address.endswith(suffix)] == ["0100007F" + suffix]


def test_a_taken_port_is_named(torchrun_variables):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        torchrun_variables.setenv("MASTER_PORT", str(port))
        with pytest.raises(SetupError, match=rf"127\.0\.0\.1:{port}.*MASTER_PORT"):
            ct.init(setup_timeout=1)


PROGRAM = textwrap.dedent(
    """
    import json, os, sys, torch
    import cryptensor as ct
    settings = json.loads(sys.argv[1])
    ct.init(**settings.get(os.environ["RANK"], {}), **settings["all"])
    x = ct.cryptensor(torch.tensor([1.5, -2.0]), src=0)
    print(json.dumps([ct.rank(), ct.world_size(), (x + x).reveal().tolist()]), flush=True)
    ct.shutdown()
    """
)


def start_ranks(ranks, world_size, settings):
    """Programs of the given ranks of a world, as torchrun would start them."""
    port = str(free_port())
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    shared = {"WORLD_SIZE": str(world_size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(settings)],
            env={**os.environ, **shared, "PYTHONPATH": path, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ranks
    ]


def ends_of(programs):
    try:
        return [(*program.communicate(timeout=60), program.returncode) for program in programs]
    finally:
        for program in programs:
            program.kill()


@pytest.mark.parametrize("provider", ["third_party", "first_party"])
def test_init_computes_and_the_dealer_leaves_quietly(provider):
    ends = ends_of(start_ranks(range(3), 3, {"all": {"provider": provider}}))
    assert [code for _, _, code in ends] == [0, 0, 0], ends
    parties = 2 if provider == "third_party" else 3
    expected = [[rank, parties, [3.0, -4.0]] for rank in range(parties)]
    assert [json.loads(out) for out, _, _ in ends[:parties]] == expected
    assert all(out == "" for out, _, _ in ends[parties:])


@pytest.mark.parametrize("absent", [1, 2])
def test_every_rank_names_a_rank_that_never_came(absent):
    present = [rank for rank in range(3) if rank != absent]
    ends = ends_of(start_ranks(present, 3, {"all": {"setup_timeout": 4}}))
    for out, err, code in ends:
        assert (out, code) == ("", 1)
        assert "SetupError" in err
        assert f"rank {absent} did not come" in err


def test_every_rank_names_rank_0_when_it_never_came():
    for _, err, code in ends_of(start_ranks([1, 2], 3, {"all": {"setup_timeout": 2}})):
        assert code == 1
        assert "SetupError" in err
        assert "rank 0 did not come" in err


@pytest.mark.parametrize("name, value", [("precision", 20), ("truncation", "local")])
def test_settings_that_differ_are_named_at_every_rank(name, value):
    for _, err, code in ends_of(start_ranks(range(3), 3, {"all": {}, "1": {name: value}})):
        assert code == 1
        assert "ConfigError" in err
        assert f"{name} is " in err
        assert "same at all ranks" in err
