# SPDX-License-Identifier: MIT
"""What the tests of saving share: a save, its files, and what all parties raised."""

import torch
from torch import nn

import cryptensor as ct

torch.manual_seed(5)
NUMBERS = torch.randn(3, 4)
# A value that no other number of a file happens to be.
SECRET = 1234.5678


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.norm = nn.Linear(6, 6, bias=False), nn.BatchNorm1d(6)
        self.outer = nn.Linear(6, 6)
        self.outer.weight = self.inner.weight
        self.last = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5))
        self.register_buffer("shift", torch.randn(6))
        self.register_buffer("order", torch.tensor([4, 3, 2, 1, 0]))

    def forward(self, x):
        y = self.outer(self.norm(self.inner(x)) + self.shift)
        return self.last(y)[:, self.order]


def trained():
    """As after training; made once, since the parties are threads and share torch's generator."""
    model = Tied()
    for norm in (model.norm, model.last[1]):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return model.eval()


TRAINED = trained()


def computed(model):
    x = ct.cryptensor(torch.linspace(-1, 1, 12).reshape(2, 6), src=1)
    return model(x).reveal()


def saved(tmp_path, parties=2, name="x.ct", **settings):
    """A save of one secret of each owner; its path."""

    def body():
        shared = ct.cryptensor(torch.full((2,), SECRET), src=0) + ct.cryptensor([1, 2], src=1)
        named = {"mine": ct.cryptensor([SECRET, 1], src=0), "sum": shared, "plain": torch.ones(2)}
        ct.save(named, tmp_path / name)

    ct.simulate(body, parties=parties, **settings)
    return tmp_path / name


def file_of(path, party):
    return path.with_name(f"{path.name}.party{party}")


def outcomes(fn, *, alive=True, **settings):
    """What fn raised, at each party; the session has to work afterwards."""

    def body():
        error = None
        try:
            fn()
        except Exception as caught:
            error = caught
        if alive:
            assert ct.cryptensor([2.0], src=0).reveal() == 2
        return error

    return ct.simulate(body, **settings)


def refused(errors, kind, *texts):
    """All parties raise the named class; texts by party."""
    assert [type(error) for error in errors] == [kind] * len(errors), errors
    for error, text in zip(errors, texts, strict=False):
        assert text in str(error), str(error)
        assert "1234" not in str(error) and str(round(SECRET * 2**16)) not in str(error)
