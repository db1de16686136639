# SPDX-License-Identifier: MIT
"""What cost() found, as numbers, as text and as a data frame."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from .alternatives import Alternative
from .layers import LayerCost
from .network import Network
from .table import aligned

_HEAVIEST = 5
_COLUMNS = ("module", "type", "calls", "rounds", "sent", "dealt", "dealer s", "compute s", "s", "%")


@dataclass(frozen=True, slots=True)
class CostReport:
    """The result of cost(). Printing it shows all of it as text.

    layers: a row for each module that ran, in that order, with the modules inside it; total: their
    sum, one inference from plain inputs to opened results; setup: encrypting the model, once, None
    where it stays public. repeated: whether the inference is a later one or the first.
    alternatives: what other choices would cost.
    """

    network: Network
    parties: int
    precision: int
    provider: str
    repeated: bool
    layers: tuple[LayerCost, ...]
    total: LayerCost
    setup: LayerCost | None
    alternatives: tuple[Alternative, ...] = ()

    @property
    def rounds(self) -> int:
        return self.total.rounds

    @property
    def bytes(self) -> int:
        """Sent by party 0; total.sent has those of every party."""
        return self.total.bytes

    @property
    def dealer_bytes(self) -> int:
        return self.total.dealer_bytes

    @property
    def seconds(self) -> float:
        return self.total.seconds

    @property
    def dominates(self) -> dict[str, float]:
        """Parts of the total's seconds, the largest first: compute, rounds, bytes, waiting."""
        total = self.total
        parts = {
            "compute": max(total.compute_seconds),
            "rounds": total.latency_seconds,
            "bytes": total.traffic_seconds,
            "waiting for the dealer or a core": total.wait_seconds,
        }
        whole = total.seconds or 1.0
        ordered = sorted(parts.items(), key=lambda part: -part[1])
        return {name: seconds / whole for name, seconds in ordered}

    @property
    def heaviest(self) -> tuple[LayerCost, ...]:
        """The modules with the most seconds of their own, up to five."""
        own = sorted(self.layers, key=lambda row: -row.own_seconds)
        return tuple(row for row in own[:_HEAVIEST] if row.own_seconds > 0)

    def to_dict(self) -> dict[str, object]:
        """Plain numbers, strings, lists and dicts, ready for JSON."""
        return {**asdict(self), "dominates": self.dominates}

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    def dataframe(self) -> Any:
        """The layers, total and setup as rows of a pandas.DataFrame; ImportError without pandas."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("dataframe() needs pandas: pip install 'cryptensor[data]'") from error
        return pandas.DataFrame([asdict(row) for row in self._rows()]).set_index("name")

    def flame(self, path: str | os.PathLike[str]) -> None:
        """Draws rounds and party 0's bytes as nested bars, one for each layer, as wide as its part.

        path: a picture; its ending, such as .png, .svg or .pdf, chooses the format. Raises
        ConfigError for another one, and ImportError without matplotlib.
        """
        from ..profiles.flame import Bar, draw

        bars = [Bar("(all)", "", None, self.rounds, self.bytes)]
        numbers: dict[str, int] = {}
        for row in self.layers:
            # What a module runs inside has a shorter path; the model itself has none.
            parts = row.name.split(".") if row.name else []
            above = [".".join(parts[:n]) for n in range(len(parts))]
            inside = [numbers[path] for path in above if path in numbers and row.type]
            numbers[row.name] = len(bars)
            bars.append(Bar(row.name, row.type, max(inside, default=0), row.rounds, row.bytes))
        draw(bars, path)

    def __str__(self) -> str:
        which = "a later" if self.repeated else "the first"
        head = f"{self.parties} parties, precision {self.precision}, {self.network}"
        provider = {"stored": "correlations stored before", "third_party": "a dealer"}
        parts = [f"{head}\n{which} inference, {provider[self.provider]}"]
        parts += [self._layers(), self._dominating()]
        if self.alternatives:
            parts.append(self._alternatives())
        return "\n\n".join(parts)

    __repr__ = __str__

    def _rows(self) -> tuple[LayerCost, ...]:
        return (*self.layers, self.total, *([self.setup] if self.setup else []))

    def _layers(self) -> str:
        whole = self.total.seconds or 1.0
        rows = [row for row in self._rows() if row.rounds or any(row.sent) or row.dealer_bytes]
        cells = [
            (
                row.name or "(model)",
                row.type,
                f"{row.calls:,}",
                f"{row.rounds:,}",
                " + ".join(f"{sent:,}" for sent in row.sent),
                f"{row.dealer_bytes:,}",
                f"{row.dealer_seconds:.4f}",
                f"{max(row.compute_seconds):.4f}",
                f"{row.seconds:.4f}",
                f"{100 * row.seconds / whole:.0f}",
            )
            for row in rows
        ]
        title = "cost by module; bytes sent by each party, seconds of the busier one"
        return f"{title}\n{aligned([_COLUMNS, *cells], left=2)}"

    def _dominating(self) -> str:
        parts = ", ".join(f"{name} {100 * part:.0f} %" for name, part in self.dominates.items())
        lines = [f"what dominates: {parts}"]
        for row in self.heaviest:
            share = 100 * row.own_seconds / (self.total.seconds or 1.0)
            lines.append(f"  {row.name or '(model)'} {row.type} by itself: {share:.0f} %")
        return "\n".join(lines)

    def _alternatives(self) -> str:
        cells = [("", "rounds", "online", "dealt", "s", "change")]
        notes = []
        for other in self.alternatives:
            if other.seconds is None or other.change is None:
                notes.append(f"  {other.name}: does not apply, {other.note}")
                continue
            cells.append(
                (
                    other.name,
                    f"{other.rounds:,}",
                    f"{other.online_bytes:,}",
                    f"{other.dealer_bytes:,}",
                    f"{other.seconds:.4f}",
                    f"{100 * other.change:+.0f} %",
                )
            )
        return "\n".join(["what would change it", aligned(cells, left=1), *notes])
