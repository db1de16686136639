# SPDX-License-Identifier: MIT
"""What check() found, as numbers and as text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from ..cost.layers import LayerCost
from ..cost.network import Network
from ..cost.table import aligned


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the user's program something happened.

    line: "file:number" of the innermost line outside of PyTorch, "" where there is none; text: what
    stands there; module: the path of the module that ran, "" for the model itself.
    """

    line: str
    text: str
    module: str

    def __str__(self) -> str:
        inside = f"in {self.module}" if self.module else ""
        return " ".join(filter(None, (self.line, inside))) + (f": {self.text}" if self.text else "")


@dataclass(frozen=True, slots=True)
class Unsupported:
    """An operation that would raise on a secret.

    advice: the nearest supported operation, or what to do instead; times: how often it was met.
    """

    operation: str
    place: Place
    advice: str
    times: int = 1

    def __str__(self) -> str:
        often = f" ({self.times} times)" if self.times > 1 else ""
        return f"{self.operation}{often} at {self.place}\n    {self.advice}"


@dataclass(frozen=True, slots=True)
class Risk:
    """Values of the example that an operation on secrets does not take, or hardly.

    kind: "domain" (outside of a function's domain, or near its end), "range" (too large to hold)
    or "vanishing" (nearly nothing is left at this precision). outside: False for values that are
    within a factor of 4 of the limit. low, high: the smallest and the largest of the values.
    """

    kind: str
    operation: str
    place: Place
    message: str
    outside: bool
    low: float
    high: float

    def __str__(self) -> str:
        mark = "outside" if self.outside else "near"
        values = f"values from {self.low:.6g} to {self.high:.6g}"
        return (
            f"{self.kind} ({mark}): {self.operation} at {self.place}\n    {values}; {self.message}"
        )


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of check(). Printing it shows all of it as text.

    ok: no operation is unsupported; there may be risks. layers, rounds, bytes, bytes_received,
    dealer_bytes and seconds are None where the cost could not be told: no_cost says why. They are
    those of one inference, bytes at party 0: inputs entered, forward pass, results opened. setup is
    the cost of encrypting the model, once, and None where it stays public.
    """

    network: Network
    parties: int
    precision: int
    unsupported: tuple[Unsupported, ...] = ()
    risks: tuple[Risk, ...] = ()
    layers: tuple[LayerCost, ...] | None = None
    total: LayerCost | None = None
    setup: LayerCost | None = None
    no_cost: str = field(default="")

    @property
    def ok(self) -> bool:
        return not self.unsupported

    @property
    def rounds(self) -> int | None:
        return self.total.rounds if self.total else None

    @property
    def bytes(self) -> int | None:
        return self.total.bytes if self.total else None

    @property
    def bytes_received(self) -> int | None:
        return self.total.bytes_received if self.total else None

    @property
    def dealer_bytes(self) -> int | None:
        return self.total.dealer_bytes if self.total else None

    @property
    def seconds(self) -> float | None:
        return self.total.seconds if self.total else None

    def to_dict(self) -> dict[str, object]:
        """Plain numbers, strings, lists and dicts, ready for JSON."""
        return {**asdict(self), "ok": self.ok}

    def __str__(self) -> str:
        head = f"{self.parties} parties, precision {self.precision}, {self.network}"
        parts = [head, _listed("unsupported operations", self.unsupported)]
        parts.append(_listed("values at risk", self.risks))
        parts.append(self._cost())
        return "\n\n".join(parts)

    __repr__ = __str__

    def _cost(self) -> str:
        if self.layers is None or self.total is None:
            return f"cost: unknown, {self.no_cost}"
        rows = [row for row in self.layers if row.rounds or row.bytes or row.dealer_bytes]
        rows = [*rows, self.total] + ([self.setup] if self.setup else [])
        columns = ("module", "type", "calls", "rounds", "sent", "received", "dealt", "seconds")
        cells = [columns, *(_cells(row) for row in rows)]
        return f"cost of one inference at party 0\n{aligned(cells, left=2)}"


def _cells(row: LayerCost) -> tuple[str, ...]:
    counts = (row.calls, row.rounds, row.bytes, row.bytes_received, row.dealer_bytes)
    return (
        row.name or "(model)",
        row.type,
        *(f"{count:,}" for count in counts),
        f"{row.seconds:.4f}",
    )


def _listed(title: str, items: tuple[object, ...]) -> str:
    return "\n".join([f"{title}: {len(items) or 'none'}", *(f"  {item}" for item in items)])
