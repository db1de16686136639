# SPDX-License-Identifier: MIT
"""`cryptensor inspect`: what a file of the library is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def inspect(
    file: Annotated[
        Path, typer.Argument(help="Shares of ct.save(), a store, a plan, a certificate or a key.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Says what a file holds: shapes, owners, counts, digests; never a secret or a share.

    Exit status: 0 it is in order, 1 it is damaged or none of these, 2 bad usage.
    """
    from rich.console import Console
    from rich.markup import escape

    from ..inspection import describe

    found = describe(file)
    if as_json:
        print(json.dumps(found.to_dict()))
        return
    console = Console()
    console.print(_facts(f"{file}: {found.kind}", found.facts))
    if found.rows:
        console.print(_rows(found.rows))
    if found.advice:
        console.print(escape(found.advice), style="bold yellow")


def _facts(title: str, facts: dict[str, Any]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "", title=Text(title), show_header=False)
    table.columns[1].overflow = "fold"
    for name, value in facts.items():
        table.add_row(name, _cell(value))
    return table


def _rows(rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: Any) -> Any:
    from rich.text import Text

    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return Text(" x ".join(map(str, value)) or "-")
    return Text(f"{value:,}" if isinstance(value, int) else str(value))
