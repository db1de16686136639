# SPDX-License-Identifier: MIT
"""What every benchmark prints: its settings, a table of medians, and JSON lines on request."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from cryptensor import _C


def parser(description: str, **options: int) -> argparse.ArgumentParser:
    """--json FILE and one integer option for each default given."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="append JSON lines to FILE")
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser


def arguments(description: str, **options: int) -> argparse.Namespace:
    return parser(description, **options).parse_args()


def links(certificates: str) -> dict[str, dict]:
    """How two processes of this host can talk: settings of ct.launch by name."""
    return {
        "shared memory": {"transport": "shared_memory"},
        "Gloo": {"transport": "gloo"},
        "TLS": {"certificates": certificates},
    }


def median_seconds(work: Callable[[], object], repetitions: int) -> float:
    """Median of several runs after one that is not counted."""
    work()
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def settings() -> dict:
    return {
        "torch": torch.__version__,
        "instruction_set": _C.isa(),
        "processor": platform.processor() or platform.machine(),
        "parties": "2 processes on one host, one thread each",
    }


def show(title: str, rows: list[dict], json_file: Path | None, **others: str) -> None:
    """Prints the rows as a table; `json_file` gets one line for each, with the settings, of which
    `others` are not the usual ones."""
    console = Console()
    here = {**settings(), **others}
    table = Table(title=title, caption=", ".join(f"{k}: {v}" for k, v in here.items()))
    for name in rows[0]:
        table.add_column(name, justify="right" if name != "work" else "left")
    for row in rows:
        table.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()))
    console.print(table)
    if json_file is not None:
        with json_file.open("a") as file:
            for row in rows:
                file.write(json.dumps({"benchmark": title, **row, **here}) + "\n")
