# SPDX-License-Identifier: MIT
"""`cryptensor selftest`: what works on this machine, and how fast."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..selftest import Finding

_MARKS = {True: "[green]ok[/]", False: "[bold red]FAILED[/]", None: "[dim]absent[/]"}


def selftest(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Tries out the build, the processor, every link and every provider on small examples.

    Takes about half a minute. Exit status: 0 all works, 1 something does not, 2 bad usage.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress

    from ..selftest import checks, extras

    todo = list(checks())
    findings = []
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=as_json) as bar:
        task = bar.add_task("", total=len(todo))
        for check in todo:
            bar.update(task, description=check.name)
            findings.append(check())
            bar.advance(task)
    works = all(finding.ok for finding in findings)
    findings += extras()
    if as_json:
        print(json.dumps({"ok": works, "checks": [asdict(finding) for finding in findings]}))
    else:
        Console().print(_table(findings))
    if not works:
        raise typer.Exit(1)


def _table(findings: list[Finding]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="cryptensor on this machine")
    for name in ("check", "", "figures", "s", "what to do"):
        table.add_column(name, justify="right" if name == "s" else "left", overflow="fold")
    for row in findings:
        table.add_row(
            row.name,
            _MARKS[row.ok],
            escape(row.figure),
            f"{row.seconds:.1f}" if row.seconds else "",
            escape(row.advice),
        )
    return table
