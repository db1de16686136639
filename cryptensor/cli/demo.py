# SPDX-License-Identifier: MIT
"""`cryptensor demo`: private inference on handwritten digits, beside the plain results."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def demo(
    networks: Annotated[str, typer.Option(help="Which of the networks A, B, C to run.")] = "ABC",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each network.")] = 1,
    mnist: Annotated[
        Path | None, typer.Option(help="Folder of MNIST's IDX files, instead of the UCI digits.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a peer.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines instead.")] = False,
) -> None:
    """Classifies digits that one party owns by a network that another owns.

    Trains the network, runs it privately in processes of this machine, and compares with the plain
    results. Exit status: 0 they agree, 1 they do not, 2 bad usage.
    """
    from rich.console import Console

    from ..example_programs import example_program

    if not networks or set(networks) - set("ABC"):
        raise typer.BadParameter(
            f"it is {networks!r}; allowed are letters of ABC", param_hint="--networks"
        )
    program, digits = example_program("private_inference"), example_program("digits")
    try:
        data = digits.load_mnist(mnist) if mnist else digits.load_uci()
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{error}", param_hint="--mnist") from error
    console = Console(stderr=as_json)
    results = program.demonstrate(networks, seeds, data, timeout, console)
    if as_json:
        for result in results:
            print(json.dumps(asdict(result)))
    else:
        console.print(program.table(results))
    faults = program.faults(results)
    for fault in faults:
        console.print(fault, style="bold red")
    if faults:
        raise typer.Exit(1)
