# SPDX-License-Identifier: MIT
"""The faults of test_rank_faults.py under ct.launch and torchrun: whole programs and exits."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from cases import LOST_SECONDS, SLACK, TIMEOUT, TIMEOUT_SECONDS, link_settings
from conftest import HERE, library_environment
from rank_program import OPERATIONS, Strike, compute

import cryptensor as ct
from cryptensor.errors import Error, RemoteError

pytestmark = pytest.mark.usefixtures("mark")
LOST = ({"PeerLost"}, LOST_SECONDS)
OUT_OF_STEP = ({"ProtocolError", "PeerLost"}, LOST_SECONDS)
LATE = ({"PeerTimeout", "PeerLost"}, TIMEOUT_SECONDS)


def moment_of(name):
    return random.Random(name).randrange(1, OPERATIONS - 8)


def dealer_of_launch():
    """The process beside this one that has the last rank."""
    parent = os.getppid()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and f"PPid:\t{parent}\n" in (entry / "status").read_text():
                if '"rank": 2' in (entry / "cmdline").read_text():
                    return int(entry.name)
        except OSError:
            continue
    raise LookupError("no dealer found")


def strike_dealer(number):
    def strike(now):
        now()
        os.kill(dealer_of_launch(), number)

    return strike


def body_of_launch(fault, victim, moment):
    import rank_program

    rank_program.IN_PROCESS["dealer killed"] = strike_dealer(signal.SIGKILL)
    rank_program.IN_PROCESS["dealer stopped"] = strike_dealer(signal.SIGSTOP)
    strike = Strike(fault if ct.rank() == victim else "none", moment, ct.progress)
    try:
        compute(strike.at_operation)
    except Error as error:
        ct.progress({"error": type(error).__name__, "at": time.monotonic()})
        raise
    ct.progress({"error": "none", "at": time.monotonic()})
    time.sleep(60)


@pytest.mark.parametrize(
    ("fault", "cause", "promise", "link"),
    [
        ("killed", "SIGKILL", LOST, "encrypted"),
        ("exits", "exit", LOST, "shared"),
        ("stopped", "PeerTimeout", LATE, "encrypted"),
        ("order", "ProtocolError", OUT_OF_STEP, "plain"),
        ("skips", "ProtocolError", OUT_OF_STEP, "encrypted"),
        ("dealer killed", "SIGKILL", LOST, "plain"),
        ("dealer stopped", "PeerTimeout", LATE, "shared"),
    ],
)
def test_launch(certificates, fault, cause, promise, link):
    kinds, seconds = promise
    victim = 0 if fault.startswith("dealer") else random.Random(fault).randrange(2)
    told = [{}, {}]
    with pytest.raises(RemoteError) as caught:
        ct.launch(
            body_of_launch,
            fault,
            victim,
            moment_of(fault),
            timeout=TIMEOUT,
            **link_settings(link, certificates),
            on_progress=lambda party, record: told[party].update(record),
        )
    assert caught.value.kind == cause, caught.value
    for party, record in enumerate(told):
        if party != victim or fault.startswith("dealer"):
            assert record["error"] in kinds, told
            assert record["at"] - told[victim]["struck"] <= seconds, told


# ---- torchrun ----------------------------------------------------------------------------------


class TorchRun:
    """Three ranks under torchrun's agent, which is patient: the ranks end by themselves."""

    def __init__(self, folder, settings, fault, victim):
        case = {
            "folder": str(folder),
            "settings": {"timeout": TIMEOUT, **settings},
            "fault": fault,
            "victim": victim,
            "moment": moment_of(f"torchrun {fault}"),
            "frames": True,
        }
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", "3", "--monitor-interval", "60"]
        self._folder = folder
        self.program = subprocess.Popen(
            [*command, str(HERE / "rank_program.py"), json.dumps(case)],
            env=library_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def told(self, rank):
        file = self._folder / f"rank{rank}"
        found = {}
        for line in file.read_text().splitlines() if file.exists() else []:
            found |= json.loads(line)
        return found

    def wait_for(self, ranks, *names):
        end = time.monotonic() + 40.0
        while not all(any(name in self.told(rank) for name in names) for rank in ranks):
            assert time.monotonic() < end, [self.told(rank) for rank in range(3)]
            time.sleep(0.05)

    def close(self):
        try:
            os.killpg(self.program.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        for rank in range(3):
            pid = self.told(rank).get("pid")
            if pid and Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)
        self.program.wait()


@pytest.fixture
def torchrun(tmp_path):
    started = []

    def start(*arguments):
        started.append(TorchRun(tmp_path, *arguments))
        return started[-1]

    yield start
    for run in started:
        run.close()


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.parametrize(
    ("fault", "victim", "promise", "link"),
    [
        ("inside killed", 0, LOST, "shared"),
        ("raises", 1, LOST, "encrypted"),
        ("inside killed", 2, LOST, "encrypted"),
        ("inside stopped", 0, LATE, "plain"),
        ("skips", 1, OUT_OF_STEP, "shared"),
    ],
)
def test_torchrun(certificates, torchrun, fault, victim, promise, link):
    kinds, seconds = promise
    run = torchrun(link_settings(link, certificates), fault, victim)
    others = [rank for rank in range(3) if rank != victim]
    run.wait_for(others, "error", "result", "ended")
    struck = run.told(victim)["struck"]
    for rank in others:
        record = run.told(rank)
        # A rank that hears of it from another one waits for the orderly end of that process.
        exits = 2.0 * (rank == 2 or victim == 2)
        assert record.get("error") in kinds, record
        assert record["at"] - struck <= seconds + exits, record
    # The uncaught error ends each of them: nothing waits for a peer at the exit.
    end = time.monotonic() + 10.0
    while any(is_alive(run.told(rank)["pid"]) for rank in others):
        assert time.monotonic() < end
        time.sleep(0.05)


# ---- Ctrl-C ------------------------------------------------------------------------------------

COMPUTING = textwrap.dedent(
    """
    import cryptensor as ct
    from rank_program import compute
    def body():
        while True:
            compute()
            ct.progress("")
    settings = {"provider": "first_party", "certificates": CERTIFICATES}
    ct.launch(body, on_progress=lambda party, message: print(flush=True), **settings)
    """
)


def test_ctrl_c_at_five_moments(certificates):
    def start(moment):
        where = repr(certificates if moment % 2 else None)
        return subprocess.Popen(
            [sys.executable, "-c", COMPUTING.replace("CERTIFICATES", where)],
            env=library_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background job ignores Ctrl-C, and its children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    draw = random.Random("Ctrl-C")
    # One after the other: the others' busy parties would keep the cores from ending in time.
    for moment in range(5):
        program = start(moment)
        try:
            assert program.stdout.readline() == "\n"
            time.sleep(draw.random() * 0.2)
            program.send_signal(signal.SIGINT)
            struck = time.monotonic()
            _, errors = program.communicate(timeout=20)
            assert time.monotonic() - struck < 3.0 + SLACK
            assert program.returncode not in (0, -signal.SIGABRT, -signal.SIGSEGV)
            assert errors.count("Traceback") == 1 and "KeyboardInterrupt" in errors, errors
        finally:
            program.kill()
