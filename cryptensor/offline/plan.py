# SPDX-License-Identifier: MIT
"""What a program takes from the dealer, in order, as a file."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

from .. import _C
from ..errors import StoreError

_FORMAT = "cryptensor-plan-1"
_COLUMNS = ("correlation", "times", "correction bytes", "multiplications")


class Plan:
    """The correlations of a program: of its start, and of the step that it repeats, if it has one.

    Made by trace(). It holds kinds, shapes and settings of the program, and no value of it. The
    start reaches to the end of the first step, since that is the one that opens the weights.
    """

    def __init__(self, plan: _C.Plan) -> None:
        self._plan = plan

    @property
    def parties(self) -> int:
        return self._plan.parties

    @property
    def precision(self) -> int:
        return self._plan.precision

    @property
    def truncation(self) -> str:
        return self._plan.truncation

    @property
    def checked(self) -> bool:
        return self._plan.checked

    @property
    def digest(self) -> str:
        """What the files of a store and the parties of a session compare, in hex."""
        return self._plan.digest.hex()

    @property
    def has_steps(self) -> bool:
        return self._plan.step > 0

    @property
    def continues(self) -> bool:
        """True where a session may go on with another lot when the steps of one are done."""
        return self.has_steps and self._plan.before == 0

    @property
    def start(self) -> int:
        """Number of correlations of the start."""
        return self._plan.start

    @property
    def step(self) -> int:
        """Number of correlations of a step; 0 without steps."""
        return self._plan.step

    @property
    def start_bytes(self) -> int:
        """Corrections of the start in the last party's file."""
        return self._plan.lot_bytes(0)

    @property
    def step_bytes(self) -> int:
        """Corrections of one more step."""
        return self._plan.lot_bytes(1) - self.start_bytes if self.has_steps else 0

    @property
    def start_multiplications(self) -> int:
        """Products of ring elements that the dealer computes for the start."""
        return sum(row[2] for row in self._plan.rows()[: self.start])

    @property
    def step_multiplications(self) -> int:
        return sum(row[2] for row in self._plan.rows()[self.start :])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the plan as JSON. Raises StoreError where the disk refuses."""
        content = {
            "format": _FORMAT,
            "digest": self.digest,
            "parties": self.parties,
            "precision": self.precision,
            "truncation": self.truncation,
            "checked": self.checked,
            "before": self._plan.before,
            "start": self.start,
            "correlations": [entry.hex() for entry in self._plan.entries()],
        }
        try:
            Path(path).write_text(json.dumps(content, indent=1) + "\n")
        except OSError as error:
            raise StoreError(f"the plan {path} cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Reads a plan. Raises StoreError for a file that is none, or an altered one."""
        try:
            content = json.loads(Path(path).read_text())
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {content['format']!r}")
            plan = _C.Plan(
                **{name: content[name] for name in ("parties", "precision", "truncation")},
                **{name: content[name] for name in ("checked", "before", "start")},
                entries=[bytes.fromhex(entry) for entry in content["correlations"]],
            )
            digest = content["digest"]
        except OSError as error:
            raise StoreError(f"the plan {path} cannot be read: {error.strerror}") from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise StoreError(f"{path} is no plan of ct.trace(): {error!r}") from None
        if plan.digest.hex() != digest:
            raise StoreError(f"the plan {path} was altered: its digest is not that of its content")
        return cls(plan)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.digest == other.digest

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        rows = self._plan.rows()
        title = "start, with the first step" if self.has_steps else "program"
        parts = [(title, rows[: self.start])]
        if self.has_steps:
            parts.append(("every further step", rows[self.start :]))
        lines = [
            f"plan {self.digest[:16]} for {self.parties} parties, precision {self.precision}, "
            f"truncation {self.truncation}{', checked' if self.checked else ''}"
        ]
        for title, part in parts:
            lines += [f"{title}:", *_table(part)]
        return "\n".join(lines)


def _table(rows: list[tuple[str, int, int]]) -> list[str]:
    cells = [_COLUMNS]
    cells += [
        (text, f"{times:,}", f"{times * size:,}", f"{times * products:,}")
        for (text, size, products), times in Counter(rows).items()
    ]
    total = (sum(row[1] for row in rows), sum(row[2] for row in rows))
    cells.append(("total", f"{len(rows):,}", f"{total[0]:,}", f"{total[1]:,}"))
    widths = [max(len(row[i]) for row in cells) for i in range(len(_COLUMNS))]
    return [
        "  "
        + row[0].ljust(widths[0])
        + "".join("  " + c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))
        for row in cells
    ]
