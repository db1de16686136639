# SPDX-License-Identifier: MIT
"""tf-encrypted's names: private inputs and outputs, variables, masked tensors."""

import pytest
import torch

import cryptensor as ct
from cryptensor.errors import ConfigError
from cryptensor.private import define_private_variable, masked, private_input, private_output


def test_a_private_input_is_called_at_its_party_alone():
    def program():
        called = []

        @private_input(1)
        def one(scale):
            called.append("one")
            return torch.tensor([1.0, 2.0]) * scale

        @private_input(0)
        def several():
            """Two."""
            called.append("several")
            return [torch.ones(2, 3), torch.zeros(1)]

        x, (a, b) = one(2 if ct.rank() == 1 else None), several()
        shapes = [tuple(t.shape) for t in (x, a, b)]
        numbers = private_input(1)(lambda: [[1, 2], [3, 4]])()
        return called, [x.owner, a.owner], shapes, x.reveal().tolist(), numbers.reveal().tolist()

    ours, theirs = ct.simulate(program)
    assert ours[0] == ["several"] and theirs[0] == ["one"]
    assert ours[1:] == theirs[1:]
    assert ours[1:4] == ([1, 0], [(2,), (2, 3), (1,)], [2.0, 4.0])
    assert ours[4] == [[1.0, 2.0], [3.0, 4.0]]


def test_a_failing_input_fails_everywhere_and_the_session_goes_on():
    def program():
        @private_input(1)
        def broken():
            return {}["missing"]

        out = []
        for call in (broken, private_input(0)(lambda: None), private_input(5)(lambda: 1)):
            try:
                call()
            except Exception as error:
                out.append((type(error).__name__, str(error)))
        return out, ct.cryptensor([3.0]).reveal().item()

    (ours, after), (theirs, _) = ct.simulate(program)
    assert ours[0][0] == "ConfigError" and "'broken' raised at party 1" in ours[0][1]
    assert theirs[0][0] == "KeyError"
    assert ours[1][0] == "TypeError" and theirs[1][0] != "no error"
    assert ours[2] == theirs[2] and "rank from 0 to 1" in ours[2][1]
    assert after == 3.0


def test_a_private_output_opens_to_its_party_alone():
    def program():
        @private_output(0)
        def results():
            x = ct.cryptensor([1.0, 2.0], src=0) + ct.cryptensor([0.0, 0.0], src=1)
            return {"sum": x.sum(), "parts": (x[0], [x[1], "text"])}, 7

        return results(), ct.stats()["reveal"].bytes_sent

    (ours, sent), (theirs, received) = ct.simulate(program)
    assert theirs is None and sent == 0 and received > 0
    assert ours[0]["sum"] == 3.0 and ours[1] == 7
    assert [float(v) for v in (ours[0]["parts"][0], ours[0]["parts"][1][0])] == [1.0, 2.0]
    assert ours[0]["parts"][1][1] == "text"
    with pytest.raises(ct.errors.RemoteError, match="src is 3"):
        ct.simulate(private_output(3)(lambda: 1))


def test_variables_are_written_and_trained():
    def program():
        v = define_private_variable(torch.ones(2), src=1, requires_grad=True)
        copied = define_private_variable(v)
        (v * torch.tensor([1.0, 2.0])).sum().backward()
        torch.optim.SGD([v], lr=0.5).step()
        copied.copy_(ct.cryptensor([5.0, 6.0]))
        return v.reveal().tolist(), copied.reveal().tolist(), copied.requires_grad

    assert ct.simulate(program)[0] == ([0.5, 0.0], [5.0, 6.0], False)


@pytest.mark.parametrize("parties", [2, 3])
def test_a_masked_tensor_is_opened_once(parties):
    def program():
        x = ct.cryptensor(torch.full((50, 40), 0.5), src=0)
        pending = x * ct.cryptensor(torch.full((50, 40), 2.0), src=1)
        y = ct.cryptensor(torch.ones(3, 50), src=1) + ct.cryptensor(torch.ones(3, 50), src=0)
        found = []
        for value in (pending, masked(pending), masked(x)):
            ct.reset_stats()
            product = y @ value
            found.append((ct.stats().bytes_sent, product.reveal().unique().tolist()))
        return found, masked(x).reveal().unique().tolist()

    (plain, opened, owned), unchanged = ct.simulate(program, parties=parties)[0]
    for found, expected in ((plain, 100.0), (opened, 100.0), (owned, 50.0)):
        # 50 products of 2 with an element that a truncation rounded, and one more truncation.
        assert all(value == pytest.approx(expected, abs=101 * 2**-16) for value in found[1])
    assert unchanged == [0.5]
    # 50 x 40 elements of 8 bytes to each other party are not sent again.
    assert opened[0] < plain[0] - 15_000 and owned[0] == opened[0]


def test_what_cannot_be_masked():
    with pytest.raises(ConfigError, match="must be a secret tensor"):
        masked(torch.ones(2))
