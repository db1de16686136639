# SPDX-License-Identifier: MIT
"""Several values as one row, and public factors and roundings with more digits than the precision.

What an optimizer adds up over a thousand steps must not lean to one side: a truncation leaves an
error of known mean, which is taken off before it. What remains is a rounding up or down with the
probability of the nearer one, so that changes below one unit count on average, and 0 stays 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from .. import _C, session
from ..tensor import PUBLIC, SHARED

# Bits of a public factor.
_MANTISSA_BITS = 16
# No scaled value has more fraction bits above the precision than these.
ROOM_BITS = 28
# The mean error of a truncation, in units of the last place, with the sign changed.
_CENTRES = {"one_bit": 0.0, "exact": 0.5, "interactive": 0.0, "local": 0.0}


def joined(engine: _C.Engine, values: Sequence[_C.Secret]) -> _C.Secret:
    """All elements of the values in one row: what follows is one run for all of them."""
    if len(values) == 1:
        return values[0].rearrange(lambda s: s.reshape(-1).clone())
    return engine.combine(list(values), lambda shares: torch.cat([s.reshape(-1) for s in shares]))


def parts(row: _C.Secret, shapes: Sequence[torch.Size]) -> list[_C.Secret]:
    """The values of a row again."""
    sizes = [shape.numel() for shape in shapes]

    def split(share: torch.Tensor) -> list[torch.Tensor]:
        pieces = share.split(sizes)
        return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]

    return row.rearrange_many(split)


def multiplied(engine: _C.Engine, x: _C.Secret, mantissa: int, shift: int) -> _C.Secret:
    """x * mantissa / 2^shift, exactly and without a message: the point moves."""
    share = x.export_share()
    if mantissa != 1:
        share *= mantissa
    return engine.import_share(share, x.fraction_bits + shift, x.owner)


def scaled(engine: _C.Engine, x: _C.Secret, number: float) -> _C.Secret:
    """x * number, untruncated; the relative error of the number is 2^-16.

    Where that would take more than ROOM_BITS above the precision, it is an absolute one.
    """
    octave = math.frexp(number)[1]
    most = engine.precision + ROOM_BITS - x.fraction_bits
    shift = max(0, min(_MANTISSA_BITS - octave, most))
    return multiplied(engine, x, round(number * 2.0**shift), shift)


def constant(engine: _C.Engine, number: float, fraction_bits: int) -> _C.Secret:
    """A public number with so many fraction bits."""
    return engine.import_share(
        torch.tensor(round(number * 2.0**fraction_bits)), fraction_bits, PUBLIC
    )


def rounded(engine: _C.Engine, x: _C.Secret, fraction_bits: int) -> _C.Secret:
    """x with so many fraction bits; the error is below one unit of them and 0 on average.

    Cost: one round where bits are dropped.
    """
    drop = x.fraction_bits - fraction_bits
    if drop <= 0:
        return multiplied(engine, x, 1 << -drop, -drop) if drop else x
    if x.owner == SHARED:
        # The sum of what two parties own would round by their values, always to the same side.
        x = engine.share(x)
    centre = constant(engine, _centre(engine, x) * 2.0**-fraction_bits, x.fraction_bits)
    return engine.truncate(engine.add(x, centre), drop, "default")


def _centre(engine: _C.Engine, x: _C.Secret) -> float:
    if x.owner != SHARED or engine.parties == 1:
        return 0.5  # in the clear, downwards
    kind = "default"
    if session.is_active() and session.current().engine is engine:
        kind = session.current().config.truncation
    if kind == "default":
        kind = "one_bit" if engine.parties == 2 else "interactive"
    return _CENTRES[kind]
