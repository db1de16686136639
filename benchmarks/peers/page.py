# SPDX-License-Identifier: MIT
"""The page of a comparison: tables in Markdown and plots in SVG, from the JSON that a run wrote."""

from __future__ import annotations

import math
from pathlib import Path

OURS = "ours"
# Measures by name: title, how to show one, and by how much one must be smaller to be better.
MEASURES = {
    "seconds": ("Seconds, median", lambda v: _digits(v), 1.0),
    "rounds": ("Rounds", lambda v: f"{v:,.0f}", 1.0),
    "bytes": ("MB online, sent by all parties", lambda v: _digits(v / 1e6), 1.0),
    "dealer seconds": ("Seconds of dealing, one thread", lambda v: _digits(v), 1.0),
    "dealer bytes": ("MB dealt", lambda v: _digits(v / 1e6), 1.0),
    "largest error": ("Largest error", lambda v: f"{v:.1e}", 2.0),
    "wrong values": ("Wrong values", lambda v: f"{v:,}", 1.0),
}
NOTES = """
* All systems compute the same in one run: the same inputs and weights from fixed seeds, both
  secret, the works of all systems in turns. Processes of one thread each on one host, TCP over
  loopback (*shared memory* is what `ct.launch` takes by default there). Sharing the inputs and
  revealing the result are not timed; dealing is, in the parties' own time: cryptensor with its
  first-party provider, CrypTen and SPU SEMI2K with theirs, which are the defaults of those two.
  Such a dealer is a simulation in all three, since a party could read every secret. ABY3 has three
  parties that are trusted not to collude and needs no dealer. The slowest party counts.
* Concrete ML is another trade: one server computes on ciphertexts without interaction and has the
  weights in the clear. Its *dealing* is the making of keys, its MB dealt are the evaluation keys,
  its MB online the encrypted input and result; functions are tables of 6 bits, matrices 8 bits, so
  its errors are those of a quantization. Works are left out that would take minutes.
* MB online are what a system counts itself; where it does not (tf-encrypted), the least of all
  repetitions of what crossed the loopback interface, headers included. SPU counts messages where
  others count rounds, and the bytes of dealing with those online. CrypTen's parties each make the
  dealer's numbers and send none.
* A value is *wrong* that is off by more than 0.01 + 1 % of the true one, or at all where it is a
  whole number. CrypTen's GELU is x·sigmoid(1.702 x), because its erf is wrong by millions within
  [-3, 3].
* Weights of a network stay the same from run to run: cryptensor opens them under their mask once,
  in the first run, which is not timed.
"""


def write(results: dict, folder: Path) -> Path:
    """folder/index.md with plots beside it. `results` is what __main__.measure writes."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        "# cryptensor and its peers",
        f"{results['when']}, {results['machine']}. Made by `python benchmarks/peers`.",
        NOTES.strip(),
        _versions(results),
        "## Where a peer is better",
        _better(results),
        "## Figures",
    ]
    for name, (title, show, _) in MEASURES.items():
        parts.append(f"### {title}")
        if name == "seconds":
            plot(results, name, title, folder / "seconds.svg")
            parts.append("![Seconds of each work and system](seconds.svg)")
        if name == "bytes":
            plot(results, name, title, folder / "bytes.svg")
            parts.append("![Bytes online of each work and system](bytes.svg)")
        parts.append(_table(results, name, show))
    parts += ["## What was not measured", _problems(results)]
    file = folder / "index.md"
    file.write_text("\n\n".join(parts) + "\n")
    return file


def value(row: dict, name: str, measure: str) -> float | None:
    found = row["systems"].get(name, {})
    if measure == "bytes" and "bytes" not in found:
        return found.get("loopback bytes")
    return found.get(measure)


def _versions(results: dict) -> str:
    return f"The peers: {', '.join(results['versions'])}."


def _better(results: dict) -> str:
    """A line for every work and measure where a peer's figure is smaller than cryptensor's."""
    lines = []
    for row in results["rows"]:
        for measure, (title, show, factor) in MEASURES.items():
            ours = value(row, OURS, measure)
            for name, peer in results["titles"].items():
                theirs = value(row, name, measure)
                if name.startswith(OURS) or ours is None or theirs is None:
                    continue
                if theirs * factor < ours:
                    lines.append([row["work"], title, peer, show(theirs), show(ours)])
    if not lines:
        return "In none of these works and measures."
    return _markdown(["work", "measure", "peer", "its figure", "cryptensor"], lines)


def _table(results: dict, measure: str, show) -> str:
    lines = []
    for row in results["rows"]:
        figures = {name: value(row, name, measure) for name in results["titles"]}
        known = [figure for figure in figures.values() if figure is not None]
        cells = []
        for figure in figures.values():
            text = "" if figure is None else show(figure)
            cells.append(f"**{text}**" if known and figure == min(known) else text)
        if known:
            lines.append([row["work"], *cells])
    return _markdown(["work", *results["titles"].values()], lines)


def _problems(results: dict) -> str:
    lines = [[title, "all works", reason] for title, reason in results["missing"].items()]
    for row in results["rows"]:
        for name, title in results["titles"].items():
            measured = row["systems"].get(name)
            if measured is None and title not in results["missing"]:
                lines.append([title, row["work"], "it has no such operation, or was not asked"])
            elif measured and "problem" in measured:
                lines.append([title, row["work"], measured["problem"]])
    return _markdown(["system", "work", "reason"], lines) if lines else "Nothing."


def _markdown(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    cells = [[str(c).replace("|", "\\|").replace("\n", " ") for c in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _digits(number: float) -> str:
    """Three digits that count."""
    if not number or not math.isfinite(number):
        return f"{number:g}"
    places = max(0, 2 - math.floor(math.log10(abs(number))))
    return f"{number:,.{places}f}"


def plot(results: dict, measure: str, title: str, file: Path) -> None:
    """A dot for every system, a line for every work, on a logarithmic axis."""
    from matplotlib.figure import Figure

    rows = [
        row for row in results["rows"] if any(value(row, n, measure) for n in results["titles"])
    ]
    figure = Figure(figsize=(9, 1.5 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots()
    markers = "osD^vPX*"
    for i, (name, system) in enumerate(results["titles"].items()):
        points = [(value(row, name, measure), y) for y, row in enumerate(rows)]
        points = [(x, y) for x, y in points if x]
        if points:
            axes.scatter(*zip(*points, strict=True), marker=markers[i % 8], label=system, s=36)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [row["work"] for row in rows])
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    axes.set_xlabel(f"{title} (bytes)" if measure == "bytes" else title)
    figure.legend(loc="outside upper center", ncols=4, fontsize="small", frameon=False)
    figure.savefig(file, metadata={"Date": None})
