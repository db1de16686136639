# SPDX-License-Identifier: MIT
"""cryptensor: secure multi-party computation on PyTorch tensors.

import cryptensor as ct

def infer(model, images):                     # runs at every party
    secret_model = ct.encrypt(model, src=0)   # party 0 owns the weights
    secret_x = ct.cryptensor(images, src=1)   # party 1 owns the images
    return secret_model(secret_x).reveal(dst=1)

results = ct.launch(infer, model, images, parties=2)
"""

import importlib as _importlib
from typing import Any as _Any

import torch as _torch  # noqa: F401  _C links against libraries that torch loads

from . import aten, errors, functions  # noqa: F401  they fill the tables of CrypTensor
from .aten.coin import manual_seed
from .aten.ranges import bounded
from .check import CheckReport, check
from .compilation import uncompiled as _uncompiled
from .cost import CostReport, Network, cost
from .data import cryptensor, share
from .graph import optimize
from .io import load, load_from_party, save
from .joining import Joined, intersect, join
from .launch import launch, progress, simulate
from .layout import Mesh, init_mesh, mesh
from .links import make_certificates
from .nn import calibrate, decrypt, encrypt
from .offline import Plan, offline_step, store_status, trace
from .policy import policy
from .private import define_private_variable, masked, private_input, private_output
from .profiler import reset_stats, stats
from .profiles import LayerProfile, profile_layers
from .seeding import seeded
from .serving import serve
from .session import init, rank, shutdown, world_size
from .tables import load_table
from .tensor import CrypTensor

__version__ = "0.1.0"


def __getattr__(name: str) -> _Any:
    if name == "sklearn":  # imports scikit-learn, which takes its time and may be missing
        return _importlib.import_module(".sklearn", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


for _function in (cryptensor, decrypt, encrypt, load, load_from_party, manual_seed, save):
    _uncompiled(_function)

__all__ = [
    "CheckReport",
    "CostReport",
    "CrypTensor",
    "Joined",
    "LayerProfile",
    "Mesh",
    "Network",
    "Plan",
    "bounded",
    "calibrate",
    "check",
    "cost",
    "cryptensor",
    "decrypt",
    "define_private_variable",
    "encrypt",
    "errors",
    "init",
    "init_mesh",
    "intersect",
    "join",
    "launch",
    "load",
    "load_from_party",
    "load_table",
    "make_certificates",
    "manual_seed",
    "masked",
    "mesh",
    "offline_step",
    "optimize",
    "policy",
    "private_input",
    "private_output",
    "profile_layers",
    "progress",
    "rank",
    "reset_stats",
    "save",
    "seeded",
    "serve",
    "share",
    "shutdown",
    "simulate",
    "stats",
    "store_status",
    "trace",
    "world_size",
]
