# SPDX-License-Identifier: MIT
"""Runs protocols with planted leaks and prints, as JSON, in which messages they were seen.

Needs the module of the ninja target `mutants` in CRYPTENSOR_TEST_MODULE. One process for all: the
leak is chosen by the environment at run time.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

CORRELATIONS, ZERO_SHARES = "correlations", "zero_shares"


class Mutant(NamedTuple):
    """A leak by its number in csrc/crypto/mutant.h, and the protocols that must show it."""

    number: int
    name: str
    scope: str
    protocols: tuple[str, ...]
    provider: str = "first_party"


MASKED = ("mul", "mul_owned", "truncate_interactive", "relu_pending")
MASKED += ("piecewise", "sin_cos", "exp", "is_zero", "one_hot", "largest_of_four")
BITS_TOO = (*MASKED, "truncate_one_bit")
CORRECTED = ("mul", "relu_pending", "piecewise", "sin_cos", "is_zero", "one_hot")
REVEAL = ("reveal",)
WEAK = ((1, "mask 0"), (3, "32-bit masks"), (4, "63-bit masks"), (5, "even masks"))
WEAK += ((6, "one percent unmasked"), (7, "one mask for all elements"))

MUTANTS = [
    Mutant(0, "none", CORRELATIONS, (*BITS_TOO, *REVEAL), "third_party"),
    # Packed bits have one percent of few words: too little to see, and no secret behind it.
    *(Mutant(n, name, CORRELATIONS, MASKED if n == 6 else BITS_TOO) for n, name in WEAK),
    *(Mutant(n, name, ZERO_SHARES, REVEAL) for n, name in WEAK),
    Mutant(2, "mask reused by every correlation", CORRELATIONS, BITS_TOO),
    Mutant(8, "correlated masks of two operands", CORRELATIONS, ("mul",)),
    Mutant(
        9,
        "correction without mask",
        CORRELATIONS,
        ("mul", "truncate_interactive", "truncate_one_bit"),
        "third_party",
    ),
    Mutant(10, "counter not advanced", ZERO_SHARES, REVEAL),
    Mutant(
        11,
        "correction to every party",
        CORRELATIONS,
        CORRECTED,
        "third_party",
    ),
    # Of what is replicated, and of what party 2 hands over.
    *(
        Mutant(n, f"{name}, replicated", ZERO_SHARES, ("mul", "relu"), "replicated")
        for n, name in WEAK
    ),
    Mutant(12, "bit of a truncation without mask", CORRELATIONS, ("truncate_one_bit",)),
]
SECRET = -3.0


def main() -> None:
    from observer import watch
    from protocols import BY_NAME

    found = []
    for mutant in MUTANTS:
        os.environ["CRYPTENSOR_MUTANT"] = str(mutant.number)
        os.environ["CRYPTENSOR_MUTANT_IN"] = mutant.scope
        seen = {}
        for name in mutant.protocols:
            parties = 3 if mutant.provider == "replicated" else 2
            verdicts = watch(BY_NAME[name], SECRET, parties, mutant.provider)
            seen[name] = sorted({verdict.what for verdict in verdicts if verdict.leaks})
        found.append(seen)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
