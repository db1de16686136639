# SPDX-License-Identifier: MIT
"""From a Program back to a module: its operations in the form that the front end takes best."""

from __future__ import annotations

import operator
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from ..tensor import FUNCTIONS
from .calling import Convention
from .program import Program, aten

_NORM = aten._native_batch_norm_legit_no_training.default


class OptimizedModule(nn.Module):
    """The result of optimize(): parameters and buffers under their names, and one flat forward().

    It is called like the model that it was made of, with the arguments of the examples. Raises
    TypeError for other arguments, ShapeError for sizes that it was not captured for.
    """

    def __init__(self, code: str, names: dict[str, Any], convention: Convention) -> None:
        super().__init__()
        self._code, self._names, self.convention = code, names, convention

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        leaves = self.convention.leaves(args, kwargs)
        return self.convention.output(self._function()(self, *leaves))

    def train(self, mode: bool = True) -> OptimizedModule:
        """Changes nothing: the mode is that of the model when it was optimized."""
        return self

    def _function(self) -> Any:
        # Compiled where it is first called: code is neither copied nor sent, its text is.
        found = self.__dict__.get("_compiled")
        if found is None:
            names: dict[str, Any] = {
                name: __import__(value.name, fromlist=["_"])
                if isinstance(value, _ModuleName)
                else value
                for name, value in self._names.items()
            }
            exec(compile(self._code, "<optimized model>", "exec"), names)
            found = self.__dict__["_compiled"] = names["forward"]
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_compiled"}

    @property
    def code(self) -> str:
        """The Python source of the forward pass."""
        return self._code


class _ModuleName:
    """A Python module by its name, which can be pickled."""

    def __init__(self, name: str) -> None:
        self.name = name


def assemble(program: Program) -> OptimizedModule:
    """The module that runs the program; it holds the program's own tensors and layers."""
    program.sweep()
    _raise_batch_norms(program)
    _raise_activations(program)
    _raise_normalize(program)
    _raise_functions(program)
    program.graph.lint()
    source = program.graph.python_code("self")
    names = {
        name: _ModuleName(value.__name__) if isinstance(value, ModuleType) else value
        for name, value in source.globals.items()
    }
    root = OptimizedModule(source.src, names, program.convention)
    root.training = program.origins[""].training
    for name in dict.fromkeys(str(n.target) for n in program.graph.nodes if n.op == "call_module"):
        _put(root, name, program.modules[name])
    read = {str(n.target) for n in program.graph.nodes if n.op == "get_attr"}
    used = {id(program.tensors[name]) for name in read}
    present = {name for name, _ in root.named_parameters(remove_duplicate=False)}
    present |= {name for name, _ in root.named_buffers(remove_duplicate=False)}
    for name, tensor in program.tensors.items():
        # Tied names too: they are no other tensors.
        if id(tensor) in used and name not in present:
            _put(root, name, tensor, program.persistent.get(name))
    return root


def _put(root: nn.Module, name: str, value: Any, persistent: bool | None = None) -> None:
    *parents, last = name.split(".")
    for part in parents:
        if part not in root._modules:
            root.add_module(part, nn.Module())
            root._modules[part].training = root.training  # type: ignore[union-attr]
        root = root._modules[part]  # type: ignore[assignment]
    if isinstance(value, nn.Module):
        root.add_module(last, value)
    elif isinstance(value, nn.Parameter):
        root.register_parameter(last, value)
    elif persistent is not None:
        root.register_buffer(last, value, persistent)
    else:
        setattr(root, last, value)  # a constant of the code: public, as it was there


def _raise_batch_norms(program: Program) -> None:
    """As layers again, whose statistics encrypt() prepares instead of dividing by secrets."""
    for node in program.calls(_NORM):
        name = str(node.args[3].target).rpartition(".")[0]  # type: ignore[union-attr]
        layer = program.origins.get(name)
        if not isinstance(layer, nn.modules.batchnorm._BatchNorm) or layer.training:
            continue
        program.modules[name] = layer
        with program.graph.inserting_before(node):
            call = program.graph.call_module(name, (node.args[0],))
        for user in list(node.users):
            assert user.target is operator.getitem
            user.replace_all_uses_with(call)
            program.graph.erase_node(user)
        program.graph.erase_node(node)
    program.sweep()


def _raise_activations(program: Program) -> None:
    """Each ReLU of a layer as that layer, which calibrate() finds by its name."""
    for node in program.calls(aten.relu.default):
        name = node.meta.get("layer")
        if name is None:
            continue
        layer: Any = program.origins[name]
        layer.inplace = False  # what it reads may be read by others now
        program.modules[name] = layer
        with program.graph.inserting_before(node):
            call = program.graph.call_module(name, (node.args[0],))
        node.replace_all_uses_with(call)
        program.graph.erase_node(node)


def _raise_normalize(program: Program) -> None:
    """x / max(|x|, eps) as F.normalize, which on secrets is one reciprocal root, no division."""
    for node in program.calls(aten.div.Tensor):
        x, chain = node.args[0], node.args[1]
        found = []
        for target in (
            aten.expand.default,
            aten.clamp_min.default,
            aten.linalg_vector_norm.default,
        ):
            if not isinstance(chain, fx.Node) or chain.target is not target:
                break
            found.append(chain)
            chain = chain.args[0]
        if len(found) < 3 or chain is not x or len(found[2].args) != 4 or found[2].kwargs:
            continue
        (_, order, dims, _), eps = found[2].args, found[1].args[1]
        if isinstance(dims, list) and len(dims) == 1:
            node.target, node.args = F.normalize, (x, order, dims[0], eps)
    program.sweep()


def _raise_functions(program: Program) -> None:
    """Operations that the front end catches above dispatch, as the functions that it catches."""
    builtins: Any = torch._C
    for node in program.graph.nodes:
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            continue
        name = node.target._schema.name.partition("::")[2]
        if node.target is aten.sym_size.int:
            node.op, node.target = "call_method", "size"
            continue
        for namespace in (torch, builtins._linalg, builtins._nn, builtins._special):
            function = getattr(namespace, name, None)
            if function is not None and function in FUNCTIONS and not _is_python(function):
                node.target = function
                break


def _is_python(function: Any) -> bool:
    # A function of Python may order its parameters otherwise than the operation of its name.
    return hasattr(function, "__code__")
