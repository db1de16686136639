# SPDX-License-Identifier: MIT
"""Every block of code in the documentation runs or says why not; the site builds cleanly."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import cryptensor as ct

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}


def run(*arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT,
        timeout=590,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]


@pytest.mark.timeout(600)
def test_python_blocks_run() -> None:
    plain = ("-p", "markdown_blocks", "-p", "no:cacheprovider", "-q", "--timeout", "120")
    run("pytest", *plain, "--markdown-docs", *PAGES)


def _row(operation: str) -> list[str]:
    """Rounds and bytes online of an operation in the table for two parties."""
    sys.path.insert(0, str(DOCS))
    try:
        import cost_table
    finally:
        sys.path.remove(str(DOCS))
    cells = (line.strip("| ").split(" | ") for line in cost_table.lines(2))
    return next(row[1:3] for row in cells if row[0] == operation)


@pytest.mark.parametrize(
    ("operation", "counted", "apply"),
    [
        ("product of two secrets", "mul", lambda x, y: x * y),
        ("relu, comparison", "relu", lambda x, y: x.relu()),
        ("square", "square", lambda x, y: x.square()),
        ("reveal to all", "reveal", lambda x, y: x.reveal()),
    ],
)
def test_table_of_costs_is_what_a_run_counts(operation: str, counted: str, apply: Any) -> None:
    elements = 100_000

    def program() -> tuple[int, float]:
        x, y = (ct.share(ct.cryptensor(torch.ones(elements), src=0)) for _ in range(2))
        apply(x, y)
        row = ct.stats()[counted]
        return row.rounds, row.bytes_sent / elements

    rounds, sent = ct.simulate(program)[0]
    assert _row(operation) == [str(rounds), f"{sent:.1f}"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_other_blocks_say_why_they_do_not_run(page: Path) -> None:
    if page.name == "README.md":
        pytest.skip("the commands of README are those of the Makefile")
    text = page.read_text()
    for block in re.finditer(r"^```(sh|python notest)$", text, re.MULTILINE):
        before = text[: block.start()].rstrip().rpartition("\n")[2]
        assert re.fullmatch(r"<!-- not run: .{10,} -->", before), (page, block[0], before)


@pytest.mark.timeout(600)
def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    run("sphinx", "--fail-on-warning", "--keep-going", "-q", "-b", "html", DOCS, tmp_path)
    text = (tmp_path / "costs.html").read_text()
    # The column of the cost table is that of the declarations, which other tests hold.
    assert "<td><p>product of two secrets</p></td>" in text
    for picture in (DOCS / "pictures").glob("*.svg"):
        assert (tmp_path / "_images" / picture.name).exists()
