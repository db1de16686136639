# SPDX-License-Identifier: MIT
"""Classifies handwritten digits without showing the images or the model to anyone.

Party 0 owns a trained network, party 1 owns the images and alone learns the logits; a dealer in a
third process makes the correlated randomness and sees neither. Prints what it costs and how far
the private answers are from the plain ones.

`cryptensor demo` runs this file.

    python examples/private_inference.py
    python examples/private_inference.py --networks C --seeds 5 --json results.jsonl
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import digits
import networks
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import cryptensor as ct

MODEL_OWNER = 0
IMAGE_OWNER = 1
BATCH = 100
TIMED_BATCHES = {1: 15, 10: 9, 100: 5}
# The dealer runs ahead of a program that it has seen before.
WARM_UPS = 4
# Two plain logits closer than this are a tie that fixed point may break either way.
TIE = 0.01
MAX_ERROR = 0.01


@dataclass(frozen=True, slots=True)
class Result:
    """One network, once trained and once run privately over the whole test set."""

    network: str
    seed: int
    data: str
    images: int
    accuracy_plain: float
    accuracy_secret: float
    kl_divergence: float
    largest_error: float
    classes_differ: int
    classes_differ_beyond_ties: int
    latency_ms: dict[int, float]
    rounds: dict[int, int]
    online_bytes: dict[int, int]
    dealer_bytes: dict[int, int]


# ---- what the parties run ----------------------------------------------------------------------


def classify(name: str, folder: Path, count: int) -> dict:
    """Runs at every party; each opens only the files in its own folder."""
    own = folder / f"party{ct.rank()}"
    model = networks.build(name).eval()
    if ct.rank() == MODEL_OWNER:
        model.load_state_dict(torch.load(own / "weights.pt"))
    images = torch.zeros(count, 1, digits.SIDE, digits.SIDE)
    if ct.rank() == IMAGE_OWNER:
        images = torch.load(own / "images.pt")
    with torch.no_grad():
        secret_model = ct.encrypt(model, src=MODEL_OWNER)
        infer(secret_model, images[:1])
        cost = {size: measure(secret_model, images[:size]) for size in timed_sizes(count)}
        logits = []
        for batch in images.split(BATCH):
            logits.append(infer(secret_model, batch))
            if ct.rank() == IMAGE_OWNER:
                ct.progress(len(batch))
    return {"logits": torch.cat(logits) if ct.rank() == IMAGE_OWNER else None, "cost": cost}


def infer(secret_model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor | None:
    """The logits at the owner of the images, None elsewhere."""
    secret_images = ct.cryptensor(images, src=IMAGE_OWNER)
    return secret_model(secret_images).reveal(dst=IMAGE_OWNER)


def measure(secret_model: torch.nn.Module, images: torch.Tensor) -> dict:
    """Seconds (median), rounds and bytes of one batch, from the plain images to the logits."""
    for _ in range(WARM_UPS):
        infer(secret_model, images)
    seconds = []
    for _ in range(TIMED_BATCHES[len(images)]):
        ct.reset_stats()
        start = time.perf_counter()
        infer(secret_model, images)
        seconds.append(time.perf_counter() - start)
    total = ct.stats().total()
    return {
        "seconds": statistics.median(seconds),
        "rounds": total.rounds,
        "online": total.bytes_sent,
        "dealer": total.dealer_bytes,
    }


def timed_sizes(count: int) -> list[int]:
    return [size for size in TIMED_BATCHES if size <= count]


# ---- what their parent does --------------------------------------------------------------------


def run(name: str, seed: int, data: digits.Digits, timeout: float, progress: Progress) -> Result:
    """Trains a network, classifies the test set plainly and privately, and compares."""
    count = len(data.test_labels)
    task = progress.add_task(f"network {name}, seed {seed}: training", total=count)
    model = networks.train(name, data, seed)
    with torch.no_grad():
        plain = torch.cat([model(batch) for batch in data.test_images.split(BATCH)])
    progress.update(task, description=f"network {name}, seed {seed}: private")

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        hand_out(folder, model, data.test_images)
        answers = ct.launch(
            classify,
            name,
            folder,
            count,
            parties=2,
            provider="third_party",
            timeout=timeout,
            on_progress=lambda party, images: progress.advance(task, images),
        )
    progress.update(task, description=f"network {name}, seed {seed}: done")
    return compare(name, seed, data, plain, answers)


def hand_out(folder: Path, model: torch.nn.Module, images: torch.Tensor) -> None:
    """Gives each party what it owns, in a folder that the other one does not open."""
    for party in (MODEL_OWNER, IMAGE_OWNER):
        (folder / f"party{party}").mkdir()
    torch.save(model.state_dict(), folder / f"party{MODEL_OWNER}" / "weights.pt")
    torch.save(images, folder / f"party{IMAGE_OWNER}" / "images.pt")


def compare(
    name: str, seed: int, data: digits.Digits, plain: torch.Tensor, answers: list[dict]
) -> Result:
    secret = answers[IMAGE_OWNER]["logits"].double()
    plain = plain.double()
    differ = plain.argmax(1) != secret.argmax(1)
    best = plain.topk(2, dim=1).values
    costs = [answer["cost"] for answer in answers]
    sizes = list(costs[IMAGE_OWNER])
    return Result(
        network=name,
        seed=seed,
        data=data.source,
        images=len(data.test_labels),
        accuracy_plain=accuracy(plain, data.test_labels),
        accuracy_secret=accuracy(secret, data.test_labels),
        kl_divergence=kl_divergence(plain, secret),
        largest_error=(plain - secret).abs().max().item(),
        classes_differ=int(differ.sum()),
        classes_differ_beyond_ties=int((differ & (best[:, 0] - best[:, 1] >= TIE)).sum()),
        latency_ms={size: 1e3 * costs[IMAGE_OWNER][size]["seconds"] for size in sizes},
        rounds={size: max(cost[size]["rounds"] for cost in costs) for size in sizes},
        online_bytes={size: max(cost[size]["online"] for cost in costs) for size in sizes},
        dealer_bytes={size: sum(cost[size]["dealer"] for cost in costs) for size in sizes},
    )


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    return (logits.argmax(1) == labels).double().mean().item()


def kl_divergence(plain: torch.Tensor, secret: torch.Tensor) -> float:
    """Mean over the images of KL(softmax(plain) || softmax(secret)), as in the paper's Table 1."""
    return F.kl_div(
        secret.log_softmax(1), plain.log_softmax(1), log_target=True, reduction="batchmean"
    ).item()


