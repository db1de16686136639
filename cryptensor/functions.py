# SPDX-License-Identifier: MIT
"""The few PyTorch functions that are caught above dispatch.

Either the dispatched form asks for more than needed (max_pool with positions), or nothing is
dispatched at all (storage accessors, the setter of .data).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .aten import pooling
from .errors import UnsupportedOperation
from .tensor import FUNCTIONS, CrypTensor, refuse_leak, set_data


class _MaxPool(torch.autograd.Function):
    """Keeps the graph honest: the gradient would need the position of each maximum."""

    @staticmethod
    def forward(ctx: Any, x: CrypTensor, *geometry: Any) -> CrypTensor:
        return pooling.max_pool(x, *geometry)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise UnsupportedOperation(
            "the gradient of max_pool has no secure implementation; use AvgPool to train"
        )


def _max_pool(n: int) -> Callable[..., CrypTensor]:
    def max_pool(
        x: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> CrypTensor:
        if return_indices:
            raise UnsupportedOperation(
                f"max_pool{n}d with return_indices=True: positions are secret"
            )
        geometry = (kernel_size, stride, padding, dilation, ceil_mode, n)
        if x.requires_grad and torch.is_grad_enabled():
            return _MaxPool.apply(x, *geometry)
        return pooling.max_pool(x, *geometry)

    return max_pool


for _function, _n in (
    (torch.max_pool1d, 1),
    (torch.max_pool2d, 2),
    (torch.max_pool3d, 3),
    (torch.nn.functional.max_pool1d, 1),
    (torch.nn.functional.max_pool2d, 2),
    (torch.nn.functional.max_pool3d, 3),
):
    FUNCTIONS[_function] = _max_pool(_n)


def _leaking(action: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        refuse_leak(action)

    return function


# A wrapper has no storage: some of these would otherwise read through a null pointer.
for _name in (
    "data_ptr",
    "numpy",
    "pin_memory",
    "set_",
    "share_memory_",
    "storage",
    "to_sparse",
    "tolist",
    "untyped_storage",
    "_typed_storage",
):
    FUNCTIONS[getattr(torch.Tensor, _name)] = _leaking(f"{_name}()")
FUNCTIONS[torch.utils.dlpack.to_dlpack] = _leaking("to_dlpack()")
FUNCTIONS[torch._tensor_str._str] = lambda x, **kwargs: repr(x)
FUNCTIONS[torch.Tensor.data.__set__] = set_data  # type: ignore[attr-defined]

# nn.TransformerEncoder asks this before it looks for overrides; its fast path reads storage.
FUNCTIONS[torch._nested_tensor_from_mask_left_aligned] = lambda x, mask: False


def _collate(batch: list[torch.Tensor], *, collate_fn_map: Any = None) -> torch.Tensor:
    """DataLoader: the default would put the batch into shared memory."""
    return torch.stack(batch)


torch.utils.data._utils.collate.default_collate_fn_map[CrypTensor] = _collate
