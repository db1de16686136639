# SPDX-License-Identifier: MIT
"""A picture of where rounds and bytes go: bars below the bar of what they ran inside."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import ConfigError, FileError

_WIDTH = 11.0  # inches
_INCHES_A_LEVEL = 0.32
# Parts of the width that one character of a label takes.
_CHARACTER = 0.0075


class Bar(NamedTuple):
    """parent: the number of a bar before this one, None for the widest."""

    name: str
    type: str
    parent: int | None
    rounds: int
    bytes_sent: int


def draw(bars: Sequence[Bar], path: str | os.PathLike[str]) -> None:
    """Writes the picture. Raises ConfigError for an unknown format or nothing to draw, FileError
    where the disk refuses, and ImportError without matplotlib."""
    try:
        from matplotlib import colormaps
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("a flame needs matplotlib: pip install matplotlib") from error
    if not bars:
        raise ConfigError("there is nothing to draw: the profile has no layers yet")
    depths = _depths(bars)
    kinds = list(dict.fromkeys(bar.type for bar in bars))
    colours = {kind: colormaps["tab20"](number % 20) for number, kind in enumerate(kinds)}
    figure = Figure(figsize=(_WIDTH, 1.6 + 2 * _INCHES_A_LEVEL * (max(depths) + 1)))
    panels = figure.subplots(2, 1)
    for axes, quantity, title in (
        (panels[0], "rounds", "rounds"),
        (panels[1], "bytes_sent", "bytes sent to the other parties"),
    ):
        values = [getattr(bar, quantity) for bar in bars]
        for bar, value, depth, left in zip(bars, values, depths, _lefts(bars, values), strict=True):
            if value > 0:
                axes.barh(
                    -depth, value, left=left, height=0.94, color=colours[bar.type], ec="white"
                )
                _label(axes, bar, value, left, -depth, values[0])
        axes.set_title(f"{title}: {values[0]:,}", loc="left", fontsize=10)
        axes.set_xlim(0, max(1, values[0]))
        axes.set_yticks([])
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.xaxis.set_major_formatter("{x:,.0f}")
    figure.tight_layout()
    try:
        figure.savefig(path)
    except ValueError as error:
        raise ConfigError(f"path is {os.fspath(path)!r}; {error}") from None
    except OSError as error:
        raise FileError(f"the picture {os.fspath(path)} cannot be written: {error}") from None


def _label(axes: Any, bar: Bar, value: int, left: float, y: float, whole: int) -> None:
    room = int(value / whole / _CHARACTER)
    name = bar.name or "(model)"
    for text in (f"{name} {bar.type} {value:,}", f"{name} {value:,}", name):
        if len(text) <= room:
            axes.text(left + value / 2, y, text, ha="center", va="center", fontsize=7.5)
            return


def _depths(bars: Sequence[Bar]) -> list[int]:
    depths: list[int] = []
    for bar in bars:
        depths.append(0 if bar.parent is None else depths[bar.parent] + 1)
    return depths


def _lefts(bars: Sequence[Bar], values: list[int]) -> list[int]:
    """Where each bar begins: side by side from the left end of the one that they are inside."""
    lefts: list[int] = []
    filled: list[int] = []
    for bar, value in zip(bars, values, strict=True):
        left = 0
        if bar.parent is not None:
            left = filled[bar.parent]
            filled[bar.parent] += value
        lefts.append(left)
        filled.append(left)
    return lefts
