# SPDX-License-Identifier: MIT
"""from_onnx(): a model in the format of ONNX as a torch.nn.Module, by the onnx2torch package."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from torch import nn

from ..errors import ConfigError, FileError, UnsupportedOperation

_IMPORTING = threading.Lock()


def from_onnx(model: Any) -> nn.Module:
    """A torch.nn.Module in eval mode that computes what an ONNX model does; ct.encrypt() takes it.

    model: the path of a file, its bytes, or an onnx.ModelProto; onnx.checker validates it. No code
    of the file is run. Inputs keep the sizes and order that the model declares. Needs the extra
    "onnx", and `pip install --no-deps onnx2torch`. NonMaxSuppression and RoiAlign, which no
    protocol here computes, are not available where torchvision is missing or does not fit torch.

    Raises FileError for a file that cannot be read or is no valid ONNX model, UnsupportedOperation
    naming the operations that onnx2torch does not know, ConfigError where the extra is missing,
    TypeError for an argument of another kind.
    """
    onnx, onnx2torch = _packages()
    proto = _validated(onnx, model)
    try:
        converted: nn.Module = onnx2torch.convert(proto)
    except NotImplementedError as error:
        raise UnsupportedOperation(f"the ONNX model cannot be converted: {error}") from error
    except Exception as error:
        raise FileError(f"the ONNX model cannot be converted: {_reason(error)}") from error
    return converted.eval()


def _packages() -> tuple[ModuleType, ModuleType]:
    try:
        with _IMPORTING, _without_broken_torchvision():
            # The loader of files is no attribute of onnx before it is imported.
            importlib.import_module("onnx.checker")
            return importlib.import_module("onnx"), importlib.import_module("onnx2torch")
    except ImportError as error:
        raise ConfigError(
            f"from_onnx() needs the packages onnx and onnx2torch ({error}); install them with "
            "pip install 'cryptensor[onnx]' and pip install --no-deps onnx2torch"
        ) from error


def _validated(onnx: Any, model: Any) -> Any:
    try:
        if isinstance(model, (str, os.PathLike)):
            # By its path: weights may lie in files beside it.
            onnx.checker.check_model(os.fspath(model))
            return onnx.load(os.fspath(model))
        if isinstance(model, (bytes, bytearray)):
            model = onnx.load_model_from_string(bytes(model))
        if isinstance(model, onnx.ModelProto):
            onnx.checker.check_model(model)
            return model
    except Exception as error:
        name = f"{os.fspath(model)!r}" if isinstance(model, (str, os.PathLike)) else "model"
        raise FileError(f"{name} is no readable, valid ONNX model: {_reason(error)}") from error
    raise TypeError(
        f"model is of type {type(model).__name__}; it must be a path, bytes or an onnx.ModelProto"
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


@contextmanager
def _without_broken_torchvision() -> Iterator[None]:
    """Lets onnx2torch be imported where torchvision is missing or was built for another torch.

    onnx2torch imports torchvision for two operations of object detection alone, but at once. A
    torchvision for CUDA beside a torch for the cpu fails to load its library, and with it this
    import. Then empty modules stand in while onnx2torch is imported; the two operations fail when
    they are called.
    """
    try:
        if importlib.util.find_spec("torchvision") is None:
            raise ImportError("no torchvision")
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError):
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    else:
        yield
        return
    outer, ops = ModuleType("torchvision"), ModuleType("torchvision.ops")
    outer.ops, ops.roi_align = ops, _unavailable  # type: ignore[attr-defined]
    ops.nms = ops.box_convert = _unavailable  # type: ignore[attr-defined]
    sys.modules.update({"torchvision": outer, "torchvision.ops": ops})
    try:
        yield
    finally:
        del sys.modules["torchvision"], sys.modules["torchvision.ops"]


def _unavailable(*args: Any, **kwargs: Any) -> Any:
    raise UnsupportedOperation(
        "NonMaxSuppression and RoiAlign need a torchvision that fits the installed torch"
    )
