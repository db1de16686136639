# SPDX-License-Identifier: MIT
"""Which values of a plain run would be outside of what secrets take: see csrc/function/README.md.

The rules look at the operation's plain operands; the limit of a result depends on how many fraction
bits the secret carries, which are more while a truncation is pending.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from .. import _C
from ..aten import views
from .report import Place, Risk

aten = torch.ops.aten

# "Near": within two bits of the limit.
_MARGIN = 4.0
# Values this far from a unit keep their leading digits.
_VANISHING_BITS = 4
# They move values, or make tensors that are filled later.
_SILENT = frozenset(
    (
        *views.VIEWS,
        *views.MANY_VIEWS,
        *views.COPIES,
        aten.empty_like.default,
        aten.new_empty.default,
        aten.new_empty_strided.default,
    )
)
# Operations that take a public number or tensor, which has few bits left if it is small.
_WITH_CONSTANT = {"add", "sub", "rsub", "mul", "clamp", "clamp_min", "maximum", "where"}


class Extent(NamedTuple):
    """The finite values of a tensor; magnitudes are absolute values."""

    low: float
    high: float
    smallest: float
    largest: float


def extent(x: Any) -> Extent | None:
    """None where there is no finite value, and for integers and truth values.

    Masks mean minus infinity by it, or by the limits of the dtype: those are no values.
    """
    if not isinstance(x, torch.Tensor) or not x.dtype.is_floating_point or not x.numel():
        return None
    low, high = (float(value) for value in torch.aminmax(x.detach()))
    far = torch.finfo(x.dtype).max / _MARGIN
    if not (abs(low) < far and abs(high) < far):
        x = x[x.abs() < far]
        if not x.numel():
            return None
        low, high = (float(value) for value in torch.aminmax(x))
    least, most = (float(value) for value in torch.aminmax(x.detach().abs()))
    return Extent(low, high, least, most)


class _Finding(NamedTuple):
    kind: str
    extent: Extent
    message: str
    outside: bool


class Ranges:
    """Collects the risks of one run, one for each operation, place and message."""

    def __init__(self, precision: int) -> None:
        self.precision = precision
        self.unit = 2.0**-precision
        self._found: dict[Any, Risk] = {}

    @property
    def risks(self) -> tuple[Risk, ...]:
        return tuple(self._found.values())

    def value(self, name: str, x: Any, place: Place) -> None:
        """Of an input or a parameter."""
        self._keep(name, place, self._size(extent(x), 62 - self.precision))

    def operation(
        self,
        operation: Any,
        operands: tuple[Any, ...],
        secrets: list[torch.Tensor],
        results: list[tuple[torch.Tensor, int]],
        place: Callable[[], Place],
    ) -> None:
        """Of one operation.

        operands: its positional arguments, as in the plain run. secrets: those that are secret.
        results: each with the fraction bits of the secret.
        """
        if operation in _SILENT:
            return
        name = operation._schema.name.partition("::")[2].removesuffix("_")
        findings = list(self._domain(name, operands)) + list(
            self._constants(name, operands, secrets)
        )
        if not any(finding.outside for finding in findings):
            before = [e for x in secrets if (e := extent(x))]
            for x, bits in results[:1]:  # behind it come means and positions
                findings += self._size(extent(x), 62 - bits, before)
        if findings:
            self._keep(str(operation), place(), findings)

    def _keep(self, operation: str, place: Place, findings: Any) -> None:
        for finding in findings:
            key = (operation, place, finding.message)
            low, high, outside = finding.extent.low, finding.extent.high, finding.outside
            if key in self._found:
                known = self._found[key]
                low, high = min(low, known.low), max(high, known.high)
                outside = outside or known.outside
            self._found[key] = Risk(
                finding.kind, operation, place, finding.message, outside, low, high
            )

    def _size(
        self, found: Extent | None, bits: int, before: list[Extent] | None = None
    ) -> Iterator[_Finding]:
        """Too large, or nothing left; silent where the operands have been so already."""
        if found is None:
            return
        limit, least = 2.0**bits, self.unit * 2**_VANISHING_BITS
        earlier = [e.largest for e in before or ()]
        outside = found.largest >= limit
        if found.largest >= limit / _MARGIN:
            if max(earlier, default=0.0) < (limit if outside else limit / _MARGIN):
                message = f"magnitudes must stay below 2^{bits}"
                yield _Finding("range", found, message, outside)
        elif 0 < found.largest < least:
            if not earlier or max(earlier) >= least:
                yield self._vanishing(found)

    def _vanishing(self, found: Extent) -> _Finding:
        message = f"little or nothing is left at {self.precision} fraction bits"
        return _Finding("vanishing", found, message, found.largest < self.unit / 2)

    def _constants(
        self, name: str, operands: tuple[Any, ...], secrets: list[torch.Tensor]
    ) -> Iterator[_Finding]:
        least = self.unit * 2**_VANISHING_BITS
        for x in operands[:3] if name in _WITH_CONSTANT else ():
            if any(x is secret for secret in secrets):
                continue
            found = extent(torch.tensor(x, dtype=torch.float64) if isinstance(x, float) else x)
            if found and 0 < found.largest < least:
                yield self._vanishing(found)
        if name == "div" and len(operands) > 1 and isinstance(operands[1], (int, float)):
            divisor = abs(float(operands[1]))
            if divisor > 1 / least:
                yield self._vanishing(Extent(*[1 / divisor] * 4))

    def _domain(self, name: str, operands: tuple[Any, ...]) -> Iterator[_Finding]:
        rule = _RULES.get(name)
        if rule is not None:
            yield from rule(self, *operands)

    # The rules. Each takes the operands of the operation.

    def positive(
        self, x: Any, *rest: Any, zero: bool = False, shift: float = 0.0
    ) -> Iterator[_Finding]:
        """(0, 2^32), or [0, 2^32), of x + shift."""
        found = extent(x)
        if found is None:
            return
        domain = f"the domain is {'[' if zero else '('}{0.0 - shift:g}, 2^32)"
        low = found.low + shift
        if low < 0 or (low == 0 and not zero) or found.high >= 2.0**32:
            yield _Finding("domain", found, domain, True)
        elif 0 < low < _MARGIN * self.unit or found.high >= 2.0**32 / _MARGIN:
            yield _Finding("domain", found, domain, False)

    def not_zero(self, x: Any, *rest: Any) -> Iterator[_Finding]:
        found = extent(x)
        if found is not None and found.smallest < _MARGIN * self.unit:
            message = f"a divisor must be clearly larger than a unit, 2^-{self.precision}"
            yield _Finding("domain", found, message, found.smallest < self.unit)

    def divisor(self, x: Any, y: Any, *rest: Any) -> Iterator[_Finding]:
        if not isinstance(y, torch.Tensor):
            return
        yield from self.not_zero(y)
        bits = 61 - self.precision - max(_C.INVERSE_BITS, self.precision)
        found = extent(torch.as_tensor(x) / y)
        if found is not None and found.largest >= 2.0**bits / _MARGIN:
            message = f"quotients must stay below 2^{bits}"
            yield _Finding("range", found, message, found.largest >= 2.0**bits)

    def exponent(self, x: Any, *rest: Any, base: float = math.e) -> Iterator[_Finding]:
        found = extent(x)
        if found is None:
            return
        limit = (62 - self.precision) * math.log(2)
        top = max(math.log(base) * found.high, math.log(base) * found.low)
        if top > limit - math.log(_MARGIN):
            message = f"the power must stay below 2^{62 - self.precision}"
            yield _Finding("domain", found, message, top > limit)

    def power(self, x: Any, exponent: Any, *rest: Any) -> Iterator[_Finding]:
        if not isinstance(x, torch.Tensor):
            if x > 0:
                yield from self.exponent(exponent, base=float(x))
        elif isinstance(exponent, torch.Tensor) or not float(exponent).is_integer():
            root = not isinstance(exponent, torch.Tensor) and float(exponent) == 0.5
            yield from self.positive(x, zero=root)
        elif exponent < 0:
            yield from self.not_zero(x)

    def angle(self, x: Any, *rest: Any) -> Iterator[_Finding]:
        found = extent(x)
        if found is not None and found.largest >= 2.0**30 / _MARGIN:
            yield _Finding("domain", found, "|x| must be below 2^30", found.largest >= 2.0**30)

    def variance(self, rows: torch.Tensor) -> Iterator[_Finding]:
        """Of values that are normalised together, the last dimension of rows."""
        count = rows.shape[-1]
        if not rows.numel():
            return
        found = extent(rows.detach().var(-1, correction=0))
        limit = 2.0**28 / count
        if found is not None and found.high >= limit / _MARGIN:
            message = f"the variance of {count} values must stay below 2^28 / {count}"
            yield _Finding("domain", found, message, found.high >= limit)

    def layer_norm(self, x: torch.Tensor, shape: Any, *rest: Any) -> Iterator[_Finding]:
        return self.variance(x.flatten(-len(shape)))

    def group_norm(self, x: torch.Tensor, *rest: Any) -> Iterator[_Finding]:
        batch, groups = rest[2], rest[5]
        return self.variance(x.reshape(batch * groups, -1))

    def batch_norm(self, x: torch.Tensor, *rest: Any) -> Iterator[_Finding]:
        if rest[4]:
            yield from self.variance(x.transpose(0, 1).flatten(1))


_RULES: dict[str, Callable[..., Iterator[_Finding]]] = {
    "log": Ranges.positive,
    "log2": Ranges.positive,
    "log10": Ranges.positive,
    "log1p": lambda r, x, *rest: r.positive(x, shift=1.0),
    "xlogy": lambda r, x, y, *rest: r.positive(y),
    "sqrt": lambda r, x, *rest: r.positive(x, zero=True),
    "rsqrt": Ranges.positive,
    "reciprocal": Ranges.not_zero,
    "div": Ranges.divisor,
    "exp": Ranges.exponent,
    "expm1": Ranges.exponent,
    "exp2": lambda r, x, *rest: r.exponent(x, base=2.0),
    "pow": Ranges.power,
    "sin": Ranges.angle,
    "cos": Ranges.angle,
    "native_layer_norm": Ranges.layer_norm,
    "native_group_norm": Ranges.group_norm,
    "native_batch_norm": Ranges.batch_norm,
}
