# SPDX-License-Identifier: MIT
"""Private inference on handwritten digits between hosts; runs at each party's.

Alice (party 0) owns a trained network, Bob (party 1) the images; Bob alone learns the logits. The
network is shared once: a file at each host holds a share of it, and after a restart these files
are enough.

    cryptensor party --config alice.toml program.py FOLDER      # at Alice's host
    cryptensor party --config bob.toml program.py FOLDER        # at Bob's host
    cryptensor party --config dealer.toml                       # at the dealer's host

FOLDER is what prepare.py made for this host. torchrun starts the same program.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

import cryptensor as ct

sys.path.append(str(Path(__file__).resolve().parents[1]))
import networks

ALICE, BOB = 0, 1
NETWORK = "A"


def shared_model(folder: Path) -> tuple[torch.nn.Module, bool]:
    """The network as shares that no host can read, and whether files of an earlier run had it."""
    file = folder / "model.ct"
    mine = Path(f"{file}.party{ct.rank()}").exists()
    stored = all(agreed(mine, party) for party in range(ct.world_size()))
    model = networks.build(NETWORK).eval()
    if not stored:
        if ct.rank() == ALICE:
            model.load_state_dict(torch.load(folder / "weights.pt"))
        values = ct.encrypt(model, src=ALICE).state_dict()
        ct.save({name: ct.share(value) for name, value in values.items()}, file)
        model = networks.build(NETWORK).eval()
    return ct.load(file, into=model), stored


def agreed(value: int, src: int) -> int:
    """A public number of one party, at all parties."""
    return int(ct.cryptensor(torch.tensor([int(value)]), src=src).reveal())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="what this host owns")
    parser.add_argument("--batch", type=int, default=50, help="images at a time")
    options = parser.parse_args()

    ct.init()
    with torch.no_grad():
        model, stored = shared_model(options.folder)
        print(f"network: {'from the share files' if stored else 'shared by its owner'}", flush=True)
        data = torch.load(options.folder / "images.pt") if ct.rank() == BOB else None
        count = agreed(0 if data is None else len(data["images"]), BOB)
        logits, start = [], time.monotonic()
        for first in range(0, count, options.batch):
            images = None if data is None else data["images"][first : first + options.batch]
            logits.append(model(ct.cryptensor(images, src=BOB)).reveal(dst=BOB))
            print(f"images: {min(first + options.batch, count)} of {count}", flush=True)
    seconds = time.monotonic() - start
    total = ct.stats().total()
    ct.shutdown()
    answer = {"images": count, "seconds": seconds, "rounds": total.rounds, "sent": total.bytes_sent}
    if data is not None:
        found = torch.cat(logits)
        answer["correct"] = int((found.argmax(1) == data["labels"]).sum())
        answer["error"] = float((found - data["plain"]).abs().max())
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
