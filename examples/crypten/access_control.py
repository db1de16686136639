# SPDX-License-Identifier: MIT
"""Who has what: files of one party each, data joined by rows and by columns, who learns a result.

A program of CrypTen's API. Only the import line is of this library.
"""

import os
import tempfile

import torch

import cryptensor.crypten as crypten
from cryptensor.crypten import communicator as comm
from cryptensor.crypten import mpc

ALICE, BOB = 0, 1


@mpc.run_multiprocess(world_size=2)
def save_files(folder, features_alice, features_bob):
    """Each party writes what it has; in the wild, these would be two machines."""
    crypten.save_from_party(features_alice, os.path.join(folder, "alice.pth"), src=ALICE)
    crypten.save_from_party(features_bob, os.path.join(folder, "bob.pth"), src=BOB)


@mpc.run_multiprocess(world_size=2)
def join(folder):
    rank = comm.get().get_rank()
    # Each file is read by its owner alone; the other one learns the shape.
    alice = crypten.load_from_party(os.path.join(folder, "alice.pth"), src=ALICE)
    bob = crypten.load_from_party(os.path.join(folder, "bob.pth"), src=BOB)
    rows = crypten.cat([alice, bob], dim=0)
    columns = crypten.cat([alice, bob], dim=1)

    # What both compute stays secret over sessions: a file of shares for each party.
    crypten.save(columns.mean(0), os.path.join(folder, "means"))
    means = crypten.load(os.path.join(folder, "means"))

    # A secret at work may be opened to one party.
    for_bob = rows.sum(0).get_plain_text(dst=BOB)
    assert (for_bob is None) == (rank != BOB)
    return {
        "shape by rows": tuple(rows.shape),
        "shape by columns": tuple(columns.shape),
        "for Bob": for_bob,
        "means": means.get_plain_text(),
        "encrypted": crypten.is_encrypted_tensor(means),
    }


def main():
    generator = torch.Generator().manual_seed(3)
    alice = torch.rand(4, 3, generator=generator)
    bob = torch.rand(4, 3, generator=generator)
    with tempfile.TemporaryDirectory() as folder:
        save_files(folder, alice, bob)
        results = join(folder)
    print("Alice learns:", results[ALICE])
    print("Bob learns:", results[BOB])
    return alice, bob, results


if __name__ == "__main__":
    main()
