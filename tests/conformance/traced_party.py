# SPDX-License-Identifier: MIT
"""One party of the program of test_traces.py, in a process: writes what it sent to a file.

torchrun --nproc-per-node=N traced_party.py FOLDER PARTIES PROVIDER
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import torch
from engines import C, Frame, enter, enter_shared
from torch.distributed import FileStore, ProcessGroupGloo


def program(engine) -> None:
    """Every protocol, some of them over and over, as a training loop would."""
    values = torch.linspace(-3, 3, 77, dtype=torch.float64).reshape(11, 7)
    x, y = enter_shared(engine, values, 0), enter_shared(engine, values.flip(0), 1)
    weight = enter(engine, values.t().contiguous(), 1)
    weight.reuse()
    for _ in range(4):
        hidden = engine.relu(engine.matmul(x, weight))
        x = engine.add(x, engine.scale(engine.sum(hidden, [1], True), 0.01))
    total = engine.maximum(engine.mul(x, y), engine.square(y))
    total = engine.select(engine.ltz(y), total, x)
    kernel = enter_shared(engine, torch.ones(2, 1, 3, 3, dtype=torch.float64), 1)
    image = total.rearrange(lambda t: t.reshape(1, 1, 11, 7))
    total = engine.settle(engine.conv(image, kernel, [1, 1], [0, 0], [1, 1], 1))
    for kind in ["interactive", "exact"] + ["one_bit"] * (engine.parties == 2):
        engine.truncate(total, 9, kind)
    engine.reveal(total)
    engine.reveal(total, 1)
    engine.reveal(weight, 0)


def outline(frames: list[Frame]) -> list[list]:
    """What does not depend on any random number."""
    return [[f.operation, f.peer, f.lane, len(f.payload)] for f in frames]


def play(store_path: Path, rank: int, size: int, parties: int, provider: str) -> list[list]:
    """Runs the program over Gloo on the loopback interface, or serves as the dealer."""
    options = ProcessGroupGloo._Options()
    options._devices = [ProcessGroupGloo.create_device(hostname="127.0.0.1")]
    options._timeout = timedelta(seconds=30)
    group = ProcessGroupGloo(FileStore(str(store_path), size), rank, size, options)
    transport = C.trace_transport(C.gloo_transport(group))
    if rank == parties:
        C.serve_dealer(transport, parties, 30.0)
    else:
        engine = C.make_engine(transport, parties, provider)
        program(engine)
        engine.shutdown()
    return outline([Frame(*sent) for sent in transport.frames()])


def main() -> None:
    folder, parties, provider = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    sent = play(folder / "store", rank, size, parties, provider)
    (folder / f"{rank}.json").write_text(json.dumps(sent))


if __name__ == "__main__":
    main()
