# SPDX-License-Identifier: MIT
"""One rank of two parties with two workers each, for test_workers.py: leaves a file of what it did.

torchrun --nproc-per-node=6 workers_rank.py FOLDER PORT0 PORT1
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import torch
import torch.distributed as dist

import cryptensor as ct
from cryptensor import _C

ROWS = 65


def build() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Linear(96, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3)
    ).eval()


def images() -> torch.Tensor:
    return torch.linspace(-2, 2, ROWS * 96).reshape(ROWS, 96)


def classify() -> dict:
    """A batch over the workers, with weights that only worker 0 of party 0 has at first."""
    mesh = ct.mesh()
    model = build()
    if mesh.worker > 0 or mesh.party > 0:
        for parameter in model.parameters():
            torch.nn.init.zeros_(parameter)
    if mesh.party == 0:
        mesh.broadcast(model)
    secret_model = ct.encrypt(model, src=0)
    mine = mesh.split(images() if mesh.party == 1 else None)
    logits = secret_model(ct.cryptensor(mine, src=1)).reveal(dst=1)
    gathered = mesh.gather(logits)
    return {
        "place": (mesh.party, mesh.worker),
        "coordinate": mesh.device_mesh.get_coordinate(),
        "names": mesh.device_mesh.mesh_dim_names,
        "shape": mesh.device_mesh.shape,
        "inside": mesh.device_mesh["worker"].size(),
        "world": dist.get_world_size(),
        "rows": None if logits is None else len(logits),
        "gathered": gathered,
    }


def same_inputs() -> None:
    """What every worker does alike, for a look at its masks."""
    values = images() if ct.rank() == 1 else None
    shared = ct.share(ct.cryptensor(values, src=1))
    torch.relu(torch.relu(shared) * shared @ ct.share(ct.cryptensor(torch.eye(96), src=0)))


def main() -> None:
    plain_gloo = _C.gloo_transport
    traces = []

    def traced(backend):
        traces.append(_C.trace_transport(plain_gloo(backend)))
        return traces[-1]

    _C.gloo_transport = traced
    party = int(os.environ["RANK"]) // 2
    store = f"127.0.0.1:{sys.argv[2 + party]}" if party < 2 else None
    mesh = ct.init_mesh(parties=2, workers=2, threads=1, party_store=store, transport="gloo")
    done = classify()
    before = len(traces[0].frames())
    same_inputs()
    done["frames"] = traces[0].frames()[before:]
    ct.shutdown()
    done["left"] = dist.is_initialized()
    Path(sys.argv[1], f"{mesh.party}.{mesh.worker}").write_bytes(pickle.dumps(done))


if __name__ == "__main__":
    main()
