# SPDX-License-Identifier: MIT
"""How far a function of shares may be off the same function of a mask that is zero.

The plaintext engine evaluates the same series with the same integer kernels. A result of the
protocol is made of two rounded factors instead of one; the bounds here add up all the roundings of
csrc/correlation/cpu/characters_kernels.inl, to first order, in absolute numbers.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from fit_functions import SCALE, read_tables

TABLES = {table.name: table for table in read_tables()}
LN2 = math.log(2)
WAVE = 2.0**-30  # the last place of cosines, sines and mantissas
EXPONENT_BITS = 54  # of a logarithm

# An error of 1/2 in a cosine and in a sine, as the length of a vector.
_BOTH_ROUNDED = math.sqrt(0.5)
# Of the first harmonic, in units of WAVE: two entries of tables and their product, rounded to
# nearest; the last 12 bits of the angle, rounded down, and what they leave to second order; the
# angle itself, of which 32 bits are kept.
_FIRST = 3 * _BOTH_ROUNDED + math.sqrt(2) + (2 * math.pi * 2**-20) ** 2 / 2 / WAVE
_FIRST += 2 * math.pi * 2**-32 / WAVE
# Of a mantissa in [1, 2): two entries rounded to nearest, their product and the last bits rounded
# down, 2839 / 2^12 instead of ln 2, and 32 bits of the exponent.
MANTISSA = (0.5 + 0.5 + 1 + 1 + 0.04 + LN2 * 2**-32 / WAVE) * WAVE
# A truncation of the protocol takes the floor or the number above it; the oracle rounds to nearest.
TRUNCATION = 1.5


def _wave_error(n: int) -> float:
    """Of the n-th harmonic, a product of n first ones that is rounded each time."""
    return (n * _FIRST + (n - 1) * _BOTH_ROUNDED) * WAVE


def series_noise(name: str, precision: int, *, derivative: bool = False) -> float:
    """Of an activation's series before its truncation."""
    return _noise(TABLES[name], 1.0, min(precision + 38, 54), derivative)


def log2_noise(name: str, factor: float) -> float:
    return _noise(TABLES[name], factor, EXPONENT_BITS, False)


def sine_noise(precision: int) -> float:
    return _of_harmonics([(1, 1.0)], min(precision + 38, 54))


def _noise(table, factor: float, bits: int, derivative: bool) -> float:
    part = table.derivative if derivative else table.value
    numbers = [2 * h + 1 if table.odd else h + 1 for h in range(table.harmonics)]
    amplitudes = [
        abs(factor) * math.hypot(a, b) / SCALE
        for a, b in zip(part.cosines, part.sines, strict=True)
    ]
    return _of_harmonics(list(zip(numbers, amplitudes, strict=True)), bits)


def _of_harmonics(harmonics: list[tuple[int, float]], bits: int) -> float:
    """The wave of what is opened and that of the mask here, one wave there. The coefficients of
    the mask's cosine and sine are rounded at 2^-(bits - 30), both here, one there."""
    waves = sum(3 * amplitude * _wave_error(n) for n, amplitude in harmonics)
    return waves + len(harmonics) * (_BOTH_ROUNDED + 0.5) * 2.0 ** (30 - bits)


@dataclass(frozen=True)
class Noise:
    """|error| <= relative * |value| + absolute."""

    relative: float
    absolute: float

    @property
    def of_ratios(self) -> float:
        """Where the value is at most 1."""
        return self.relative + self.absolute


def powers_noise(*, wide: bool) -> Noise:
    """Of 2^x, exact x: the dealt entry is an integer from 2^(scale - 8) to 2^scale; the factor
    of what is opened is rounded to the last place of the result over the entry, here and there."""
    scale, bits = (20, 36) if wide else (22, 44)
    return Noise(2.0 ** -(scale - 8 + 1) + 3 * MANTISSA, 2 * 2.0 ** (scale - 1 - bits))


def power_noise(exponent: float, *, wide: bool = False, precise: bool = False) -> Noise:
    """Of x^exponent: an error of the logarithm is a relative one of the result."""
    of_log = LN2 * log2_noise("log2" if precise else "log2_coarse", exponent)
    powers = powers_noise(wide=wide)
    return Noise(powers.relative + of_log, powers.absolute)


RATIO_LAST_PLACE = 2.0**-24  # of both factors of the quotient of a softmax or standardization


def total_noise(n: int) -> float:
    """Relative, of a sum of n exponentials, the largest of which is 1."""
    powers = powers_noise(wide=False)
    return powers.relative + n * powers.absolute


def softmax_noise(n: int) -> Noise:
    """Numerator, denominator and its reciprocal; numerator and reciprocal are also truncated."""
    powers, inverse = powers_noise(wide=False), power_noise(-1, precise=True)
    relative = powers.relative + total_noise(n) + inverse.relative
    truncations = 2 * TRUNCATION * RATIO_LAST_PLACE
    return Noise(relative, powers.absolute + inverse.absolute + truncations)


def log_of_total_noise(n: int) -> float:
    return total_noise(n) + log2_noise("log2", LN2)
