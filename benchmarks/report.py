# SPDX-License-Identifier: MIT
"""What every benchmark prints: its settings, a table of medians, and JSON lines on request."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from cryptensor.bench.report import json_lines, links, median_seconds, settings, table

__all__ = ["arguments", "links", "median_seconds", "parser", "settings", "show"]


def parser(description: str, **options: int) -> argparse.ArgumentParser:
    """--json FILE and one integer option for each default given."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="append JSON lines to FILE")
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser


def arguments(description: str, **options: int) -> argparse.Namespace:
    return parser(description, **options).parse_args()


def show(title: str, rows: list[dict], json_file: Path | None, **others: str) -> None:
    """Prints the rows as a table; `json_file` gets one line for each, with the settings, of which
    `others` are not the usual ones."""
    Console().print(table(title, rows, others))
    if json_file is not None:
        with json_file.open("a") as file:
            file.write(json_lines(title, rows, others))
