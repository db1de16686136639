# SPDX-License-Identifier: MIT
"""Finds the documents nearest to a sentence that nobody but its author sees.

Party 0 owns a real sentence encoder (MiniLM) and the documents, party 1 the query; party 1 alone
learns the similarities, and nothing else of the documents. Public are the sizes of the encoder, the
number of documents and the length that sentences are padded to: not the words, not how many of the
tokens are words. A dealer in a third process sees none of it. The documents are embedded by party 0
alone, since it knows all that goes in.

    python examples/sentence_similarity.py "When does the bus to the airport go?"
    python examples/sentence_similarity.py --shared-ids
    python examples/sentence_similarity.py --pairs    # both sentences of 50 pairs in secret
"""

from __future__ import annotations

import argparse
import sys
import time

import sentence_encoder as encoder
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sentences import PAIRS

import cryptensor as ct

ENCODER_OWNER = 0
QUERY_OWNER = 1
DOCUMENTS = [second for _, second in PAIRS]
QUERY = "When does the next bus to the airport go?"
# The first query pays for opening the weights under their masks.
QUERIES = 3
# Sentences of one batch are padded to a multiple of this many tokens.
STEP = 8
BATCH = 10
MIN_COSINE = 0.999


# ---- what the parties run ----------------------------------------------------------------------


def search(query: str, documents: list[str], length: int, shared_ids: bool) -> dict:
    """Runs at every party, each of which looks at its own text only.

    The result holds one cosine per document at the owner of the query, and what the first and the
    last of some equal queries cost.
    """
    model = encrypted_encoder()
    is_querying = ct.rank() == QUERY_OWNER
    rows = encoder.prepare([query] if is_querying else documents, length)
    costs = []
    with torch.no_grad():
        own = None if is_querying else rows
        known = encoder.embed(model, encoder.secret(own, src=ENCODER_OWNER))
        for _ in range(QUERIES):
            ct.reset_stats()
            start = time.perf_counter()
            asked = encoder.secret(rows if is_querying else None, QUERY_OWNER, shared_ids)
            vectors = encoder.embed(model, asked)
            cosines = (vectors @ known.T).reveal(dst=QUERY_OWNER)
            total = ct.stats().total()
            costs.append(
                {
                    "seconds": time.perf_counter() - start,
                    "rounds": total.rounds,
                    "MB online": total.bytes_sent / 1e6,
                    "MB dealt": total.dealer_bytes / 1e6,
                }
            )
    return {"cosines": cosines, "first query": costs[0], "later query": costs[-1]}


def embed_all(batches: list[tuple[list[str], int]], shared_ids: bool) -> torch.Tensor | None:
    """Runs at every party: the vectors of the query owner's sentences, at that party only."""
    model = encrypted_encoder()
    vectors = []
    with torch.no_grad():
        for sentences, length in batches:
            own = encoder.prepare(sentences, length) if ct.rank() == QUERY_OWNER else None
            rows = encoder.secret(own, QUERY_OWNER, shared_ids)
            vectors.append(encoder.embed(model, rows).reveal(dst=QUERY_OWNER))
            if ct.rank() == QUERY_OWNER:
                ct.progress(len(sentences))
    return torch.cat(vectors) if ct.rank() == QUERY_OWNER else None


def encrypted_encoder() -> torch.nn.Module:
    """Only its owner opens the file of weights."""
    return ct.encrypt(encoder.load(weights=ct.rank() == ENCODER_OWNER), src=ENCODER_OWNER)


# ---- what their parent does --------------------------------------------------------------------


def plain_vectors(sentences: list[str], length: int) -> torch.Tensor:
    """The same embedding without secrets, (n, 384) in float64."""
    rows = encoder.prepare(sentences, length)
    doubled = {name: v.double() if v.is_floating_point() else v for name, v in rows.items()}
    with torch.no_grad():
        return encoder.embed(encoder.load().double(), doubled)


