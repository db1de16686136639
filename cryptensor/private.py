# SPDX-License-Identifier: MIT
"""tf-encrypted's names: inputs and outputs of one party as decorators, variables, masked tensors.

@ct.private_input(1)                  # the function runs at party 1 alone
def images():
    return load_images()              # and every party gets its result as a secret of party 1

@ct.private_output(0)                 # party 0 alone learns what the function returns
def predict(model):
    return model(images())
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

from . import session
from .aten.operands import same_value, settled
from .data import check_source, cryptensor
from .errors import ConfigError
from .tensor import CrypTensor

# What the owner of a private input announces besides a number of tensors.
_ONE, _FAILED = -1, -2


def private_input(party: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator: the function is called at `party` alone, every party gets its result secret.

    The function returns data as cryptensor() takes them, or a tuple or list of such; every party
    calls the decorated function and gets a secret of `party`, or a tuple of them. The arguments
    are looked at by `party` alone. All parties learn how many tensors there are, and their shapes.

    Cost: two rounds, and one more for each tensor. Raises ConfigError for a rank that is no party;
    what the function raises, and at the other parties ConfigError, after which the session goes
    on; otherwise as cryptensor().
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def announced(*args: Any, **kwargs: Any) -> Any:
            engine: Any = session.current().engine
            check_source(engine, party)
            data: Any = None
            error: Exception | None = None
            if engine.rank == party:
                try:
                    data = function(*args, **kwargs)
                except Exception as raised:
                    error = raised
            several = isinstance(data, (tuple, list)) and _holds_arrays(data)
            count = _announce(engine, party, _FAILED if error else len(data) if several else _ONE)
            if error is not None:
                raise error
            if count == _FAILED:
                raise ConfigError(
                    f"the private input {function.__name__!r} raised at party {party}; see there"
                )
            if count == _ONE:
                return cryptensor(data, party)
            rows: Any = data if several else [None] * count
            return tuple(cryptensor(row, party) for row in rows)

        return announced

    return decorate


def private_output(party: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator: what the function returns is revealed to `party` alone; the others get None.

    The function runs at every party; secrets are found in tuples, lists and dicts, all other
    values are returned as they are. Cost: a reveal for each secret. Raises ConfigError for a rank
    that is no party.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def revealed(*args: Any, **kwargs: Any) -> Any:
            engine: Any = session.current().engine
            check_source(engine, party)
            result = _revealed(function(*args, **kwargs), party)
            return result if engine.rank == party else None

        return revealed

    return decorate


def define_private_variable(value: Any, src: int = 0, requires_grad: bool = False) -> CrypTensor:
    """A secret that lasts, such as a weight: what opens it under a mask is kept between its uses.

    value: data of party `src` as for cryptensor(), or a secret, which is copied. Write to it with
    copy_() and the like. Cost and errors: those of cryptensor().
    """
    given: Any = value
    secret: CrypTensor = (
        given.detach().clone() if isinstance(value, CrypTensor) else cryptensor(value, src)
    )
    secret._secret.reuse()
    secret.requires_grad_(requires_grad)
    return secret


def masked(x: CrypTensor) -> CrypTensor:
    """The same value, opened under its mask now: products with it later send their other factor.

    x: a secret; it is not changed, and what autograd knows of it is not kept. The opening belongs
    to this value, so it is made again after a write. Cost: a square, of one round and 8 bytes an
    element, and a truncation where a product was pending. Raises ConfigError for what is no secret.
    """
    if not isinstance(x, CrypTensor):
        raise ConfigError(f"x is of type {type(x).__name__}; it must be a secret tensor")
    engine: Any = x._engine
    # Shared even where one party knows it, for only then is it opened to all of them.
    secret = engine.share(settled(engine, x)).copy()
    secret.reuse()
    if not x.is_public:
        engine.square(secret)  # the operation that opens its operand and nothing else
    found: Any = x.detach()
    return same_value(found, secret)


def _holds_arrays(data: Any) -> bool:
    """A sequence of tensors or arrays, not of numbers."""
    return len(data) > 0 and all(getattr(item, "shape", None) is not None for item in data)


def _announce(engine: Any, party: int, number: int) -> int:
    """The number that `party` says, at every party."""
    given = engine.input(torch.tensor([number]) if engine.rank == party else [1], party)
    return int(engine.reveal(given, None).round().item())


def _revealed(tree: Any, party: int) -> Any:
    if isinstance(tree, CrypTensor):
        return CrypTensor.reveal(tree, party)
    if isinstance(tree, dict):
        return {key: _revealed(value, party) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_revealed(value, party) for value in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(_revealed(value, party) for value in tree)
    return tree
