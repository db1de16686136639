# SPDX-License-Identifier: MIT
"""MPCTensor and its two kinds of sharing, by CrypTen's names."""

from __future__ import annotations

from typing import Any

import torch

from .. import session
from ..errors import ConfigError, ShapeError, UnsupportedOperation
from ..tensor import PUBLIC, SHARED, CrypTensor
from .config import cfg
from .methods import CrypTenMethods
from .ptype import ptype as Ptype
from .randomness import ring_elements
from .refusals import refuse, refused
from .tensor import (
    SharedTensor,
    explicit_shares,
    in_crypten,
    precision_bits,
    shared_form,
    tagged,
)


class FixedPointEncoder:
    """Numbers as multiples of 2^-precision_bits, without the range checks of the engine."""

    def __init__(self, precision_bits: int | None = None) -> None:
        self.precision_bits: int = (
            cfg["encoder.precision_bits"] if precision_bits is None else precision_bits
        )

    @property
    def scale(self) -> int:
        scale: int = 2**self.precision_bits
        return scale

    def encode(self, x: Any) -> torch.Tensor:
        return (torch.as_tensor(x, dtype=torch.float64) * self.scale).round().to(torch.int64)

    def decode(self, tensor: torch.Tensor | None) -> torch.Tensor | None:
        return None if tensor is None else (tensor.double() / self.scale).float()


