# SPDX-License-Identifier: MIT
"""Every block of code in the documentation runs or says why not; the site builds cleanly."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
        timeout=110,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]


def test_python_blocks_run() -> None:
    plain = ("-p", "markdown_blocks", "-p", "no:cacheprovider", "-q", "--timeout", "60")
    run("pytest", *plain, "--markdown-docs", *PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_other_blocks_say_why_they_do_not_run(page: Path) -> None:
    if page.name == "README.md":
        pytest.skip("the commands of README are those of the Makefile")
    text = page.read_text()
    for block in re.finditer(r"^```(sh|python notest)$", text, re.MULTILINE):
        before = text[: block.start()].rstrip().rpartition("\n")[2]
        assert re.fullmatch(r"<!-- not run: .{10,} -->", before), (page, block[0], before)


def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    run("sphinx", "--fail-on-warning", "--keep-going", "-q", "-b", "html", DOCS, tmp_path)
    text = (tmp_path / "costs.html").read_text()
    # The column of the cost table is that of the declarations, which other tests hold.
    assert "<td><p>product of two secrets</p></td>" in text
    for picture in (DOCS / "pictures").glob("*.svg"):
        assert (tmp_path / "_images" / picture.name).exists()
