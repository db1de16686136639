# SPDX-License-Identifier: MIT
"""What every benchmark shares: links, medians, its settings, a table and JSON lines."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch

from .. import _C

_USUAL: Mapping[str, str] = MappingProxyType({})


def links(certificates: str) -> dict[str, dict[str, Any]]:
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


def settings() -> dict[str, str]:
    return {
        "torch": torch.__version__,
        "instruction_set": _C.isa(),
        "processor": platform.processor() or platform.machine(),
        "parties": "2 processes on one host, one thread each",
    }


def table(title: str, rows: list[dict[str, Any]], others: Mapping[str, str] = _USUAL) -> Any:
    """The rows as a rich table; the first one names the columns. others: settings unlike usual."""
    from rich.table import Table

    here = {**settings(), **others}
    shown = Table(title=title, caption=", ".join(f"{k}: {v}" for k, v in here.items()))
    for name in rows[0]:
        shown.add_column(name, justify="right" if name != "work" else "left")
    for row in rows:
        shown.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()))
    return shown


def json_lines(title: str, rows: list[dict[str, Any]], others: Mapping[str, str] = _USUAL) -> str:
    """One line for each row, with the settings, as in table()."""
    here = {**settings(), **others}
    return "".join(json.dumps({"benchmark": title, **row, **here}) + "\n" for row in rows)
