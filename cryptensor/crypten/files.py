# SPDX-License-Identifier: MIT
"""save(), load() and their forms for one party, on the files of cryptensor.io.

A file is a path. Secrets go to one file per party as by cryptensor.save(); what one party saves or
loads for itself is plain. Nothing is unpickled but a party's own file, and that with
`weights_only`: tensors, and the classes that it has called safe.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

from .. import io, session
from ..data import check_source
from ..errors import ConfigError, FileError, UnsupportedOperation
from ..tensor import CrypTensor
from . import communicator
from .shares import MPCTensor
from .tensor import tagged, with_shares

_MODULE, _TENSOR = "module", "tensor"
_safe_classes: dict[str, type] = {}


def register_safe_class(input_class: type) -> None:
    """Lets load_from_party() make objects of this class, of modules saved whole."""
    _safe_classes[input_class.__qualname__] = input_class


serial = SimpleNamespace(register_safe_class=register_safe_class)


def save(obj: Any, f: Any, save_closure: Any = torch.save, **kwargs: Any) -> None:
    """cryptensor.save(): a secret tensor, an encrypted model or its state_dict."""
    _refuse_closure("save_closure", save_closure, torch.save, kwargs)
    io.save(obj, _path(f))


def load(f: Any, load_closure: Any = torch.load, **kwargs: Any) -> Any:
    """What save() wrote: a tensor, or a dict for a dict or model, for its load_state_dict().

    Raises as cryptensor.load(), and ConfigError for src=: that is load_from_party().
    """
    if "src" in kwargs:
        raise ConfigError("load() takes no src; what one party has is for load_from_party(f, src=)")
    _refuse_closure("load_closure", load_closure, torch.load, kwargs)
    loaded = io.load(_path(f))
    for value in loaded.values() if isinstance(loaded, dict) else [loaded]:
        if isinstance(value, CrypTensor):
            tagged(with_shares(value), MPCTensor)
    return loaded


def save_from_party(
    obj: Any, f: Any, src: int = 0, save_closure: Callable[..., Any] = torch.save, **kwargs: Any
) -> None:
    """Writes a plain tensor or model at party src; returns at all parties when it is written.

    Raises UnsupportedOperation for a secret: save() writes what each party holds.
    """
    comm = communicator.get()
    check_source(session.current().engine, src)
    if isinstance(obj, CrypTensor):
        raise UnsupportedOperation("save_from_party writes plain data; use save() for a secret")
    error = None
    if comm.get_rank() == src:
        try:
            save_closure(obj, f, **kwargs)
        except Exception as raised:
            error = raised
    _together(comm, src, error, None, f"party {src} could not write its file")


def load_from_party(
    f: Any = None,
    preloaded: Any = None,
    encrypted: bool = False,
    model_class: Callable[[], torch.nn.Module] | None = None,
    src: int = 0,
    load_closure: Callable[..., Any] = torch.load,
    **kwargs: Any,
) -> Any:
    """What party src has in a file or memory: a tensor becomes secret, a model stays plain.

    A tensor comes back as a secret of src. A model comes back with its values at src and zeros
    elsewhere, for from_pytorch() and encrypt(src=src). The others build its structure themselves:
    by model_class(), or by the class of that name given to register_safe_class(), without
    arguments. `src` of the result says whose it is. All parties learn the shapes.

    Raises, at every party, FileError where src cannot read its file, and ConfigError for what is
    neither tensor nor model, and where a structure is missing or of other shapes.
    """
    comm = communicator.get()
    check_source(session.current().engine, src)
    if encrypted:
        raise UnsupportedOperation("load_from_party reads plain data; use load() for secrets")
    found, kind, error = None, None, None
    if comm.get_rank() == src:
        try:
            found = _found(f, preloaded, model_class, load_closure, kwargs)
            kind = _described(found)
        except Exception as raised:
            error = raised
    kind = _together(comm, src, error, kind, f"party {src} could not load its file")
    if kind["kind"] == _TENSOR:
        result = MPCTensor(found, src=src, broadcast_size=True)
    else:
        result = found if comm.get_rank() == src else _structure(model_class, kind, src)
    result.src = src
    return result


def _found(f: Any, preloaded: Any, model_class: Any, load_closure: Any, kwargs: Any) -> Any:
    if (f is None) == (preloaded is None):
        raise ConfigError("exactly one of f and preloaded must be given at party src")
    if f is None:
        return preloaded
    if load_closure is not torch.load:
        return load_closure(f, **kwargs)
    safe: list[Any] = [*_safe_classes.values(), *_layers(torch.nn.Module), set]
    if isinstance(model_class, type):
        safe.append(model_class)
    try:
        with torch.serialization.safe_globals(safe):
            return torch.load(f, **{**kwargs, "weights_only": True})
    except Exception as error:
        # What torch says about a pickle is several screens, and advises to run its code.
        raise FileError(
            f"the file {f} cannot be read ({type(error).__name__}); it must hold tensors, or a "
            "model whose classes are of torch.nn, model_class or given to register_safe_class()"
        ) from None


def _layers(base: type) -> list[type]:
    below: list[type] = base.__subclasses__()
    own = [cls for cls in below if cls.__module__.startswith("torch.nn.modules")]
    return own + [layer for cls in own for layer in _layers(cls)]


def _described(found: Any) -> dict[str, Any]:
    if isinstance(found, torch.Tensor):
        return {"kind": _TENSOR}
    if isinstance(found, torch.nn.Module):
        return {"kind": _MODULE, "class": type(found).__qualname__, "shapes": _shapes(found)}
    raise ConfigError(
        f"party src has a {type(found).__name__}; it must be a tensor or a torch.nn.Module"
    )


def _shapes(model: torch.nn.Module) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in model.state_dict().items()}


def _structure(model_class: Any, kind: dict[str, Any], src: int) -> torch.nn.Module:
    build = model_class or _safe_classes.get(kind["class"])
    if build is None:
        raise ConfigError(
            f"the model of party {src} is a {kind['class']}; model_class must be given, or that "
            "class to register_safe_class(), and be callable without arguments"
        )
    model: torch.nn.Module = build()
    if _shapes(model) != kind["shapes"]:
        raise ConfigError(f"model_class() has other names or shapes than the model of party {src}")
    with torch.no_grad():
        for value in model.state_dict().values():
            value.zero_()
    return model


def _together(comm: Any, src: int, error: Exception | None, kind: Any, failure: str) -> Any:
    """What src says, at every party; its error there, and FileError elsewhere, where it failed."""
    told = comm.broadcast_obj([error is None, kind], src)
    if error is not None:
        raise error
    if not told[0]:
        raise FileError(f"{failure}; see the error there")
    return told[1]


def _path(f: Any) -> Any:
    if hasattr(f, "read") or hasattr(f, "write"):
        raise ConfigError(f"f is a {type(f).__name__}; it must be a path: each party has its file")
    return f


def _refuse_closure(name: str, given: Any, default: Any, kwargs: Any) -> None:
    if given is not default or kwargs:
        raise ConfigError(
            f"{name} and its arguments must be left out: shares have a format of their own"
        )
