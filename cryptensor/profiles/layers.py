# SPDX-License-Identifier: MIT
"""profile_layers(): rounds, bytes, seconds and waiting of each module, while a model runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from ..cost.modules import followed
from ..cost.table import aligned
from ..profiler import frame_of
from ..session import current
from .counters import NOTHING, Counters
from .operations import OperationNode, OperationRecorder

_COLUMNS = ("module", "type", "calls", "rounds", "sent", "received", "dealt", "s", "wait s")
ALL = "(all)"


@dataclass(frozen=True, slots=True)
class LayerStats:
    """What one module, with the modules inside it, cost a party over all its calls in one place.

    name: the path of the module, "" for the model itself. parent: the number of the row that it ran
    inside, None for the first row. bytes_sent and bytes_received: from and to the other parties;
    dealer_bytes: corrections. wait_seconds: the part of seconds that was spent blocked in the
    network.
    """

    name: str
    type: str
    parent: int | None
    calls: int
    rounds: int
    bytes_sent: int
    bytes_received: int
    dealer_bytes: int
    seconds: float
    wait_seconds: float


class LayerProfile:
    """The result of profile_layers(): complete when its `with` block has ended. Holds no value.

    layers: the row "(all)" for the whole block, then one for each module that ran, each behind the
    one that it ran inside. operations: the ATen operations on secrets, in their order.
    """

    def __init__(self) -> None:
        self.layers: tuple[LayerStats, ...] = ()
        self.operations: tuple[OperationNode, ...] = ()

    def __getitem__(self, name: str) -> LayerStats:
        for row in self.layers:
            if row.name == name:
                return row
        known = ", ".join(repr(row.name) for row in self.layers) or "none"
        raise KeyError(f"no layer {name!r} ran; there ran: {known}")

    def to_dict(self) -> dict[str, object]:
        """Plain numbers and strings, ready for JSON."""
        return {"layers": [asdict(row) for row in self.layers]}

    def to_dataframe(self) -> Any:
        """The layers as a pandas.DataFrame, by name; ImportError without pandas."""
        return frame_of([asdict(row) for row in self.layers], LayerStats, "name")

    def flame(self, path: str | os.PathLike[str]) -> None:
        """Draws rounds and bytes sent as nested bars, one for each layer, as wide as its part.

        path: a picture; its ending, such as .png, .svg or .pdf, chooses the format. Raises
        ConfigError for another one, and ImportError without matplotlib.
        """
        from .flame import Bar, draw

        rows = self.layers
        draw([Bar(r.name, r.type, r.parent, r.rounds, r.bytes_sent) for r in rows], path)

    def to_tensorboard(self, folder: str | os.PathLike[str], step: int = 0) -> None:
        """Adds to a TensorBoard log: the graph as it ran, scalars of each layer, the table as text.

        The nodes of the graph carry shape, owner, rounds and bytes. step: the x of the scalars.
        Raises ImportError without tensorboard.
        """
        from .tensorboard import write

        write(self, folder, step)

    def cells(self) -> list[tuple[str, ...]]:
        """The table: a title, then a line for each layer, indented by what it ran inside."""
        rows: list[tuple[str, ...]] = [_COLUMNS]
        depths: list[int] = []
        for row in self.layers:
            depths.append(0 if row.parent is None else depths[row.parent] + 1)
            rows.append(
                (
                    "  " * depths[-1] + (row.name or "(model)"),
                    row.type,
                    f"{row.calls:,}",
                    f"{row.rounds:,}",
                    f"{row.bytes_sent:,}",
                    f"{row.bytes_received:,}",
                    f"{row.dealer_bytes:,}",
                    f"{row.seconds:.4f}",
                    f"{row.wait_seconds:.4f}",
                )
            )
        return rows

    def __repr__(self) -> str:
        return aligned(self.cells(), left=2)

    def __rich__(self) -> Any:
        """The same as a rich table; only rich itself calls this."""
        from rich.table import Table

        title, *rows = self.cells()
        table = Table()
        for number, name in enumerate(title):
            table.add_column(name, justify="left" if number < 2 else "right")
        for row in rows:
            table.add_row(*row)
        return table


@contextmanager
def profile_layers(model: nn.Module) -> Iterator[LayerProfile]:
    """Around calls of a model in a session: what each of its modules costs this party.

        with ct.profile_layers(secret_model) as profile:
            secret_model(x).reveal()
        print(profile)

    What runs outside of the modules (inputs, reveals, the backward pass) is in the first row only.
    A truncation that is left for later is charged to the module that needs the value. Inside,
    reset_stats() must not be called. Any party may do this, with or without the others: nothing is
    sent. Cost: some ten microseconds for each operation and module.

    Raises TypeError for what is no module, and Error without a session.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is of type {type(model).__name__}; it must be a torch.nn.Module")
    engine = current().engine
    profile = LayerProfile()
    tree = _Tree(engine)
    recorder = OperationRecorder(engine, model)

    def enter(path: str, module: nn.Module) -> None:
        tree.enter(path, type(module).__name__)
        recorder.scopes.append(path)

    def leave(path: str, module: nn.Module) -> None:
        recorder.scopes.pop()
        tree.leave()

    with recorder:  # PyTorch imports much at the first operation like this: before the clock runs
        nn.functional.linear(torch.zeros(1, 1), torch.zeros(1, 1))
    tree.enter(ALL, "")
    try:
        with followed(model, enter, leave), recorder:
            yield profile
    finally:
        tree.leave()
        profile.layers = tree.rows()
        profile.operations = tuple(recorder.nodes)


class _Tree:
    """Modules by where they ran: below the module that called them."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._numbers: dict[tuple[int | None, str], int] = {}
        self._types: list[str] = []
        self._spent: list[Counters] = []
        self._calls: list[int] = []
        self._open: list[tuple[int, Counters]] = []

    def enter(self, name: str, kind: str) -> None:
        key = (self._open[-1][0] if self._open else None, name)
        number = self._numbers.setdefault(key, len(self._numbers))
        if number == len(self._types):
            self._types.append(kind)
            self._spent.append(NOTHING)
            self._calls.append(0)
        self._open.append((number, Counters.now(self._engine)))

    def leave(self) -> None:
        number, start = self._open.pop()
        spent = Counters.now(self._engine).minus(start)
        self._spent[number] = self._spent[number].plus(spent)
        self._calls[number] += 1

    def rows(self) -> tuple[LayerStats, ...]:
        return tuple(
            LayerStats(name, kind, parent, calls, **spent._asdict())
            for (parent, name), kind, calls, spent in zip(
                self._numbers, self._types, self._calls, self._spent, strict=True
            )
        )
