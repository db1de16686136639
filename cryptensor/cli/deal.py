# SPDX-License-Identifier: MIT
"""`cryptensor deal`: makes the correlations of a plan ahead of time."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError


def deal(
    plan: Annotated[Path, typer.Argument(help="A plan of ct.trace(...).save(path).")],
    count: Annotated[int, typer.Option(help="How many steps, or runs of a program without.")],
    out: Annotated[Path, typer.Option(help="The folder of the store.")],
    parties: Annotated[int | None, typer.Option(help="Checked against the plan.")] = None,
    steps_per_lot: Annotated[
        int | None, typer.Option(help="Steps that a session claims at once.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Threads; one a core if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Deals what a program takes, one file a party. Interrupted, it goes on when run again."""
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from ..offline import Plan
    from ..offline import deal as deal_store

    found = Plan.load(plan)
    if parties is not None and parties != found.parties:
        raise ConfigError(f"parties is {parties}; the plan is of {found.parties} parties")
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // (jobs or os.cpu_count() or 1)))
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=as_json) as bar:
        task = bar.add_task("lots", total=None)
        dealt = deal_store(
            found,
            out,
            count,
            steps_per_lot=steps_per_lot,
            jobs=jobs,
            on_progress=lambda done, lots: bar.update(task, completed=done, total=lots),
        )
    if as_json:
        print(json.dumps({**asdict(dealt), "files": [str(file) for file in dealt.files]}))
        return
    unit = "steps" if found.has_steps else "run"
    print(f"{dealt.lots:,} lots of {dealt.steps_per_lot:,} {unit}, {dealt.bytes:,} bytes:")
    for file in dealt.files:
        print(file)
    print(
        "\nGive every party its own file and nothing else, and delete the rest: whoever has the\n"
        "files of all parties can read their secrets. A party's file and the .used file that\n"
        "appears beside it belong together; copy neither once the store is in use."
    )
