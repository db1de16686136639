# SPDX-License-Identifier: MIT
"""CrypTen's public names on cryptensor: `import cryptensor.crypten as crypten`.

Aliases over the same engine, modules and files; no second engine. Where a name promises what is not
there, it raises UnsupportedOperation with what to use instead; `refusals.REFUSED` lists them. What
differs from CrypTen 0.4.1 and is meant to:

- get_plain_text() is the only opening; printing a tensor shows its shape, never its share.
- mpc.provider is "TTP", a dealer process, where CrypTen's "TFP" lets every party read everything.
- run_multiprocess() raises RemoteError where a party fails, and starts fresh processes.
- A tensor of ptype binary is shared additively; see BinarySharedTensor.
- Dropout masks are public; rand(), bernoulli() and weighted_index() are secret.
- Modules are those of torch.nn; a model encrypted in eval mode has its normalisations folded.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from ..aten.coin import manual_seed as _coin_seed
from ..errors import ConfigError
from ..tensor import CrypTensor as _Secret
from . import communicator, config, files, mpc, nn, optim
from .config import cfg
from .files import load, load_from_party, save, save_from_party
from .output import log, print
from .ptype import ptype
from .randomness import bernoulli, rand, randn
from .refusals import RefusedMapping, refused
from .sessions import init, is_initialized, uninit
from .shares import MPCTensor

CrypTensor = MPCTensor
no_grad = torch.no_grad
enable_grad = torch.enable_grad
set_grad_enabled = torch.set_grad_enabled
init_thread = refused("init_thread")
register_cryptensor = refused("register_cryptensor")
generators = RefusedMapping("generators")
common = SimpleNamespace(serial=files.serial)
_TYPE = "mpc"


def cryptensor(*args: Any, cryptensor_type: str | None = None, **kwargs: Any) -> MPCTensor:
    """The data of party `src` as a secret tensor with CrypTen's methods.

    cryptensor(tensor, ptype=mpc.arithmetic, device=None, size=None, broadcast_size=False,
    precision=None, src=0, requires_grad=None): the other parties pass a tensor of the same shape,
    or size=, or broadcast_size=True. Values have dtype float32. A precision below the session's
    rounds the values to so many fraction bits. Cost: one round. Raises as cryptensor.cryptensor(),
    and ConfigError for more fraction bits than the session's or an unknown cryptensor_type.
    """
    _check_type(cryptensor_type)
    made: MPCTensor = MPCTensor(*args, **kwargs)
    return made


def is_encrypted_tensor(obj: Any) -> bool:
    """True for every secret tensor, also one of cryptensor's own."""
    return isinstance(obj, _Secret)


def cat(tensors: Any, dim: int = 0) -> Any:
    return torch.cat(list(tensors), dim)


def stack(tensors: Any, dim: int = 0) -> Any:
    return torch.stack(list(tensors), dim)


def where(condition: Any, input: Any, other: Any) -> Any:
    """input where the condition is 1, other where it is 0. A secret condition costs a product."""
    if isinstance(condition, _Secret):
        return other + condition.float() * (input - other)
    return torch.where(torch.as_tensor(condition).bool(), input, other)


def manual_seed(next_seed: int, local_seed: int, global_seed: int) -> None:
    """Repeats public random numbers, such as dropout masks, from global_seed, at all parties alike.

    As in CrypTen only with cfg.debug.debug_mode. The other seeds have no use: what hides a secret
    comes from the operating system's randomness and cannot be repeated.
    """
    if not cfg["debug.debug_mode"]:
        raise ConfigError("cfg.debug.debug_mode is False; it must be True to choose seeds")
    _coin_seed(global_seed)


def get_default_cryptensor_type() -> str:
    return _TYPE


def set_default_cryptensor_type(cryptensor_type: str) -> None:
    """There is one kind: ConfigError for any other name than "mpc"."""
    _check_type(cryptensor_type)


def get_cryptensor_type(tensor: Any) -> str:
    if not is_encrypted_tensor(tensor):
        raise ConfigError(f"tensor is of type {type(tensor).__name__}; it must be a secret tensor")
    return _TYPE


def print_communication_stats() -> None:
    communicator.get().print_communication_stats()


def reset_communication_stats() -> None:
    communicator.get().reset_communication_stats()


def trace(tracing: bool = True) -> None:
    """Nothing: the dealer works ahead without being told what will come."""


def trace_once() -> None:
    """Nothing, as trace()."""


def fill_cache() -> None:
    """Nothing, as trace()."""


def _check_type(cryptensor_type: str | None) -> None:
    if cryptensor_type not in (None, _TYPE):
        raise ConfigError(f"cryptensor_type is {cryptensor_type!r}; it must be None or {_TYPE!r}")


__all__ = [
    "CrypTensor",
    "MPCTensor",
    "bernoulli",
    "cat",
    "cfg",
    "common",
    "communicator",
    "config",
    "cryptensor",
    "enable_grad",
    "fill_cache",
    "generators",
    "get_cryptensor_type",
    "get_default_cryptensor_type",
    "init",
    "init_thread",
    "is_encrypted_tensor",
    "is_initialized",
    "load",
    "load_from_party",
    "log",
    "manual_seed",
    "mpc",
    "nn",
    "no_grad",
    "optim",
    "print",
    "print_communication_stats",
    "ptype",
    "rand",
    "randn",
    "register_cryptensor",
    "reset_communication_stats",
    "save",
    "save_from_party",
    "set_default_cryptensor_type",
    "set_grad_enabled",
    "stack",
    "trace",
    "trace_once",
    "uninit",
    "where",
]