class MPCTensor(CrypTenMethods, SharedTensor):
    """A secret with CrypTen's methods; see `cryptensor` for how it is made."""

    @classmethod
    def _make(  # type: ignore[override]
        cls, tensor: Any, ptype: Any = None, device: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        chosen = cls.ptype if ptype is None else ptype
        if not isinstance(chosen, Ptype):
            raise ConfigError(f"ptype is {chosen!r}; it must be ptype.arithmetic or ptype.binary")
        if chosen is not cls.ptype:
            cls = chosen.to_tensor()
        return super()._make(tensor, device, *args, **kwargs)

    @in_crypten
    def reveal(self, dst: int | None = None) -> torch.Tensor | None:
        """The opened integers, value * encoder.scale, as in CrypTen: None where rank != dst."""
        opened = CrypTensor.reveal(self, dst)
        if opened is None:
            return None
        return FixedPointEncoder(self._engine.precision).encode(opened)

    def get_plain_text(self, dst: int | None = None) -> torch.Tensor | None:
        """Opens the value to all parties, or to dst alone: None elsewhere. Cost: one round."""
        return CrypTensor.reveal(self, dst)

    @property
    def share(self) -> torch.Tensor:
        """What this party holds of the value: int64; all shares add to value * encoder.scale.

        A copy, as secret as the party's file of save(). Raises UnsupportedOperation for a value
        that one party knows and that was never shared, such as a sum of two of its own weights.
        """
        if self.owner == PUBLIC:
            held = self._secret.export_share()
            return held if self._engine.rank == 0 else torch.zeros_like(held)
        shared = shared_form(self)
        if shared is None:
            raise UnsupportedOperation(
                f"share: the value is known to party {self.owner} and has no shares yet; every "
                "party calls x.to(crypten.mpc.arithmetic) and reads those of the result"
            )
        return shared.export_share()

    @share.setter
    def share(self, value: torch.Tensor) -> None:
        if tuple(value.shape) != tuple(self.shape):
            raise ShapeError(
                f"share has shape {tuple(value.shape)}; it must be {tuple(self.shape)}"
            )
        engine, bits = self._engine, self._secret.fraction_bits
        engine.write(self._secret, engine.import_share(value, bits, SHARED))

    @property
    def encoder(self) -> FixedPointEncoder:
        """The scale of `share`: that of a product until it is rounded is the larger one."""
        return FixedPointEncoder(self._secret.fraction_bits)

    @property
    def _tensor(self) -> Any:
        return self.detach_as(self.ptype.to_tensor())

    def detach_as(self, cls: type) -> Any:
        """The same value and storage as a tensor of another class, without the graph."""
        copied = self.detach()
        copied.__class__ = cls
        return copied

    @staticmethod
    def from_shares(
        share: torch.Tensor,
        precision: int | None = None,
        ptype: Any = Ptype.arithmetic,
        **options: Any,
    ) -> Any:
        """A secret from the shares (int64) that all parties bring; nothing is sent."""
        if ptype is not Ptype.arithmetic:
            refuse("BinarySharedTensor.from_shares")
        return _from_shares(MPCTensor, share, precision)

    @in_crypten
    def to(self, *args: Any, **kwargs: Any) -> Any:
        """to(ptype) shares a value among all parties; otherwise as torch.Tensor.to()."""
        kind = kwargs.get("ptype", args[0] if args else None)
        if not isinstance(kind, Ptype):
            return CrypTensor.to(self, *args, **kwargs)
        shared = explicit_shares(self) if self.owner >= 0 else self.clone()
        shared.__class__ = BinarySharedTensor if kind is Ptype.binary else MPCTensor
        return shared


class ArithmeticSharedTensor(MPCTensor):
    """MPCTensor with the names of CrypTen's lower layer."""

    @classmethod
    def _make(  # type: ignore[override]
        cls,
        tensor: Any = None,
        size: Any = None,
        broadcast_size: bool = False,
        precision: int | None = None,
        src: int = 0,
        device: Any = None,
    ) -> Any:
        return super()._make(
            tensor,
            cls.ptype,
            device,
            size=size,
            broadcast_size=broadcast_size,
            precision=precision,
            src=src,
        )

    @property
    def rank(self) -> int:
        return self._engine.rank

    @staticmethod
    def from_shares(  # type: ignore[override]
        share: torch.Tensor, precision: int | None = None, device: Any = None
    ) -> Any:
        return _from_shares(ArithmeticSharedTensor, share, precision)

    @classmethod
    def PRZS(cls, *size: Any, device: Any = None) -> Any:  # noqa: N802  CrypTen's name
        """A random sharing of zero. Cost: no message."""
        engine: Any = session.current().engine
        zeros = engine.share(engine.public(torch.zeros(_size(size))))
        return tagged(CrypTensor(zeros, engine), cls)

    @classmethod
    def PRSS(cls, *size: Any, device: Any = None) -> Any:  # noqa: N802  CrypTen's name
        """A sharing of a value that no party knows, uniform on the whole ring of 64 bits.

        It has no place in the range of encodable numbers: for masks of a program's own.
        """
        return _from_shares(cls, ring_elements(torch.Size(_size(size))), None)

    @staticmethod
    def reveal_batch(tensor_or_list: Any, dst: int | None = None) -> Any:
        """The opened integers of one tensor, or of each in a list. Cost: a reveal for each."""
        if isinstance(tensor_or_list, CrypTensor):
            return tensor_or_list.reveal(dst)
        return [tensor.reveal(dst) for tensor in tensor_or_list]

    def encode(self, new_encoder: Any) -> Any:
        """The same value; ConfigError for a precision other than the session's."""
        if new_encoder.precision_bits != self._engine.precision:
            raise ConfigError(
                f"precision is {new_encoder.precision_bits}; it must be {self._engine.precision}, "
                "the session's"
            )
        return self.clone()

    def encode_(self, new_encoder: Any) -> Any:
        self.encode(new_encoder)
        return self

    def encode_as(self, other: Any) -> Any:
        return self.clone()

    def encode_as_(self, other: Any) -> Any:
        return self


class BinarySharedTensor(ArithmeticSharedTensor):
    """A tensor that a program has asked to be shared in bits: the same value, shared additively.

    The engine makes bits inside a comparison and nowhere else. So values, comparisons, sums and
    everything that moves elements work; what depends on the bits of the shares is refused.
    """

    ptype = Ptype.binary

    from_shares = staticmethod(refused("BinarySharedTensor.from_shares"))
    PRZS = staticmethod(refused("BinarySharedTensor.PRZS"))
    rshift = refused("BinarySharedTensor.rshift")
    rshift_ = refused("BinarySharedTensor.rshift_")
    __and__ = __or__ = __xor__ = __invert__ = refused("BinarySharedTensor.bits")
    __iand__ = __ior__ = __ixor__ = refused("BinarySharedTensor.bits")

    @property
    def share(self) -> torch.Tensor:
        refuse("BinarySharedTensor.share")

    @share.setter
    def share(self, value: Any) -> None:
        refuse("BinarySharedTensor.share")

    def lshift(self, value: int) -> Any:
        """x * 2^value."""
        return self * 2**value

    def lshift_(self, value: int) -> Any:
        return self.mul_(2**value)


def _from_shares(cls: type, share: torch.Tensor, precision: int | None) -> Any:
    engine: Any = session.current().engine
    secret = engine.import_share(share, precision_bits(engine, precision), SHARED)
    return tagged(CrypTensor(secret, engine), cls)


def _size(size: tuple[Any, ...]) -> tuple[int, ...]:
    nested = len(size) == 1 and isinstance(size[0], (tuple, list, torch.Size))
    return tuple(size[0]) if nested else size