# ---- what the user sees ------------------------------------------------------------------------


def table(results: list[Result]) -> Table:
    """One column per network; over several seeds mean accuracy, median cost, worst difference."""
    first = results[0]
    shown = Table(
        title=f"Private inference on {first.data}, {first.images:,} test images",
        caption="online: sent by one party; dealer: sent by the dealer",
    )
    shown.add_column("network")
    columns = []
    for name in dict.fromkeys(result.network for result in results):
        shown.add_column(name, justify="right")
        columns.append(cells([result for result in results if result.network == name]))
    for label in columns[0]:
        shown.add_row(label, *(column[label] for column in columns))
    return shown


def cells(same: list[Result]) -> dict[str, str]:
    """What the table says of one network, by the label of the row."""
    first = same[0]
    sizes = list(first.latency_ms)
    shown = {
        "accuracy, plain": f"{statistics.mean(r.accuracy_plain for r in same):.2%}",
        "accuracy, secret": f"{statistics.mean(r.accuracy_secret for r in same):.2%}",
        "classes that differ": str(sum(r.classes_differ for r in same)),
        "KL divergence": f"{max(r.kl_divergence for r in same):.1e}",
        "largest logit error": f"{max(r.largest_error for r in same):.1e}",
        "rounds": str(first.rounds[sizes[0]]),
    }
    for size in sizes:
        latency = statistics.median(r.latency_ms[size] for r in same)
        shown[f"latency, batch {size}"] = f"{latency:.1f} ms"
    for size in (sizes[0], sizes[-1]):
        shown[f"online, batch {size}"] = size_text(first.online_bytes[size])
        shown[f"dealer, batch {size}"] = size_text(first.dealer_bytes[size])
    return shown


def size_text(count: int) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def faults(results: list[Result]) -> list[str]:
    """What the private answers got wrong, in words; empty when all is well."""
    found = []
    for result in results:
        where = f"network {result.network}, seed {result.seed}"
        if result.classes_differ_beyond_ties:
            found.append(f"{where}: {result.classes_differ_beyond_ties} images got another class")
        if not result.largest_error <= MAX_ERROR:
            found.append(f"{where}: a logit is off by {result.largest_error:.3g}")
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default=networks.NAMES, help="which of A, B, C to run")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds each network runs")
    parser.add_argument("--mnist", type=Path, metavar="DIR", help="MNIST IDX files instead")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write JSON lines")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for a peer")
    options = parser.parse_args()
    if not options.networks or set(options.networks) - set(networks.NAMES):
        parser.error(f"--networks is {options.networks!r}; allowed are letters of ABC")
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}; it must be at least 1")
    return options


def demonstrate(
    names: Iterable[str], seeds: int, data: digits.Digits, timeout: float, console: Console
) -> list[Result]:
    """Trains and runs every network with every seed; progress goes to the console."""
    # Batches this small train slower on several threads than on one.
    torch.set_num_threads(1)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, refresh_per_second=2) as progress:
        return [
            run(name, seed, data, timeout, progress)
            for name in dict.fromkeys(names)
            for seed in range(seeds)
        ]


def main() -> int:
    options = arguments()
    console = Console()
    data = digits.load_mnist(options.mnist) if options.mnist else digits.load_uci()
    results = demonstrate(options.networks, options.seeds, data, options.timeout, console)
    console.print(table(results))
    if options.json:
        options.json.write_text("".join(json.dumps(asdict(r)) + "\n" for r in results))
    problems = faults(results)
    for problem in problems:
        console.print(problem, style="bold red")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
