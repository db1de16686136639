# SPDX-License-Identifier: MIT
"""cryptensor(): a party's data as a secret tensor of the session."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from . import session
from .errors import ConfigError, Error, RangeError, ShapeError
from .tensor import CrypTensor

_DTYPES = (torch.float32, torch.float64, torch.int64)


def cryptensor(
    data: Any,
    src: int = 0,
    precision: int | None = None,
    *,
    dtype: torch.dtype | None = None,
) -> CrypTensor:
    """The data of party `src` as a secret; every party calls it, with the same src.

    data: at src a number, (nested) list, ndarray, DataFrame or Tensor of real values. The other
      parties pass None, or anything of the same shape whose values are not looked at.
    src: the rank that owns the data; it keeps them in the clear, nobody else learns them.
    precision: the session's number of fraction bits; another value is a ConfigError.
    dtype: what PyTorch sees and reveal() returns: float32, float64 or int64, at all parties alike.
      None: int64 where the owner passes an int64 tensor (positions, labels), else float32.

    Cost: one round that announces the shape. Raises, at every party: TypeError for None, text,
    objects, complex, sparse or meta data at src (the others see the engine's error), ShapeError
    for ragged lists and for different shapes at two parties, RangeError for NaN, Inf and numbers
    too large to encode, ConfigError for a src that is no party.
    """
    engine: Any = session.current().engine
    check_source(engine, src)
    if precision is not None and precision != engine.precision:
        raise ConfigError(
            f"precision is {precision}; it must be {engine.precision}, the session's: choose "
            "it with launch(..., precision=...)"
        )
    if dtype is not None and dtype not in _DTYPES:
        raise ConfigError(f"dtype is {dtype}; it must be None or one of {_DTYPES}")
    is_tensor = isinstance(data, torch.Tensor)
    asked = dtype or (data.dtype if is_tensor else None)
    if engine.rank != src:
        # Only the owner's word counts; in a rehearsal, where nobody else speaks, it is this one.
        whole = asked is torch.int64 and is_tensor and not data.is_floating_point()
        return _entered(engine, engine.input(shape_of(data), src, integers=whole), dtype)
    try:
        values = to_tensor(data)
    except (TypeError, ValueError):
        # The others wait for the announcement: let the engine fail at every party.
        _refuse_everywhere(engine, src)
        raise
    whole = asked is torch.int64 and values.dtype is torch.int64
    return _entered(engine, engine.input(values, src, integers=whole), dtype)


def _entered(engine: Any, secret: Any, dtype: torch.dtype | None) -> CrypTensor:
    # Integers have no fraction bits, which the owner has told the others.
    return CrypTensor(
        secret, engine, dtype or (torch.float32 if secret.fraction_bits else torch.int64)
    )


def share(x: CrypTensor) -> CrypTensor:
    """The same values as additive shares, which no party knows, where x may have an owner.

    Not seen by autograd. Cost: nothing is sent. Raises ConfigError for what is no secret.
    """
    if not isinstance(x, CrypTensor):
        raise ConfigError(f"x is of type {type(x).__name__}; it must be a secret tensor")
    return CrypTensor(x._engine.share(x._secret), x._engine, x.dtype)


def check_source(engine: Any, src: int) -> None:
    """ConfigError unless src is the rank of a party."""
    if isinstance(src, bool) or not isinstance(src, int) or not 0 <= src < engine.parties:
        raise ConfigError(f"src is {src!r}; it must be a rank from 0 to {engine.parties - 1}")


def shape_of(data: Any) -> Any:
    """What a party that is not the source says about the shape; None where it cannot tell."""
    if isinstance(data, (bool, int, float)):
        return torch.Size(())
    shape = getattr(data, "shape", None)
    if shape is not None:
        return torch.Size(int(size) for size in shape)
    if isinstance(data, (list, tuple)):
        try:
            return torch.Size(np.shape(data))
        except ValueError:
            return None
    return None


def to_tensor(data: Any) -> torch.Tensor:
    """Real numbers in any usual form as a plain contiguous tensor: int64 or floating point.

    Raises TypeError, ShapeError (ragged) or RangeError (integers beyond 64 bits); NaN, Inf and
    large values are left to the encoder.
    """
    if isinstance(data, torch.Tensor):
        return _checked_tensor(data)
    if data is None:
        raise TypeError("data is None at its owner; only the other parties may pass None")
    if isinstance(data, (str, bytes, dict, set)):
        raise TypeError(f"data is of type {type(data).__name__}; it must hold real numbers")
    if hasattr(data, "to_numpy"):
        _check_columns(data)
        return _from_array(data.to_numpy())
    if isinstance(data, (list, tuple)) and any(isinstance(v, torch.Tensor) for v in data):
        return _stacked(data)
    try:
        array = np.asarray(data)
    except OverflowError as error:
        raise RangeError("an integer in data does not fit into 64 bits") from error
    except ValueError as error:
        raise ShapeError(f"data is ragged: all rows must have one length ({error})") from None
    return _from_array(array)


def _checked_tensor(data: torch.Tensor) -> torch.Tensor:
    if isinstance(data, CrypTensor):
        raise TypeError("data is a secret tensor already")
    if data.layout != torch.strided:
        raise TypeError(f"data has layout {data.layout}; it must be dense: call .to_dense()")
    if data.is_meta:
        raise TypeError("data is on device meta and has no values")
    if data.is_quantized:
        raise TypeError("data is quantized; call .dequantize()")
    if data.dtype.is_complex:
        raise TypeError(f"data is of dtype {data.dtype}; it must be real: encrypt .real and .imag")
    data = data.detach().cpu()
    wanted = data.dtype if data.dtype.is_floating_point else torch.int64
    return data.to(torch.float64 if wanted.itemsize < 2 else wanted).contiguous()


def _stacked(data: Any) -> torch.Tensor:
    tensors = [to_tensor(value) for value in data]
    if len({tensor.shape for tensor in tensors}) > 1:
        raise ShapeError("data is ragged: all tensors of the list must have one shape")
    return torch.stack([tensor.double() for tensor in tensors])


def _check_columns(frame: Any) -> None:
    """TypeError naming the columns of a DataFrame that are not numbers."""
    columns: Any = getattr(frame, "dtypes", None)
    if not hasattr(columns, "items"):
        return
    bad = [str(n) for n, d in columns.items() if getattr(d, "kind", "O") not in "biuf"]
    if bad:
        raise TypeError(f"columns {', '.join(bad)} of data are not numbers: encode or drop them")


def _from_array(array: np.ndarray) -> torch.Tensor:
    kind = array.dtype.kind
    if kind in "bi":
        return torch.from_numpy(np.array(array, dtype=np.int64, copy=True, order="C"))
    if kind == "u":
        if array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise RangeError("an integer in data does not fit into 63 bits and a sign")
        return torch.from_numpy(array.astype(np.int64))
    if kind == "f":
        # Native byte order, and no longer than what torch knows.
        return torch.from_numpy(np.array(array, dtype=np.float64, copy=True, order="C"))
    if kind == "c":
        raise TypeError(f"data is complex ({array.dtype}); it must be real")
    if kind == "O" and array.size and all(isinstance(v, int) for v in array.flat):
        raise RangeError("an integer in data does not fit into 64 bits")
    names = {"O": "Python objects", "U": "text", "S": "bytes", "M": "dates", "m": "durations"}
    raise TypeError(f"data holds {names.get(kind, array.dtype)}; it must hold real numbers")


def _refuse_everywhere(engine: Any, src: int) -> None:
    try:
        engine.input(None, src)
    except (Error, TypeError, ValueError):
        pass
