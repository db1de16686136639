# SPDX-License-Identifier: MIT
"""Secrets at rest: one file per party, and plain files of one party.

    ct.save(model, "model.ct")                  # party 0 writes model.ct.party0, and so on
    model = ct.load("model.ct", into=Net().eval())

A party's file holds what that party holds in memory: its shares, and in the clear what it owns. The
file is as secret as that; all parties' files together are the values.
"""

from .loading import load, load_from_party
from .saving import save

__all__ = ["load", "load_from_party", "save"]
