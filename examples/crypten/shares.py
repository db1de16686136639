# SPDX-License-Identifier: MIT
"""Inside encrypted tensors: a value is the sum of the parties' shares, each of which says nothing.

A program of CrypTen's API. Only the import line is of this library.
"""

import torch

import cryptensor.crypten as crypten
from cryptensor.crypten import communicator as comm
from cryptensor.crypten import mpc
from cryptensor.crypten.mpc import MPCTensor
from cryptensor.crypten.mpc.primitives import ArithmeticSharedTensor


@mpc.run_multiprocess(world_size=3)
def look_inside(values):
    rank = comm.get().get_rank()

    # Party 1 has the values, the others say their size.
    x = crypten.cryptensor(values if rank == 1 else torch.zeros(len(values)), src=1)
    crypten.print(f"party {rank}: {x}", in_order=True)

    # Shares that are all sent add to the value, at the encoder's scale.
    total = comm.get().all_reduce(x.share)
    from_shares = x.encoder.decode(total)

    # The other way: each party brings a share.
    mine = torch.tensor([100, -50]) * (rank + 1)
    y = MPCTensor.from_shares(mine, precision=0)

    # A fresh sharing of zero changes the shares and not the value.
    z = ArithmeticSharedTensor(values if rank == 0 else None, size=(len(values),), src=0)
    zero = ArithmeticSharedTensor.PRZS(len(values))

    # Kinds of sharing: comparisons need bits, products need sums.
    binary = x.to(mpc.binary)
    back = binary.to(mpc.arithmetic)
    return {
        "share": x.share,
        "from shares": from_shares,
        "brought": y.get_plain_text(),
        "refreshed": (z + zero).get_plain_text(),
        "zero": zero.get_plain_text(),
        "kinds": [x.ptype.name, binary.ptype.name, back.ptype.name],
        "back": back.get_plain_text(),
        "only for party 2": x.get_plain_text(dst=2),
    }


def main():
    results = look_inside(torch.tensor([1.5, -2.0, 40.0]))
    for name, value in results[0].items():
        crypten_print(name, value)
    return results


def crypten_print(name, value):
    print(f"{name} at party 0: {value}")


if __name__ == "__main__":
    main()
