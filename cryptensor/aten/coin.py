# SPDX-License-Identifier: MIT
"""The parties' common coin: random numbers that all of them draw alike, and that all of them know.

Dropout masks and the like are public: they say nothing about secrets, and a product with them is
local. A session's first draw agrees on a seed to which every party contributes; from then on its
own torch.Generator gives the numbers, since every party draws the same in the same order.
Nothing that hides a secret is ever drawn here: masks of the protocols come from the engine.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch

from .. import _C, session
from ..errors import ConfigError

# An input of the engine holds 46 bits; a seed is made of two words.
_WORD = 32
_coins: weakref.WeakKeyDictionary[_C.Engine, torch.Generator] = weakref.WeakKeyDictionary()


def coin(engine: _C.Engine) -> torch.Generator:
    """The generator that the parties share.

    Cost: at the first draw of a session a round for each party and one more.
    """
    found = _coins.get(engine)
    if found is None:
        own = int.from_bytes(_C.random_bytes(8), "little")
        seed = 0
        for drawn in _exchanged(engine, own):
            seed ^= drawn
        found = _coins[engine] = _generator(seed)
    return found


def manual_seed(seed: int) -> None:
    """Starts the public random numbers of the session (dropout, RReLU, rand_like) from `seed`.

    Every party calls it with the same seed, from 0 to 2^63 - 1; then a run can be repeated. Without
    it the parties agree on a random seed. Plain torch.rand() is not touched: what a program draws
    itself and multiplies with secrets must be equal at all parties, see torch.manual_seed.

    Cost: a round for each party and one more. Raises ConfigError at every party where the seeds
    differ or one is out of range.
    """
    engine = session.current().engine
    valid = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**63
    seeds = _exchanged(engine, seed if valid else 2**64 - 1)
    if not valid:
        raise ConfigError(f"seed is {seed!r}; it must be an integer from 0 to 2^63 - 1")
    if len(set(seeds)) > 1:
        raise ConfigError(f"seed is {seed}; it must be the same valid one at all parties")
    _coins[engine] = _generator(seed)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed % 2**63)


def _exchanged(engine: _C.Engine, number: int) -> list[int]:
    """The 64-bit numbers of all parties, at every party."""
    own = torch.tensor([number % 2**_WORD, number >> _WORD])
    given = [
        engine.input(own if engine.rank == source else own.shape, source)
        for source in range(engine.parties)
    ]
    words: Any = engine.reveal(engine.combine(given, torch.stack), None)
    words = words.round().long()
    if engine.rehearses:  # nobody else has drawn, and what was opened means nothing
        return [number] * engine.parties
    return [low + (high << _WORD) for low, high in words.tolist()]
