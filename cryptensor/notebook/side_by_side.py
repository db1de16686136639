# SPDX-License-Identifier: MIT
"""What the parties of a cell showed, in columns: as text, and as HTML with figures."""

from __future__ import annotations

import base64
import html
import itertools

# Of one party's text, the beginning and the end.
_KEPT = 10_000
_WIDTH = 140
_LEAST_WIDTH = 20
_SEPARATOR = " │ "


class Transcript:
    """The text and figures of one party in one cell; its size is bounded."""

    def __init__(self) -> None:
        self._head = ""
        self._tail = ""
        self._left_out = 0
        self.figures: list[bytes] = []
        self.additions = 0

    def draw(self, png: bytes) -> None:
        self.additions += 1
        self.figures.append(png)

    def add(self, text: str) -> None:
        self.additions += 1
        room = _KEPT - len(self._head)
        self._head += text[:room]
        tail = self._tail + text[room:]
        self._tail = tail[-_KEPT:]
        self._left_out += len(tail) - len(self._tail)

    @property
    def text(self) -> str:
        gap = f"\n[{self._left_out:,} characters left out]\n" if self._left_out else ""
        # A progress bar goes back to the beginning of its line.
        lines = (self._head + gap + self._tail).replace("\r\n", "\n").split("\n")
        return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines).rstrip("\n")


def bundle(transcripts: list[Transcript]) -> dict[str, str]:
    """The representations that Jupyter chooses from."""
    return {"text/plain": as_text(transcripts), "text/html": as_html(transcripts)}


def as_text(transcripts: list[Transcript]) -> str:
    """One column a party, with long lines broken; a figure is a remark."""
    count = len(transcripts)
    width = max(_LEAST_WIDTH, (_WIDTH - len(_SEPARATOR) * (count - 1)) // count)
    columns = []
    for party, transcript in enumerate(transcripts):
        column = [f"party {party}", "─" * width]
        for line in transcript.text.expandtabs(4).splitlines():
            column += [line[i : i + width] for i in range(0, max(len(line), 1), width)]
        columns.append(column + ["[figure]"] * len(transcript.figures))
    return "\n".join(
        _SEPARATOR.join(cell.ljust(width) for cell in row).rstrip()
        for row in itertools.zip_longest(*columns, fillvalue="")
    )


def as_html(transcripts: list[Transcript]) -> str:
    """The same as a grid. Everything that a party wrote is escaped."""
    cells = "".join(_cell(party, transcript) for party, transcript in enumerate(transcripts))
    columns = f"repeat({len(transcripts)}, minmax(0, 1fr))"
    return f'<div style="display: grid; grid-template-columns: {columns}; gap: 1em">{cells}</div>'


def _cell(party: int, transcript: Transcript) -> str:
    figures = "".join(
        f'<img alt="figure" style="max-width: 100%" src="data:image/png;base64,{_base64(png)}">'
        for png in transcript.figures
    )
    text = html.escape(transcript.text)
    style = "white-space: pre; overflow-x: auto"
    return f'<div><b>party {party}</b><pre style="{style}">{text}</pre>{figures}</div>'


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
