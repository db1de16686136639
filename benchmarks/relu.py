# SPDX-License-Identifier: MIT
"""Time, rounds and bytes of ReLU, alone and with the truncation of a product, dealing included.

What `cryptensor bench relu` measures, beside the bars of this project.

    python benchmarks/relu.py [--repetitions 15] [--json FILE]
"""

from __future__ import annotations

import report

from cryptensor.bench import relu

BAR_MS = {1_000_000: 40.0}


def main() -> None:
    options = report.arguments(__doc__.splitlines()[0], repetitions=relu.REPETITIONS)
    tasks = relu.tasks(repetitions=options.repetitions)
    rows = [row for _, work in tasks for row in work()]
    for row in rows:
        is_bound = row["provider"] == "first_party"
        row["bar ms"] = BAR_MS.get(row["elements"], "") if is_bound else ""
    report.show(relu.TITLE, rows, options.json)


if __name__ == "__main__":
    main()
