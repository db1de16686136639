# SPDX-License-Identifier: MIT
"""From a program to its plan, from a plan to a store, from a store to sessions."""

import json
import os
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

import cryptensor as ct
from cryptensor import errors, offline
from cryptensor.offline import deal

PROGRAM = "import sys; from cryptensor.cli import main; sys.argv[0] = 'cryptensor'; main()"


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)).eval()


@torch.no_grad()
def infer(model, images):
    secret = ct.encrypt(model, src=0)
    return secret(ct.cryptensor(images, src=1)).reveal()


@torch.no_grad()
def serve(model, batches, masked_before=False):
    secret = ct.encrypt(model, src=0)
    if masked_before:
        secret(ct.cryptensor(batches[0], src=1))
    answers = []
    for images in batches:
        with ct.offline_step():
            answers.append(secret(ct.cryptensor(images, src=1)).reveal())
    return answers


def lot_bytes(plan, steps):
    """Of one lot in the last party's file: whole pages, with a seal of 64 bytes."""
    return -(-(plan.start_bytes + (steps - 1) * plan.step_bytes + 64) // 4096) * 4096


def batches(count, rows=3):
    torch.manual_seed(count)
    return list(torch.randn(count, rows, 6))


def expect_right(results, model, inputs):
    with torch.no_grad():
        for answers in results:
            for answer, images in zip(answers, inputs, strict=True):
                torch.testing.assert_close(answer, model(images), atol=1e-3, rtol=0)


@pytest.fixture(scope="module")
def served():
    return ct.trace(serve, network(), batches(3))


def stored(store, fn, *args, **settings):
    return ct.simulate(fn, *args, provider="stored", store=store, **settings)


def refusals(store, fn, *args, **settings):
    """What each party raised: all of them a StoreError."""
    with pytest.raises(errors.RemoteError) as caught:
        stored(store, fn, *args, **settings)
    assert {failure.kind for failure in caught.value.failures} == {"StoreError"}
    assert len(caught.value.failures) == settings.get("parties", 2)
    return [f.message for f in sorted(caught.value.failures, key=lambda f: f.party)]


def test_a_plan_survives_its_file(served, tmp_path):
    path = tmp_path / "plan.json"
    served.save(path)
    assert ct.Plan.load(path) == served
    assert (served.parties, served.precision, served.truncation) == (2, 16, "default")
    assert served.has_steps and served.continues
    assert served.start > served.step > 0
    assert "relu with truncation of 15 elements" in repr(served)
    assert served.step_multiplications == 3 * 6 * 5 + 3 * 5 * 2
    altered = json.loads(path.read_text())
    altered["precision"] = 20
    path.write_text(json.dumps(altered))
    with pytest.raises(errors.StoreError, match="was altered"):
        ct.Plan.load(path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "cryptensor-plan-1"}', "\0"])
def test_what_is_no_plan_is_refused(tmp_path, content):
    (tmp_path / "plan").write_text(content)
    with pytest.raises(errors.StoreError, match="is no plan"):
        ct.Plan.load(tmp_path / "plan")
    with pytest.raises(errors.StoreError, match="cannot be read"):
        ct.Plan.load(tmp_path / "none")


@pytest.mark.parametrize("parties", [2, 3])
def test_a_program_without_steps_takes_a_lot_a_session(tmp_path, parties):
    model, images = network(), batches(1)[0]
    plan = ct.trace(infer, model, images, parties=parties)
    assert not plan.has_steps and plan.step_bytes == 0
    assert deal(plan, tmp_path, 2).lots == 2
    for left in (1, 0):
        results = stored(tmp_path, infer, model, images, parties=parties)
        expect_right([[result] for result in results], model, [images])
        assert ct.store_status(tmp_path, parties - 1).lots_left == left
    for message in refusals(tmp_path, infer, model, images, parties=parties):
        assert "one lot more is needed" in message and "0 of 2 lots are left" in message


def test_steps_go_on_over_lots(served, tmp_path):
    seen = []
    dealt = deal(served, tmp_path, 7, steps_per_lot=2, on_progress=lambda *at: seen.append(at))
    assert (dealt.lots, dealt.steps_per_lot) == (4, 2)
    assert seen[-1] == (4, 4)
    inputs = batches(5)
    expect_right(stored(tmp_path, serve, network(), inputs), network(), inputs)
    status = ct.store_status(tmp_path / "party1.store")
    assert (status.lots, status.lots_left, status.steps_left) == (4, 1, 2)
    assert status.plan == served.digest
    expect_right(stored(tmp_path, serve, network(), batches(2)), network(), batches(2))
    refusals(tmp_path, serve, network(), batches(1))


def test_the_same_program_runs_with_any_provider():
    inputs = batches(2)
    expect_right(ct.simulate(serve, network(), inputs), network(), inputs)


def test_what_is_taken_before_the_steps_binds_a_session_to_its_lot(tmp_path):
    plan = ct.trace(serve, network(), batches(3), masked_before=True)
    assert plan.has_steps and not plan.continues
    deal(plan, tmp_path, 4, steps_per_lot=2)
    stored(tmp_path, serve, network(), batches(2), masked_before=True)
    for message in refusals(tmp_path, serve, network(), batches(3), masked_before=True):
        assert "needs another session" in message


def test_a_program_that_departs_is_told_where(served, tmp_path):
    deal(served, tmp_path, 30, steps_per_lot=3)
    first, second = refusals(tmp_path, serve, network(), batches(1, rows=4))
    assert first == second
    assert "correlation 0 of step 0 of the lot is to be mask of 30 elements" in first or (
        "of the lot is to be mask of 24 elements, and was dealt as mask of 18" in first
    )
    for message in refusals(tmp_path, infer, network(), batches(1)[0]):
        assert "ends before" in message
    for message in refusals(tmp_path, serve, network(), batches(1), precision=18):
        assert "dealt for precision 16, and the session has 18" in message
    for message in refusals(tmp_path, serve, network(), batches(1), truncation="exact"):
        assert "truncation" in message


def test_stores_of_others_are_refused(served, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        deal(served, folder, 1)
    (one / "party1.store").write_bytes((other / "party1.store").read_bytes())
    for message in refusals(one, serve, network(), batches(1)):
        assert "of another store" in message
    (one / "party1.store").write_bytes((one / "party0.store").read_bytes())
    first, second = refusals(one, serve, network(), batches(1))
    assert "party 1 cannot use its store" in first and "dealt for party 0" in second
    with pytest.raises(errors.StoreError, match="is no store"):
        ct.store_status(__file__)


def test_an_altered_lot_is_refused_by_name_and_the_next_one_is_used(served, tmp_path):
    deal(served, tmp_path, 2, steps_per_lot=1)
    path = tmp_path / "party1.store"
    content = bytearray(path.read_bytes())
    content[len(content) - 2 * lot_bytes(served, 1) + 10] ^= 4  # in the first lot
    path.write_bytes(content)
    messages = []
    for _ in range(2):
        try:
            stored(tmp_path, serve, network(), batches(1))
        except errors.RemoteError as error:
            messages += [failure.message for failure in error.failures]
    assert any("is truncated or altered" in message for message in messages) and len(messages) == 2


def unequal(model, inputs):
    secret = ct.encrypt(model, src=0)
    for rows, images in enumerate(inputs):
        with ct.offline_step(), torch.no_grad():
            secret(ct.cryptensor(images[: rows + 1], src=1)).reveal()


def outside(model, inputs):
    serve(model, inputs)
    infer(model, inputs[0])


def nothing():
    return ct.cryptensor([1.0], src=0).reveal()


def test_programs_that_cannot_be_dealt_are_refused():
    inputs = batches(3)
    with pytest.raises(errors.StoreError, match="has 2 steps"):
        ct.trace(serve, network(), inputs[:2])
    with pytest.raises(errors.StoreError, match="step 2 is not like step 1"):
        ct.trace(unequal, network(), inputs)
    with pytest.raises(errors.StoreError, match="outside of the steps"):
        ct.trace(outside, network(), inputs)
    with pytest.raises(errors.StoreError, match="takes no correlations"):
        ct.trace(nothing)
    with pytest.raises(errors.ConfigError, match="precision is 99"):
        ct.trace(nothing, precision=99)


def nested():
    with ct.offline_step(), ct.offline_step():
        pass


def test_steps_do_not_nest():
    with pytest.raises(errors.RemoteError, match="inside another"):
        ct.simulate(nested)


@torch.no_grad()
def serve_what_comes(model, inputs, bad):
    """One step fails, at every party, behind its first product."""
    secret = ct.encrypt(model, src=0)
    answers = []
    for number, images in enumerate(inputs):
        try:
            with ct.offline_step():
                hidden = secret[0](ct.cryptensor(images, src=1))
                if number == bad:
                    raise KeyError("a bad request")
                answers.append(secret[2](secret[1](hidden)).reveal())
        except KeyError:
            answers.append(None)
    return answers


def test_a_step_that_fails_is_left_out(served, tmp_path):
    deal(served, tmp_path, 4, steps_per_lot=4)
    inputs = batches(4)
    for answers in stored(tmp_path, serve_what_comes, network(), inputs, bad=1):
        assert answers[1] is None
        expect_right([[answers[i] for i in (0, 2, 3)]], network(), [inputs[i] for i in (0, 2, 3)])


@pytest.mark.parametrize("count", [0, -1, 2.0, True, 2**40])
def test_bad_numbers_are_refused(served, tmp_path, count):
    with pytest.raises(errors.ConfigError, match="count is"):
        deal(served, tmp_path, count)
    with pytest.raises(errors.ConfigError, match="store is"):
        ct.simulate(nothing, provider="stored")
    with pytest.raises(errors.ConfigError, match="store is"):
        ct.simulate(nothing, store=tmp_path)


def command(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_a_dealer_that_was_killed_goes_on_and_no_process_deals(served, tmp_path):
    """And the parties are processes of their own, which is what stores are for."""
    out, plan = tmp_path / "store", tmp_path / "plan.json"
    served.save(plan)
    steps, lots = 20, 200
    arguments = ("deal", plan, "--count", lots * steps, "--out", out, "--steps-per-lot", steps)
    killed = command(*arguments, "--jobs", 1)
    part, lot = out / "party1.store.part", lot_bytes(served, steps)
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 4 * lot) and time.monotonic() < deadline:
        time.sleep(0.001)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -9 and part.exists(), "it was killed in the middle"
    kept = part.read_bytes()[: 3 * lot]
    again = command(*arguments, "--parties", 2, "--json")
    text, trouble = again.communicate(timeout=100)
    assert again.returncode == 0, trouble
    dealt = json.loads(text)
    assert (dealt["lots"], dealt["steps_per_lot"]) == (lots, steps)
    content = (out / "party1.store").read_bytes()
    assert content.startswith(kept), "whole lots are kept"
    assert {path.name for path in out.iterdir()} == {"party0.store", "party1.store"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in out.iterdir())
    inputs = batches(2)
    results = ct.launch(serve, network(), inputs, provider="stored", store=out)
    expect_right(results, network(), inputs)
    with pytest.raises(errors.StoreError, match="exists already"):
        deal(served, out, lots * steps, steps_per_lot=steps)
    assert offline.store_status(out, 1).lots_left == lots - 1


def test_the_command_says_what_is_wrong(served, tmp_path):
    served.save(tmp_path / "plan.json")
    done = command(
        "deal", tmp_path / "plan.json", "--count", 1, "--out", tmp_path / "s", "--parties", 3
    )
    text, trouble = done.communicate(timeout=100)
    assert (done.returncode, text) == (1, "")
    assert trouble.startswith("ConfigError: parties is 3; the plan is of 2 parties")
