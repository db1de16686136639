# SPDX-License-Identifier: MIT
"""Encrypted tensors: arithmetic, comparisons, functions, selection, random numbers.

A program of CrypTen's API. Only the import line is of this library. First one party alone, as in a
notebook, then the same between two.
"""

import torch

import cryptensor.crypten as crypten
from cryptensor.crypten import mpc


def arithmetic():
    x = crypten.cryptensor(torch.tensor([1.0, 2.0, 3.0]))
    y = crypten.cryptensor([2.0, 4.0, 8.0])
    public = torch.tensor([0.5, 0.5, 2.0])
    return {
        "sum": x + y,
        "difference with a public tensor": public - x,
        "product": x * y,
        "quotient": x / y,
        "quotient by a number": y.div(2),
        "dot product": x.dot(y),
        "outer product": x.ger(y),
        "power": x.pow(3),
        "polynomial x + 2 x^2": x.polynomial([1.0, 2.0]),
    }


def functions():
    x = crypten.cryptensor(torch.tensor([0.5, 1.0, 4.0]))
    cos, sin = x.cossin()
    return {
        "reciprocal": x.reciprocal(),
        "exp": x.exp(),
        "log": x.log(),
        "square root": x.sqrt(),
        "inverse root": x.inv_sqrt(),
        "sigmoid": x.sigmoid(),
        "sin^2 + cos^2": sin * sin + cos * cos,
        "norm": x.norm(),
    }


def comparisons():
    x = crypten.cryptensor(torch.tensor([1.0, 5.0, 3.0]))
    y = crypten.cryptensor(torch.tensor([2.0, 5.0, 1.0]))
    larger = (x > y) * x + (x <= y) * y  # results are 0 and 1, so they can be multiplied
    return {
        "x > y": x > y,
        "x == y": x == y,
        "larger ones": larger,
        "where": crypten.where(x >= y, x, y),
        "largest": x.max(),
        "where it is, one-hot": x.argmax(),
        "where it is": x.argmax(one_hot=False),
    }


def shapes():
    x = crypten.cryptensor(torch.arange(6.0).reshape(2, 3))
    return {
        "row": x[1],
        "transposed": x.t(),
        "joined": crypten.cat([x, x], dim=1),
        "stacked": crypten.stack([x, x]),
        "column sums": x.sum(0),
        "padded": x.pad((1, 1)),
    }


def opened(values):
    return {name: value.get_plain_text() for name, value in values.items()}


@mpc.run_multiprocess(world_size=2)
def between_two():
    results = {}
    for part in (arithmetic, functions, comparisons, shapes):
        results |= opened(part())
    noise = crypten.rand(200).get_plain_text()
    results["random numbers are in [0, 1)"] = (noise >= 0).all() & (noise < 1).all()
    return results


def main():
    crypten.init()  # one party: nothing is hidden, the program is tried out
    alone = opened(arithmetic()) | opened(comparisons())
    crypten.print("one party:", alone["sum"])
    results = between_two()
    for name, value in results[0].items():
        crypten.print(f"{name}: {value.tolist()}")
    crypten.uninit()
    return alone, results


if __name__ == "__main__":
    main()
