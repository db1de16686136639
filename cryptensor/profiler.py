# SPDX-License-Identifier: MIT
"""What a session's operations cost: calls, rounds, bytes and waiting, per operation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from . import _C
from .openings import Opening
from .session import current

_COLUMNS = ("operation", "calls", "rounds", "online bytes", "dealer bytes", "wait s")


@dataclass(frozen=True, slots=True)
class OperationStats:
    """One operation's counters at one party."""

    operation: str
    calls: int = 0
    rounds: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    messages: int = 0
    dealer_bytes: int = 0
    wait_seconds: float = 0.0

    def cells(self) -> tuple[str, ...]:
        return (
            self.operation,
            f"{self.calls:,}",
            f"{self.rounds:,}",
            f"{self.bytes_sent:,}",
            f"{self.dealer_bytes:,}",
            f"{self.wait_seconds:.4f}",
        )


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters of one party at one moment. Holds no secret and can be pickled.

    "Online bytes" are the bytes that this party sent to the other parties. `reveals` counts calls,
    `openings` lists those of values that were not public, by call site.
    """

    operations: tuple[OperationStats, ...]
    reveals: int = 0
    openings: tuple[Opening, ...] = ()

    @classmethod
    def of(cls, engine: _C.Engine, openings: tuple[Opening, ...] = ()) -> Stats:
        names = OperationStats.__slots__
        rows = (OperationStats(**{n: row[n] for n in names if n in row}) for row in engine.stats())
        return cls(tuple(rows), engine.reveals(), openings)

    @property
    def calls(self) -> int:
        return int(self._total("calls"))

    @property
    def rounds(self) -> int:
        return int(self._total("rounds"))

    @property
    def bytes_sent(self) -> int:
        return int(self._total("bytes_sent"))

    @property
    def bytes_received(self) -> int:
        return int(self._total("bytes_received"))

    @property
    def messages(self) -> int:
        return int(self._total("messages"))

    @property
    def dealer_bytes(self) -> int:
        return int(self._total("dealer_bytes"))

    @property
    def wait_seconds(self) -> float:
        return float(self._total("wait_seconds"))

    def __getitem__(self, operation: str) -> OperationStats:
        for row in self.operations:
            if row.operation == operation:
                return row
        known = ", ".join(row.operation for row in self.operations) or "none"
        raise KeyError(f"no operation {operation!r} was counted; counted: {known}")

    def total(self) -> OperationStats:
        """The sum over all operations, under the name "total"."""
        counters = OperationStats.__slots__[1:]
        return OperationStats("total", **{name: self._total(name) for name in counters})

    def to_dict(self) -> dict[str, object]:
        """Plain numbers and strings, ready for JSON."""
        return {
            "operations": [asdict(row) for row in self.operations],
            "total": asdict(self.total()),
            "reveals": self.reveals,
            "openings": [asdict(opening) for opening in self.openings],
        }

    def to_dataframe(self) -> Any:
        """A pandas.DataFrame of the counters: a row for each operation, its name as the index.

        Raises ImportError without pandas.
        """
        return frame_of([asdict(row) for row in self.operations], OperationStats, "operation")

    def __repr__(self) -> str:
        rows = [_COLUMNS, *(row.cells() for row in self._rows())]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
        lines = [_aligned(row, widths) for row in rows]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*lines, self._reveal_lines()])

    def __rich__(self) -> Any:
        """The same as a rich table; only rich itself calls this."""
        from rich.table import Table

        table = Table(caption=self._reveal_lines())
        for name in _COLUMNS:
            table.add_column(name, justify="left" if name == "operation" else "right")
        for row in self._rows():
            table.add_row(*row.cells())
        return table

    def _reveal_lines(self) -> str:
        listed = (f"{opening.count:>8,} x {opening}" for opening in self.openings)
        return "\n".join([f"reveals: {self.reveals}", *listed])

    def _rows(self) -> tuple[OperationStats, ...]:
        return (*self.operations, self.total())

    def _total(self, name: str) -> Any:
        return sum(getattr(row, name) for row in self.operations)


def frame_of(rows: list[dict[str, Any]], kind: type, index: str) -> Any:
    """Rows of a dataclass as a pandas.DataFrame, with all its columns where there is no row."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_dataframe() needs pandas: pip install pandas") from error
    names = [field.name for field in fields(kind)]
    return pandas.DataFrame(rows, columns=names).set_index(index)


def stats() -> Stats:
    """What the operations of the current session cost so far."""
    session = current()
    return Stats.of(session.engine, session.openings.listed())


def reset_stats() -> None:
    """Sets all counters of the current session to zero."""
    session = current()
    session.engine.reset_stats()
    session.openings.reset()


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    first, *numbers = row
    cells = [first.ljust(widths[0])]
    cells += [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
    return "  ".join(cells).rstrip()
