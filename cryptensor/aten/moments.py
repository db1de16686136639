# SPDX-License-Identifier: MIT
"""Running means of gradients and of their squares, and steps of one over the root of the second.

Adam and RMSprop divide by the root of a mean of squares. At 16 fraction bits the square of a
gradient below 2^-8 is 0, and 1 - 0.999 has six digits. So squares are kept with 2 * 16 and ten more
fraction bits, and factors with sixteen digits whatever their size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .. import _C
from ..errors import ConfigError
from .rescaling import constant, multiplied, rounded, scaled

# Fraction bits above the precision of a first moment and of a direction.
EXTRA_BITS = 4
# Gradients have at most these, so that their squares leave room for large ones.
_GRADIENT_BITS = 18
_SQUARE_BITS = 52
# Digits of 1 - beta.
_WEIGHT_BITS = 11
# Added to a mean of squares, in units: more than what rounding may take from it.
_FLOOR_UNITS = 4
# A root keeps these above the precision where eps is added to it.
_ROOT_BITS = 8


def moved(engine: _C.Engine, mean: _C.Secret, value: _C.Secret, weight: float) -> _C.Secret:
    """mean + weight * (value - mean), with EXTRA_BITS. Cost: one round."""
    bits = engine.precision + EXTRA_BITS
    mean = rounded(engine, mean, bits)
    step = scaled(engine, engine.sub(value, mean), weight)
    return rounded(engine, engine.add(mean, step), bits)


@dataclass(frozen=True, slots=True)
class Squares:
    """The form of a running mean of squares with weight * new + (1 - weight) * old.

    gradient_bits: fraction bits of the gradients that are squared; 2^-gradient_bits is the smallest
      gradient that counts.
    octaves: 2^-octaves <= weight, so that one unit of a square moves the mean by one unit.
    Gradients must stay below 2^(25 - gradient_bits), which is 512 at 16 bits; beyond it the mean
    wraps around.
    """

    precision: int
    gradient_bits: int
    octaves: int
    mantissa: int

    @classmethod
    def of(cls, precision: int, weight: float) -> Squares:
        if not 0 < weight <= 1:
            raise ConfigError(
                f"the weight of a new square (1 - beta2, 1 - alpha) is {weight}; it must be above "
                "0 and at most 1"
            )
        octaves = max(0, math.ceil(-math.log2(weight)))
        bits = min(precision, _GRADIENT_BITS, (_SQUARE_BITS - octaves) // 2)
        return cls(precision, bits, octaves, round(weight * 2.0 ** (octaves + _WEIGHT_BITS - 1)))

    @property
    def weight(self) -> float:
        """The weight as it is used, with a relative error of at most 2^-11."""
        return self.mantissa * 2.0 ** -(self.octaves + _WEIGHT_BITS - 1)

    @property
    def bits(self) -> int:
        """Fraction bits of the mean."""
        return 2 * self.gradient_bits + self.octaves

    def moved(self, engine: _C.Engine, mean: _C.Secret, gradient: _C.Secret) -> _C.Secret:
        """The mean with the square of a gradient of gradient_bits. Cost: three rounds.

        |error| <= 3 units of 2^-bits, with mean 0.
        """
        mean = rounded(engine, mean, self.bits)
        change = engine.sub(engine.square(gradient), rounded(engine, mean, 2 * self.gradient_bits))
        step = multiplied(engine, change, self.mantissa, self.octaves + _WEIGHT_BITS - 1)
        return engine.add(mean, rounded(engine, step, self.bits))

    def step(self, engine: _C.Engine, value: _C.Secret, mean: _C.Secret, eps: float) -> _C.Secret:
        """value / (sqrt(mean) + eps), with EXTRA_BITS above the precision.

        The relative error is 2^-10 beside that of the rounded mean, to which 4 units are added:
        next to no gradients the result stays bounded. An eps below 2^-(gradient_bits + 8) counts
        as 0. Cost: 9 rounds, 16 with an eps that counts.
        """
        # Roots of large means would have few digits: results are larger by 2^more.
        more = max(0, min(8, (60 - self.bits) // 2, 50 - 2 * self.precision))
        mean = engine.add(mean, constant(engine, _FLOOR_UNITS * 2.0**-self.bits, self.bits))
        if eps < 2.0 ** -(self.gradient_bits + 8):
            inverse = engine.power(multiplied(engine, mean, 1, 2 * more), -0.5)
        else:
            root = engine.power(multiplied(engine, mean, 1, -2 * _ROOT_BITS), 0.5)
            root = multiplied(engine, root, 1, _ROOT_BITS)
            divisor = engine.add(root, constant(engine, eps, root.fraction_bits))
            inverse = engine.power(multiplied(engine, divisor, 1, more), -1.0)
        product = multiplied(engine, engine.mul(value, inverse), 1, more)
        return rounded(engine, product, self.precision + EXTRA_BITS)
