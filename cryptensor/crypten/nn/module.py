# SPDX-License-Identifier: MIT
"""Modules of torch.nn with CrypTen's methods: encrypt(), decrypt(), update_parameters()."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ...errors import ConfigError, UnsupportedOperation
from ...nn import encrypt
from ...nn.recurrent import released_weights
from ...tensor import CrypTensor
from ..optim import cut
from ..refusals import refused
from ..shares import MPCTensor
from ..tensor import tagged, torch_semantics, with_shares

if TYPE_CHECKING:
    _Mixed = nn.Module
else:
    _Mixed = object

_NORMS = nn.modules.batchnorm._BatchNorm


class Encryptable(_Mixed):
    """Mixed into a torch.nn.Module before its own class; the methods of CrypTen's modules."""

    SUPPORTS_PLAINTEXT_INPUTS = True
    _encrypted = False
    _folded = False

    from_onnx = staticmethod(refused("Module.from_onnx"))
    cuda = refused("cuda")

    @property
    def encrypted(self) -> bool:
        """True after encrypt(), until decrypt()."""
        return self._encrypted

    def encrypt(self: Any, mode: bool = True, src: int = 0) -> Any:
        """Makes parameters and buffers secrets of party src, in place; returns the module.

        Every party calls it with a module of the same structure. Batch normalisation in eval mode
        is folded into the layer before it: call train() first if you mean to train. Cost and
        errors: those of cryptensor.encrypt(). With mode=False it is decrypt().
        """
        if not mode:
            return self.decrypt()
        if not self._encrypted:
            norms = [m for m in self.modules() if isinstance(m, _NORMS)]
            self._folded = any(not m.training and m.running_mean is not None for m in norms)
            encrypt(self, src, in_place=True)
            for value in [*self.parameters(), *self.buffers()]:
                if isinstance(value, CrypTensor):
                    tagged(with_shares(value), MPCTensor)
            self._mark(True)
        return self

    def decrypt(self: Any) -> Any:
        """Opens every secret of the module to all parties, in place; returns the module.

        Parameters become new ones, as in CrypTen; tied ones stay tied. Cost: one reveal each.
        """
        if self._encrypted:
            opened: dict[int, Any] = {}
            with released_weights(self):
                for module in self.modules():
                    _open_all(module._parameters, opened)
                    _open_all(module._buffers, opened)
            self._mark(False)
        return self

    def _mark(self: Any, encrypted: bool) -> None:
        for module in self.modules():
            if isinstance(module, Encryptable):
                module._encrypted = encrypted

    def train(self: Any, mode: bool = True) -> Any:
        """As torch.nn.Module.train(), and every parameter wants a gradient, or with False none.

        Raises ConfigError where normalisations were folded because the model was encrypted in eval
        mode: they would stay as they are.
        """
        if mode and self._folded and self._encrypted:
            raise ConfigError(
                "the model was encrypted in eval mode, which folded its batch normalisations; it "
                "must be in train mode when encrypt() is called"
            )
        for parameter in self.parameters():
            parameter.requires_grad_(mode)
        return super().train(mode)

    def update_parameters(
        self: Any, learning_rate: float, grad_threshold: float | None = None
    ) -> None:
        """One step of gradient descent: parameter - learning_rate * gradient.

        grad_threshold: gradient elements of a larger magnitude count as 0. CrypTen's default of
        100 guards against errors of its truncation that do not occur here, so there is none.
        Raises ConfigError in eval mode.
        """
        if not self.training:
            raise ConfigError("the module is in eval mode; call train() to update parameters")
        step = torch.optim.SGD(list(self.parameters()), lr=learning_rate)
        if grad_threshold is not None:
            cut(step.param_groups, grad_threshold)
        step.step()

    def register_parameter(self: Any, name: str, param: Any, requires_grad: bool = True) -> None:
        """A new parameter; a plain tensor is made one."""
        if param is not None and not isinstance(param, nn.Parameter):
            param = nn.Parameter(param, requires_grad)
        super().register_parameter(name, param)

    def set_parameter(self: Any, name: str, param: Any) -> None:
        """Another tensor in the place of a parameter of this module (not of its children)."""
        old = self._parameters.get(name)
        if old is None:
            raise ConfigError(f"name is {name!r}; it must be one of {list(self._parameters)}")
        self._parameters[name] = nn.Parameter(param.detach(), old.requires_grad)

    def set_parameter_from_shares(self: Any, name: str, share: Any, **options: Any) -> None:
        """set_parameter() with the shares (int64) that all parties bring."""
        if not self._encrypted:
            raise ConfigError("the module is not encrypted; shares can only replace a secret")
        self.set_parameter(name, MPCTensor.from_shares(share, **options))

    def set_buffer(self: Any, name: str, buffer: Any) -> None:
        if name not in self._buffers:
            raise ConfigError(f"name is {name!r}; it must be one of {list(self._buffers)}")
        self._buffers[name] = buffer

    def register_module(self: Any, name: str, module: nn.Module | None) -> None:
        nn.Module.add_module(self, name, module)


class Module(Encryptable, nn.Module):
    """The base class of CrypTen's programs for models of their own."""


class Converted(Encryptable):
    """A model of from_pytorch(): its forward pass means by every name what PyTorch means."""

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        with torch_semantics():
            result = super().__call__(*args, **kwargs)
        return _results(result)


def from_pytorch(pytorch_model: nn.Module, dummy_input: Any = None) -> Any:
    """A copy of an ordinary model with encrypt(), decrypt() and the other methods of Module.

    It is the model itself, with its modules, names and forward code, not a graph traced from it.
    dummy_input: not looked at. The mode (train or eval) is kept. Raises ConfigError for what is no
    torch.nn.Module.
    """
    if not isinstance(pytorch_model, nn.Module):
        kind = type(pytorch_model).__name__
        raise ConfigError(f"pytorch_model is of type {kind}; it must be a torch.nn.Module")
    model: Any = copy.deepcopy(pytorch_model)
    if not isinstance(model, Encryptable):
        own = type(model)
        model.__class__ = type(own.__name__, (Converted, own), {"__module__": own.__module__})
    return model.train(model.training)


def from_onnx(onnx_string_or_file: Any) -> Any:
    """A model from ONNX (path, bytes or file) with the methods of Module.

    Raises as cryptensor.nn.from_onnx(), which reads it.
    """
    read = _importer()
    if hasattr(onnx_string_or_file, "read"):
        onnx_string_or_file = onnx_string_or_file.read()
    return from_pytorch(read(onnx_string_or_file))


def _importer() -> Callable[..., nn.Module]:
    from ... import nn as modules

    found: Callable[..., nn.Module] | None = getattr(modules, "from_onnx", None)
    if found is None:
        raise UnsupportedOperation("from_onnx: this build has no importer for ONNX models")
    return found


def _results(value: Any) -> Any:
    """CrypTensors in nested outputs of a model with CrypTen's methods."""
    if isinstance(value, dict):
        for item in value.values():
            _results(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            _results(item)
    return tagged(value, MPCTensor)


def _open_all(tensors: dict[str, Any], opened: dict[int, Any]) -> None:
    """Plain tensors in the place of secret ones; `opened` has those that are done, by identity."""
    for name, value in tensors.items():
        if isinstance(value, CrypTensor):
            if id(value) not in opened:
                plain: Any = CrypTensor.reveal(value)
                is_parameter = isinstance(value, nn.Parameter)
                opened[id(value)] = (
                    nn.Parameter(plain, value.requires_grad) if is_parameter else plain
                )
            tensors[name] = opened[id(value)]
