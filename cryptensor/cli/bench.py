# SPDX-License-Identifier: MIT
"""`cryptensor bench`: the main figures of this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer


class Work(StrEnum):
    """What can be measured."""

    networks = "networks"
    rounds = "rounds"
    relu = "relu"


def bench(
    works: Annotated[
        list[Work] | None, typer.Argument(help="What to measure; all of it if left out.")
    ] = None,
    networks: Annotated[str, typer.Option(help="Which of the networks A, B, C.")] = "ABC",
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Images at once; may be repeated.")
    ] = None,
    repetitions: Annotated[
        int | None, typer.Option(min=1, help="Of each measurement, whose median counts.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines instead.")] = False,
) -> None:
    """Measures private inference, round trips and ReLU, in processes of this machine.

    Run it where the cores are idle. Exit status: 0 all was measured, 1 a measurement failed, 2 bad
    usage.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    from ..bench.report import json_lines, table
    from ..links import make_certificates

    if not networks or set(networks) - set("ABC"):
        raise typer.BadParameter(
            f"it is {networks!r}; allowed are letters of ABC", param_hint="--networks"
        )
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        make_certificates(folder, 2)
        chosen = works or list(Work)
        for title, tasks in _tasks(chosen, folder, networks, batch, repetitions):
            rows = []
            with Progress(*columns, console=console, transient=True, disable=as_json) as bar:
                task = bar.add_task(title, total=len(tasks))
                for name, work in tasks:
                    bar.update(task, description=name)
                    rows += work()
                    bar.advance(task)
            if as_json:
                print(json_lines(title, rows), end="", flush=True)
            else:
                Console().print(table(title, rows))


def _tasks(
    works: list[Work],
    certificates: str,
    networks: str,
    batches: list[int] | None,
    repetitions: int | None,
) -> Iterator[tuple[str, list[Any]]]:
    from ..bench import latency, relu, round_trip

    times: dict[str, Any] = {} if repetitions is None else {"repetitions": repetitions}
    if Work.networks in works:
        found = latency.tasks(certificates, networks, batches or latency.BATCHES, **times)
        yield latency.TITLE, list(found)
    if Work.rounds in works:
        yield round_trip.TITLE, list(round_trip.tasks(certificates, **times))
    if Work.relu in works:
        yield relu.TITLE, list(relu.tasks(**times))
