# SPDX-License-Identifier: MIT
"""Parties on machines of their own: each one runs this program and finds the others.

A program of CrypTen's API. Only the import line is of this library. On every machine torchrun (or
whatever starts it) sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT; the last rank is the dealer.
On one machine:

    torchrun --nproc_per_node 3 instances.py
"""

import torch

import cryptensor.crypten as crypten
from cryptensor.crypten import communicator as comm


def main():
    crypten.init()  # the dealer stays in here until the parties are done
    rank = comm.get().get_rank()
    own = torch.full((3,), rank + 1.0)
    secrets = [crypten.cryptensor(own, src=party) for party in range(comm.get().get_world_size())]
    total = sum(secrets[1:], secrets[0])
    crypten.print("sum:", total.get_plain_text().tolist())
    crypten.print_communication_stats()
    crypten.uninit()


if __name__ == "__main__":
    main()
