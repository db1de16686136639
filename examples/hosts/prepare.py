# SPDX-License-Identifier: MIT
"""Makes what each host of the recipe starts with: its configuration, certificates and data.

    python examples/hosts/prepare.py FOLDER

FOLDER/alice, FOLDER/bob and FOLDER/dealer belong on three hosts; FOLDER/authority on none of them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import torch

import cryptensor as ct

sys.path.append(str(Path(__file__).resolve().parents[1]))
import digits
import networks
from program import NETWORK

HERE = Path(__file__).resolve().parent
RANKS = {"alice": "party0", "bob": "party1", "dealer": "dealer"}


def prepare(folder: Path, count: int) -> None:
    """Trains the network and hands out the first `count` images of the test set."""
    ct.make_certificates(folder / "authority", parties=2)
    for host, name in RANKS.items():
        own = folder / host / "certificates"
        own.mkdir(parents=True)
        shutil.copy(HERE / f"{host}.toml", folder / host)
        for file in ("authority.pem", f"{name}.pem", f"{name}.key"):
            shutil.copy(folder / "authority" / file, own)
    torch.set_num_threads(1)
    data = digits.load_uci()
    model = networks.train(NETWORK, data, seed=0)
    torch.save(model.state_dict(), folder / "alice" / "weights.pt")
    images, labels = data.test_images[:count], data.test_labels[:count]
    with torch.no_grad():
        plain = model(images)  # to compare with: a Bob in earnest has no such thing
    torch.save({"images": images, "labels": labels, "plain": plain}, folder / "bob" / "images.pt")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--images", type=int, default=500, help="how many Bob gets, up to 500")
    options = parser.parse_args()
    prepare(options.folder, options.images)
    print(f"made {', '.join(str(options.folder / host) for host in RANKS)}")
