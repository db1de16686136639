# SPDX-License-Identifier: MIT
"""CrypTensor: a secret tensor that is a torch.Tensor.

A wrapper subclass: PyTorch sees shape, strides and dtype, while the values stay behind a handle of
the engine (`_C.Secret`). Every ATen operation on it is one look-up in OPERATIONS, which
`cryptensor.aten` fills; the few functions that must be caught above dispatch are in FUNCTIONS,
which `cryptensor.functions` fills.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import torch

from . import _C
from .compilation import uncompiled
from .errors import PublicSinkError, SecretLeakError
from .operand_shapes import refuse_misfits

Result = TypeVar("Result")

# Owners that are not a rank.
SHARED = -1
PUBLIC = -2

_CPU = torch.device("cpu")
_new_wrapper = torch.Tensor._make_wrapper_subclass
_below_functions = torch._C.DisableTorchFunctionSubclass


class Operations(dict[Any, Callable[..., Any]]):
    """Handlers by ATen overload; an unknown overload is resolved once and then remembered."""

    resolve: Callable[[Any], Callable[..., Any]]

    def __missing__(self, operation: Any) -> Callable[..., Any]:
        handler = self[operation] = self.resolve(operation)
        return handler


OPERATIONS = Operations()
FUNCTIONS: dict[Any, Callable[..., Any]] = {}


def refuse_leak(action: str) -> NoReturn:
    """Raises SecretLeakError for something that needs the values in the clear."""
    raise SecretLeakError(
        f"{action} needs the values of a secret tensor in the clear. Python control flow, numbers, "
        "arrays, files and printed text cannot depend on a secret: choose with torch.where, or "
        "open the value with .reveal()"
    )


class Memo(dict[Any, tuple[int, Any]]):
    """Results that belong to one value, such as its sign bit: valid for one version of it.

    Autograd saves inputs and outputs through detach(), which keeps the memo, so that a backward
    formula finds what the forward pass has already paid for.
    """

    __slots__ = ()

    def find(self, key: Any, secret: _C.Secret) -> Any:
        entry = self.get(key)
        return entry[1] if entry is not None and entry[0] == secret.version else None

    def keep(self, key: Any, secret: _C.Secret, result: Result) -> Result:
        self[key] = (secret.version, result)
        return result


class CrypTensor(torch.Tensor):
    """A secret (or public-valued) tensor of a session; made by cryptensor(), never by users.

    dtype is what PyTorch's type promotion sees: float32 or float64 for fixed-point numbers, bool
    for the results of comparisons. The handle alone knows how the values are encoded.
    """

    _secret: _C.Secret
    _engine: _C.Engine
    _memo: Memo

    @staticmethod
    def __new__(
        cls,
        secret: _C.Secret,
        engine: _C.Engine,
        dtype: torch.dtype = torch.float32,
        memo: Memo | None = None,
    ) -> CrypTensor:
        self = _new_wrapper(
            cls,
            secret.shape,
            strides=secret.strides,
            storage_offset=secret.storage_offset,
            dtype=dtype,
            device=_CPU,
        )
        self._secret = secret
        self._engine = engine
        self._memo = Memo() if memo is None else memo
        return self

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        # Never Tensor.__torch_function__: it makes CrypTensors without a handle of plain results.
        func = FUNCTIONS.get(func, func)
        try:
            with _below_functions():
                return func(*args, **kwargs) if kwargs else func(*args)
        except RuntimeError as error:
            refuse_misfits(func, (*args, *(kwargs or {}).values()), error)
            raise

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        handler = OPERATIONS[func]
        return handler(*args, **kwargs) if kwargs else handler(*args)

    uncompiled(__torch_function__.__func__)  # type: ignore[attr-defined]
    uncompiled(__torch_dispatch__.__func__)  # type: ignore[attr-defined]

    @property
    def owner(self) -> int:
        """The rank that holds the values in the clear, SHARED (-1) or PUBLIC (-2)."""
        return self._secret.owner

    @property
    def is_public(self) -> bool:
        """True for values that every party knows, such as those of zeros_like(secret)."""
        return self._secret.is_public

    @uncompiled
    def reveal(self, dst: int | None = None) -> torch.Tensor | None:
        """Opens the values: a plain tensor of the same shape and dtype, None where rank != dst.

        dst: the only rank to learn the values; None opens them to all parties.
        Cost: one round, and one truncation where a product is still pending. Raises PolicyError
        where ct.policy() forbids it.
        """
        engine = self._engine
        values = engine.reveal(self._secret, dst)
        if values is None:
            return None
        if not self.dtype.is_floating_point:
            values = values.round()
        return values.to(self.dtype)

    get_plain_text = reveal

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        owner = {SHARED: "shared", PUBLIC: "public"}.get(self.owner, f"party {self.owner}")
        text = (
            f"CrypTensor(shape={tuple(self.shape)}, dtype={self.dtype}, owner={owner}, "
            f"rank={self._engine.rank}, precision={self._engine.precision}"
        )
        if self.grad_fn is not None:
            text += f", grad_fn=<{type(self.grad_fn).__name__}>"
        elif self.requires_grad:
            text += ", requires_grad=True"
        return text + ")"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> CrypTensor:
        if id(self) in memo:
            copied: CrypTensor = memo[id(self)]
            return copied
        if not self.is_leaf:
            raise RuntimeError("only a leaf tensor can be deep-copied; call .detach() first")
        secret = self._secret.rearrange(torch.clone)
        copied = type(self)(secret, self._engine, self.dtype)
        copied.requires_grad_(self.requires_grad)
        if getattr(self, "_is_param", False):
            copied._is_param = True  # isinstance(x, nn.Parameter) reads it
        memo[id(self)] = copied
        if self.grad is not None:
            copied.grad = self.grad.__deepcopy__(memo)
        return copied

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise SecretLeakError(
            "pickling (torch.save, copy between processes) needs the values of a secret tensor in "
            "the clear. cryptensor.save(x, path) writes what each party holds to a file of its own "
            "and keeps x secret; .reveal() opens the value"
        )

    # NumPy then leaves `number * x` to this class instead of asking for an array.
    __array_ufunc__ = None

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse_leak("conversion to a NumPy array")

    def __bool__(self) -> bool:
        return bool(_scalar(self, "bool(x), also `if x:` and `assert x`"))

    def __float__(self) -> float:
        return float(_scalar(self, "float(x)"))

    def __int__(self) -> int:
        return int(_scalar(self, "int(x)"))

    def __complex__(self) -> complex:
        return complex(_scalar(self, "complex(x)"))

    def __index__(self) -> int:
        value = _scalar(self, "use as an index")
        if not float(value).is_integer():
            raise TypeError("only an integer value can be used as an index")
        return int(value)

    def __contains__(self, element: Any) -> NoReturn:
        refuse_leak("`in`")

    def __dlpack__(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse_leak("__dlpack__()")

    def tolist(self) -> NoReturn:
        refuse_leak("tolist()")

    def numpy(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse_leak("numpy()")

    def data_ptr(self) -> NoReturn:
        refuse_leak("data_ptr()")


def _scalar(x: CrypTensor, action: str) -> float | int | bool:
    if not x._secret.is_public:
        refuse_leak(action)
    return public_values(x).item()


def public_values(x: CrypTensor) -> torch.Tensor:
    """The plain tensor behind a CrypTensor of public values; SecretLeakError for a secret."""
    if not x._secret.is_public:
        refuse_leak("reading a value")
    return x._secret.public_value().to(x.dtype)


def set_data(x: Any, value: Any) -> None:
    """`x.data = value`: swaps the wrapper and the handle together."""
    if not isinstance(x, CrypTensor) or not isinstance(value, CrypTensor):
        raise PublicSinkError(
            "x.data = y needs both to be secret or both to be plain: wrap the plain one with "
            "cryptensor(), or use torch.utils.swap_tensors"
        )
    torch.Tensor.data.__set__(x, value)  # type: ignore[attr-defined]
    x._secret, x._engine, x._memo = value._secret, value._engine, value._memo
