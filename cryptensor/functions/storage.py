# SPDX-License-Identifier: MIT
"""What would reach for the storage that a wrapper does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..tensor import FUNCTIONS, CrypTensor, refuse_leak, set_data


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