def batched(sentences: list[str]) -> list[tuple[list[str], int]]:
    """Batches of sentences with the length that all of a batch are padded to."""
    by_length: dict[int, list[str]] = {}
    for sentence in sentences:
        by_length.setdefault(-(-encoder.token_count(sentence) // STEP) * STEP, []).append(sentence)
    return [
        (same[start : start + BATCH], length)
        for length, same in sorted(by_length.items())
        for start in range(0, len(same), BATCH)
    ]


def compare_query(options: argparse.Namespace, console: Console) -> bool:
    """Prints the nearest documents and the costs; False when a cosine is off."""
    plain = plain_vectors([options.query, *DOCUMENTS], options.length)
    plain_cosines = plain[1:] @ plain[0]
    with console.status("searching in secret"):
        answers = ct.launch(
            search,
            options.query,
            DOCUMENTS,
            options.length,
            options.shared_ids,
            timeout=options.timeout,
        )
    found = answers[QUERY_OWNER]["cosines"][0].double()
    shown = Table(title=options.query, caption="cosine to the query; plain without secrets")
    for name in ("document", "secret", "plain"):
        shown.add_column(name, justify="left" if name == "document" else "right")
    for index in found.argsort(descending=True)[: options.top].tolist():
        shown.add_row(DOCUMENTS[index], f"{found[index]:.4f}", f"{plain_cosines[index]:.4f}")
    console.print(shown)
    console.print(costs(answers))
    error = (found - plain_cosines).abs().max().item()
    console.print(f"{len(DOCUMENTS)} documents; largest difference of a cosine {error:.1e}")
    return error <= 1 - MIN_COSINE


def costs(answers: list[dict]) -> Table:
    shown = Table(caption="online: sent by one party; dealt: sent by the dealer")
    shown.add_column("")
    for name in answers[QUERY_OWNER]["first query"]:
        shown.add_column(name, justify="right")
    for label in ("first query", "later query"):
        cost = {
            name: (sum if name == "MB dealt" else max)(answer[label][name] for answer in answers)
            for name in answers[QUERY_OWNER][label]
        }
        cells = (str(v) if isinstance(v, int) else f"{v:.2f}" for v in cost.values())
        shown.add_row(label, *cells)
    return shown


def compare_pairs(options: argparse.Namespace, console: Console) -> bool:
    """Prints how far the secret vectors of all pairs are from the plain; False when too far."""
    sentences = [sentence for pair in PAIRS for sentence in pair]
    batches = batched(sentences)
    start = time.perf_counter()
    with Progress(console=console) as progress:
        task = progress.add_task("embedding in secret", total=len(sentences))
        answers = ct.launch(
            embed_all,
            batches,
            options.shared_ids,
            timeout=options.timeout,
            on_progress=lambda party, count: progress.advance(task, count),
        )
    seconds = time.perf_counter() - start
    order = [sentence for batch, _ in batches for sentence in batch]
    secret = dict(zip(order, answers[QUERY_OWNER].double(), strict=True))
    longest = max(length for _, length in batches)
    plain = dict(zip(sentences, plain_vectors(sentences, longest), strict=True))
    cosine = torch.cosine_similarity
    worst = min(cosine(secret[s], plain[s], dim=0).item() for s in sentences)
    change = max(
        (cosine(secret[a], secret[b], dim=0) - cosine(plain[a], plain[b], dim=0)).abs().item()
        for a, b in PAIRS
    )
    shown = Table(title=f"{len(PAIRS)} pairs of sentences, embedded in secret", show_header=False)
    shown.add_row("smallest cosine to the plain vector", f"{worst:.7f}")
    shown.add_row("largest difference of a pair's similarity", f"{change:.1e}")
    shown.add_row("seconds with the start of the parties", f"{seconds:.1f}")
    console.print(shown)
    return worst >= MIN_COSINE


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("query", nargs="?", default=QUERY, help="a sentence")
    parser.add_argument("--pairs", action="store_true", help="embed 50 pairs and compare")
    parser.add_argument("--shared-ids", action="store_true", help="token ids no party knows")
    parser.add_argument("--length", type=int, default=24, help="tokens to pad to, public")
    parser.add_argument("--top", type=int, default=10, help="how many documents to show")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for a peer")
    options = parser.parse_args()
    longest = max(encoder.token_count(sentence) for sentence in (options.query, *DOCUMENTS))
    if not longest <= options.length <= 512:
        parser.error(f"--length is {options.length}; allowed are {longest} (the longest) to 512")
    return options


def main() -> int:
    options = arguments()
    torch.set_num_threads(1)
    compare = compare_pairs if options.pairs else compare_query
    return 0 if compare(options, Console()) else 1


if __name__ == "__main__":
    sys.exit(main())
