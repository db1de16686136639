# SPDX-License-Identifier: MIT
"""crypten.mpc: the tensor class, kinds of sharing, and run_multiprocess()."""

from ..config import cfg
from ..ptype import ptype
from ..sessions import run_multiprocess
from ..shares import MPCTensor
from . import primitives

arithmetic = ptype.arithmetic
binary = ptype.binary


def get_default_provider() -> str:
    """The provider that the next session takes: "TTP" or "TFP"."""
    return str(cfg["mpc.provider"])


def ttp_required() -> bool:
    """True where the dealer is a process of its own."""
    return bool(cfg["mpc.provider"] == "TTP")


__all__ = [
    "MPCTensor",
    "arithmetic",
    "binary",
    "cfg",
    "get_default_provider",
    "primitives",
    "ptype",
    "run_multiprocess",
    "ttp_required",
]
