# SPDX-License-Identifier: MIT
"""The configuration of a host, what --check finds, and what init() takes from whom."""

import os
import socket
import time

import pytest

import cryptensor as ct
from cryptensor import _C, hosts, presets, rendezvous
from cryptensor.config import Settings
from cryptensor.errors import AuthFailed, ConfigError, PeerLost, PeerTimeout, SetupError

GOOD = """
rank = 1
parties = 2
[meeting]
host = "192.0.2.1"
port = 29500
"""


@pytest.fixture
def write(tmp_path):
    def write(text=GOOD, name="bob.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def own_environment(monkeypatch):
    """What enter() changes in this process is changed back."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    yield
    presets.preset("", {})


def with_line(line):
    return line + "\n" + GOOD


def test_what_is_left_out_is_as_in_init(write):
    config = hosts.read(write())
    assert (config.rank, config.is_dealer, config.given) == (1, False, {})
    assert (config.settings.timeout, config.settings.setup_timeout) == (30.0, 60.0)
    expected = {"RANK": "1", "LOCAL_RANK": "0", "WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "1"}
    expected |= {"MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "29500"}
    assert config.environment() == expected


def test_everything_that_can_be_set(write):
    lines = """
    role = "party"
    provider = "first_party"
    certificates = "keys"
    port = 29501
    interface = "lo"
    timeout = 5
    setup_timeout = 7.5
    precision = 20
    truncation = "exact"
    checked = true
    threads = 3
    insecure_ok = true
    """
    path = write(with_line(lines))
    config = hosts.read(path)
    assert config.environment()["WORLD_SIZE"] == "2"
    assert config.environment()["CRYPTENSOR_PORT"] == "29501"
    assert config.environment()["GLOO_SOCKET_IFNAME"] == "lo"
    assert config.given == {
        "provider": "first_party",
        "certificates": str(path.parent / "keys"),
        "timeout": 5,
        "setup_timeout": 7.5,
        "precision": 20,
        "truncation": "exact",
        "checked": True,
        "threads": 3,
        "insecure_ok": True,
    }


def test_the_dealer_and_a_rank_from_the_command_line(write):
    dealer = hosts.read(write(GOOD.replace("rank = 1", 'role = "dealer"')))
    assert (dealer.rank, dealer.is_dealer) == (2, True)
    assert hosts.read(write(), dealer=True) == hosts.read(write(), dealer=True)
    assert hosts.read(write(), dealer=True).rank == 2
    assert hosts.read(write(), rank=0).rank == 0
    assert hosts.read(dealer.file, rank=1).is_dealer is False
    with pytest.raises(ConfigError, match="rank is 0 for the dealer"):
        hosts.read(write(), rank=0, dealer=True)


BAD = [
    (with_line("precison = 16"), r"precison is 16, but there is no such key; allowed are role, "),
    (GOOD + "name = 1", r"meeting\.name is 1, but there is no such key; allowed are meeting\.host"),
    (with_line("precision = 30"), r"precision is 30; it must be an integer from 8 to 24"),
    (with_line("precision = 16.0"), r"precision is 16\.0; it must be an integer"),
    (with_line('threads = "2"'), r"threads is '2'; it must be an integer from 1"),
    (with_line("timeout = 0"), r"timeout is 0; it must be a number of seconds"),
    (with_line("checked = 1"), r"checked is 1; it must be True or False"),
    (with_line("certificates = 7"), r"certificates is 7; it must be"),
    (with_line('provider = "nobody"'), r"provider is 'nobody'; it must be one of"),
    (with_line('truncation = "none"'), r"truncation is 'none'; it must be one of"),
    (with_line("port = 0"), r"port is 0; it must be an integer from 1 to 65535"),
    (with_line("port = true"), r"port is True; it must be an integer"),
    (with_line('interface = ""'), r"interface is ''; it must be the name"),
    (with_line('role = "boss"'), r"role is 'boss'; it must be one of 'party', 'dealer'"),
    (with_line('role = "dealer"'), r"rank is 1; it must be 2, or left out"),
    (GOOD.replace("rank = 1", "rank = 2"), r"rank is 2; it must be an integer from 0 to 1"),
    (GOOD.replace("rank = 1", ""), r"rank is missing; it must be an integer from 0 to 1"),
    (GOOD.replace("parties = 2", ""), r"parties is missing; it must be an integer from 2"),
    (GOOD.replace("parties = 2", "parties = 1"), r"parties is 1; it must be an integer from 2"),
    (GOOD.replace("port = 29500", ""), r"meeting\.port is missing; it must be"),
    (GOOD.replace("port = 29500", 'port = "x"'), r"meeting\.port is 'x'; it must be"),
    (GOOD.replace('host = "192.0.2.1"', ""), r"meeting\.host is missing; it must be the name"),
    (GOOD.replace('"192.0.2.1"', "5"), r"meeting\.host is 5; it must be the name"),
    ("rank = 0\nparties = 2", r"meeting is missing; it must be a table with host and port"),
    ("rank = 0\nparties = 2\nmeeting = 1", r"meeting is 1; it must be a table"),
    (
        'role = "dealer"\nprovider = "first_party"\n' + GOOD.replace("rank = 1", ""),
        r"has no dealer",
    ),
    ("rank = ", r"cannot be read: Invalid value.*; it must be a TOML file"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_bad_file_is_named_with_key_value_and_what_is_allowed(write, text, message):
    path = write(text)
    with pytest.raises(ConfigError, match=message) as caught:
        hosts.read(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        hosts.read(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bytes\.toml cannot be read"):
        hosts.read(tmp_path / "bytes.toml")


@pytest.mark.usefixtures("own_environment")
def test_the_file_alone_decides(write):
    os.environ.update(TORCHELASTIC_USE_AGENT_STORE="True", CRYPTENSOR_PORT="1", RANK="7")
    hosts.read(write()).enter()
    meeting = rendezvous.from_environment()
    assert (meeting.rank, meeting.size, meeting.address) == (1, 3, "192.0.2.1:29500")
    assert "CRYPTENSOR_PORT" not in os.environ and not meeting.loopback


@pytest.mark.usefixtures("own_environment")
def test_an_interface_that_is_not_there_is_named(write):
    with pytest.raises(ConfigError, match=r"bob\.toml: interface is 'eth77'.*\blo\b"):
        hosts.read(write(with_line('interface = "eth77"'))).enter()


@pytest.mark.usefixtures("own_environment")
def test_program_and_file_must_not_disagree(write):
    path = write(with_line("precision = 20"))
    hosts.read(path).enter()
    with pytest.raises(ConfigError, match=rf"precision is 16 in the program.* 20 in {path}"):
        ct.init(precision=16)
    with pytest.raises(ConfigError, match="certificates is None between hosts"):
        ct.init(precision=20)
    assert not presets.opened()


def test_the_chosen_interface_is_the_address(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    meeting = rendezvous.Meeting(1, 3, "192.0.2.1", 29500, hosts_store=False, loopback=False)
    with rendezvous.listen(meeting) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth77")
    with pytest.raises(ConfigError, match=r"GLOO_SOCKET_IFNAME is 'eth77'.*here are .*\blo\b"):
        rendezvous.listen(meeting)


def test_a_host_whose_own_name_is_a_loopback_address_is_not_alone(monkeypatch):
    """Debian writes 127.0.1.1 for a host's name: with an interface it meets others all the same."""
    for name, value in {"RANK": 0, "WORLD_SIZE": 3, "LOCAL_WORLD_SIZE": 1}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.1.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    assert rendezvous.from_environment().loopback
    monkeypatch.setattr(rendezvous, "_address_of", lambda interface: "192.0.2.9")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth0")
    assert not rendezvous.from_environment().loopback


def test_a_meeting_without_a_way_is_a_setup_error(monkeypatch):
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    meeting = rendezvous.Meeting(1, 3, "no-such-host.invalid", 1, hosts_store=False, loopback=False)
    with pytest.raises(SetupError, match=r"no way to no-such-host\.invalid:1"):
        rendezvous.listen(meeting)


def test_a_rank_that_is_started_again_too_early_is_told_at_once():
    store = rendezvous.serve_loopback_store()
    meeting = rendezvous.Meeting(1, 3, "127.0.0.1", store.port, hosts_store=False, loopback=True)
    with pytest.raises(SetupError, match="ranks 0, 2 did not come"):
        rendezvous.roll_call(store, meeting, Settings(), 0.1)
    start = time.monotonic()
    with pytest.raises(SetupError, match=r"rank 1 of 3 has come to the meeting at .* before"):
        rendezvous.roll_call(store, meeting, Settings(), 60.0)
    assert time.monotonic() - start < 30.0


@pytest.mark.usefixtures("own_environment")
def test_each_end_has_its_status(write):
    hosts.read(write()).enter()
    ends = {SystemExit(0): 0, SystemExit(None): 0, SystemExit(5): 1, ValueError("x"): 1}
    ends |= {ConfigError("x"): 2, PeerLost("x"): 3, PeerTimeout("x"): 3, SetupError("x"): 3}
    ends |= {AuthFailed("x"): 4, KeyboardInterrupt(): 1}
    for error, status in ends.items():
        assert hosts.status_of(error) == status, error
    # Once the session was open a ConfigError is about the program's own calls.
    presets._presets.opened = True
    assert hosts.status_of(ConfigError("x")) == 1


# ---- --check -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authority")
    ct.make_certificates(folder, 2)
    return folder


@pytest.fixture
def host(tmp_path, authority, own_environment):
    """A host of party 1 with its files, and its findings by what they are about."""
    folder = tmp_path / "keys"
    folder.mkdir()
    for name in ("authority.pem", "party1.pem", "party1.key"):
        (folder / name).write_bytes((authority / name).read_bytes())
    (folder / "party1.key").chmod(0o600)

    class Host:
        keys = folder

        def inspect(self, more="", address="127.0.0.1", port=1, rank=1, program=None):
            text = f'{more}\nparties = 2\ncertificates = "keys"\nrank = {rank}\n'
            path = tmp_path / "host.toml"
            path.write_text(f'{text}[meeting]\nhost = "{address}"\nport = {port}\n')
            return {row.about: row for row in hosts.inspect(hosts.read(path), program)}

        def fault(self, about, **arguments):
            found = self.inspect(**arguments)
            assert [row.about for row in found.values() if row.status] == [about], found
            return found[about]

    return Host()


def test_a_host_in_order(host):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = host.inspect(port=listener.getsockname()[1], program=__file__)
    assert not any(row.status for row in found.values()), found
    assert found["configuration"].text == "party 1 of 2 parties, third_party"
    assert found["certificate"].text == "party1, good for 364 more days"
    assert found["meeting"].text.endswith("answers")


def test_rank_0_that_is_not_started_is_no_fault(host):
    assert "rank 0 is not started" in host.inspect()["meeting"].text


def signed(host, authority, name, start, end):
    for kind in ("pem", "key"):
        (host.keys / f"authority.{kind}").write_bytes(
            (authority / f"authority.{kind}").read_bytes()
        )
    _C.make_certificate(str(host.keys), name, start, end)
    (host.keys / "authority.key").unlink()


@pytest.mark.parametrize(
    ("start", "end", "text"), [(-3, -1, "has expired"), (1, 3, "not yet valid")]
)
def test_the_dates_of_the_certificate(host, authority, start, end, text):
    signed(host, authority, "party1", start, end)
    finding = host.fault("certificate")
    assert text in finding.text and finding.status == 4


def test_a_certificate_that_ends_soon_is_mentioned(host, authority):
    signed(host, authority, "party1", -1, 5)
    assert "4 more days; make new ones" in host.inspect()["certificate"].text


def test_the_name_of_the_certificate(host, authority):
    for kind in ("pem", "key"):
        (host.keys / f"party1.{kind}").write_bytes((authority / f"party0.{kind}").read_bytes())
    finding = host.fault("certificate")
    assert "does not prove 'party1'" in finding.text and finding.status == 4


def test_another_authority(host, tmp_path):
    ct.make_certificates(tmp_path / "other", 2)
    (host.keys / "authority.pem").write_bytes((tmp_path / "other/authority.pem").read_bytes())
    assert host.fault("certificate").status == 4


def test_a_key_of_another_certificate(host, authority):
    (host.keys / "party1.key").write_bytes((authority / "party0.key").read_bytes())
    assert host.fault("certificate").status == 4


def test_a_missing_file(host):
    (host.keys / "party1.key").unlink()
    finding = host.fault("certificates")
    assert "party1.key" in finding.text and finding.status == 2
    assert "gone.py" in host.inspect(program="gone.py")["program"].text


def test_a_key_for_everybody_and_a_key_for_everything(host, authority):
    (host.keys / "party1.key").chmod(0o644)
    assert host.fault("key").status == 4
    (host.keys / "party1.key").chmod(0o600)
    (host.keys / "authority.key").write_bytes((authority / "authority.key").read_bytes())
    assert host.fault("authority").status == 4


def test_a_port_that_is_taken(host):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finding = host.fault("own address", more=f"port = {port}")
        assert f"127.0.0.1:{port}" in finding.text and finding.status == 3


def test_a_meeting_that_cannot_be(host, authority):
    assert host.inspect(address="no-such-host.invalid")["meeting"].status == 3
    for kind in ("pem", "key"):
        (host.keys / f"party0.{kind}").write_bytes((authority / f"party0.{kind}").read_bytes())
    (host.keys / "party0.key").chmod(0o600)
    with socket.create_server(("", 0)) as taken:
        finding = host.fault("meeting", rank=0, port=taken.getsockname()[1])
        assert finding.status == 3


def test_what_a_run_would_refuse(host):
    finding = host.inspect('provider = "first_party"', address="192.0.2.1")["links"]
    assert "first_party" in finding.text and finding.status == 2
