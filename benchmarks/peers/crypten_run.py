# SPDX-License-Identifier: MIT
"""CrypTen 0.4.1 with its trusted first party; `benchmarks/peers.py` runs this.

python -m venv DIR && DIR/bin/pip install torch==2.13.0
DIR/bin/pip install --no-deps crypten==0.4.1
DIR/bin/pip install numpy omegaconf onnx pandas pyyaml scipy
"""

from __future__ import annotations

import os
import sys

import serving
import torch

WORKS = {
    "relu": lambda x: x.relu(),
    "x >= 0": lambda x: x.ge(0),
    "x == 0": lambda x: x.eq(0),
    "sigmoid": lambda x: x.sigmoid(),
    "tanh": lambda x: x.tanh(),
    "erf": lambda x: x.erf(),
    "exp": lambda x: x.exp(),
    "reciprocal": lambda x: x.reciprocal(),
    "rsqrt": lambda x: x.inv_sqrt(),
    "sqrt": lambda x: x.sqrt(),
    "log": lambda x: x.log(),
    "max of 1000 x 100": lambda x: x.max(1)[0],
    "argmax of 1000 x 100": lambda x: x.argmax(1, one_hot=False),
    "softmax 128 x 128": lambda x: x.softmax(1),
    "max_pool2d 1x16x28x28, 2x2": lambda x: x.max_pool2d(2),
}


def open_party(rank, ports):
    # CrypTen looks for a module that torch has moved since.
    import torch.onnx._internal.torchscript_exporter.registration as registration

    sys.modules["torch.onnx._internal.registration"] = registration
    import crypten

    os.environ.update(
        DISTRIBUTED_BACKEND="gloo",
        RENDEZVOUS=f"tcp://127.0.0.1:{ports[0]}",
        WORLD_SIZE=str(serving.PARTIES),
        RANK=str(rank),
    )
    torch.set_num_threads(1)
    crypten.init()

    def prepare(name, values):
        x = crypten.cryptensor(torch.from_numpy(values).float(), src=0)
        outcome = []

        def run():
            outcome[:] = [WORKS[name](x)]

        return run, lambda: outcome[0].get_plain_text().numpy()

    return prepare


if __name__ == "__main__":
    serving.serve(WORKS, open_party)
