# SPDX-License-Identifier: MIT
"""Every notebook runs in a real kernel, shows what it promises, and is stored without outputs."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
# Processes of a busy machine take their time to start.
PATIENCE = 600


class Shown:
    """What the cells of a notebook showed: all text, and how many figures."""

    def __init__(self, notebook) -> None:
        outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
        data = [out["data"] for out in outputs if "data" in out]
        streams = [out["text"] for out in outputs if out["output_type"] == "stream"]
        self.text = "\n".join([*streams, *(shown.get("text/plain", "") for shown in data)])
        pages = "".join(shown.get("text/html", "") for shown in data)
        self.figures = pages.count("<img") + sum("image/png" in shown for shown in data)

    def number(self, pattern: str) -> float:
        """The group of a pattern that stands somewhere in the text."""
        found = re.search(pattern, self.text, re.MULTILINE)
        assert found, f"{pattern} is not in:\n{self.text}"
        return float(found[1].replace(",", ""))


def first_secret(shown: Shown) -> None:
    assert shown.text.count("tensor(4500.)") == 2
    assert shown.text.count("(tensor(False), tensor(5000.))") == 2
    assert "clear" in shown.text and "Alice earns more" not in shown.text
    assert "4000" not in shown.text
    assert shown.number(r"largest error (\S+)") < 1e-3


def sharing_and_opening(shown: Shown) -> None:
    assert shown.text.count("equal: True") == 2
    assert shown.text.count("is forbidden") == 2
    assert shown.text.count("nothing for me") == 1
    assert shown.figures == 7


def private_inference(shown: Shown) -> None:
    secret = shown.number(r"secret: (\d+) of 500 right")
    plain = shown.number(r"plain: (\d+) of 500 right")
    assert plain > 450 and abs(secret - plain) <= 2
    assert shown.number(r"one image: (\d+) rounds") < 40
    assert shown.figures == 1


def two_hospitals(shown: Shown) -> None:
    together = shown.number(r"together, in secret: (\S+)%")
    plain = shown.number(r"plain: (\S+)%")
    assert together > 93 and abs(together - plain) <= 1
    assert shown.number(r"alone, in the clear: (\S+)%") < together - 3
    # After 45 steps with momentum, of scores around 30.
    assert shown.number(r"difference of a score: (\S+)") < 0.02 * shown.number(r" of (\d+\.\d)$")
    assert "owner=shared" in shown.text
    assert shown.figures == 1


def private_search(shown: Shown) -> None:
    secret = shown.number(r"(\S+)  An airport bus departs")
    assert abs(secret - shown.number(r"plain: (\S+)")) <= 0.002
    others = re.findall(r"(0\.\d+|-0\.\d+)  [A-Z]", shown.text)
    assert len(others) == 6 and max(map(float, others)) == secret


def dealer_and_offline_phase(shown: Shown) -> None:
    assert "dealt to party 0: 0 bytes" in shown.text
    assert shown.number(r"(\S+) bytes from the store, 28 rounds") > 10_000
    assert shown.number(r"largest difference: (\S+)") < 1e-3
    assert "lots left: 0" in shown.text and "StoreError: " in shown.text
    assert shown.figures == 1


def what_it_costs(shown: Shown) -> None:
    assert "what dominates" in shown.text
    assert "as predicted: True" in shown.text
    before = shown.number(r"as it is:  \d+ rounds, (\S+) bytes")
    assert shown.number(r"optimized: \d+ rounds, (\S+) bytes") < before
    assert " ms  " in shown.text
    assert shown.figures == 1


def two_hosts(shown: Shown) -> None:
    assert "alice, status 0: logits: None" in shown.text
    assert "dealer, status 0" in shown.text
    secret = re.search(r"bob, status 0: logits: (\[\[.*\]\])", shown.text)
    plain = re.search(r"tensor\((\[\[.*?\]\])", shown.text, re.DOTALL)
    numbers = [
        [float(n) for n in re.findall(r"-?\d+\.\d+", found[1])]
        for found in (secret, plain)
        if found
    ]
    assert len(numbers) == 2 and len(numbers[0]) == 4
    assert all(abs(a - b) < 1e-3 for a, b in zip(*numbers, strict=True))
    assert shown.number(r"status (\d+)\n") > 0 and "FAULT" in shown.text
    assert "authority.key" not in shown.text


CHECKS = {
    "01_first_secret": first_secret,
    "02_sharing_and_opening": sharing_and_opening,
    "03_private_inference": private_inference,
    "04_two_hospitals": two_hospitals,
    "05_private_search": private_search,
    "06_dealer_and_offline_phase": dealer_and_offline_phase,
    "07_what_it_costs": what_it_costs,
    "08_two_hosts": two_hosts,
}


def test_every_notebook_is_checked() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(CHECKS)


@pytest.mark.timeout(2 * PATIENCE)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources=resources).execute()
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in ran)
    CHECKS[path.stem](Shown(notebook))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_has_no_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        assert not cell.get("outputs") and not cell.get("execution_count")
