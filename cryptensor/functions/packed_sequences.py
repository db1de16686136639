# SPDX-License-Identifier: MIT
"""Packing of padded sequences and back: rows chosen by public places, no communication.

PyTorch's composites, and the gradient of one, write into plain tensors.
"""

from __future__ import annotations

from typing import Any

import torch

from ..aten.indexing import public_index
from ..errors import ShapeError
from ..tensor import FUNCTIONS


def _pack_padded(input: Any, lengths: Any, batch_first: bool) -> tuple[Any, torch.Tensor]:
    """pack_padded_sequence; lengths: public and falling, from 1 to the number of steps."""
    lengths = public_index("pack_padded_sequence by its lengths", lengths)
    steps = input.transpose(0, 1) if batch_first else input
    falling = bool((lengths[1:] <= lengths[:-1]).all())
    if not falling or not lengths.numel() or not 1 <= int(lengths[-1]) <= int(lengths[0]):
        raise ShapeError(f"lengths are {lengths.tolist()}; they must be falling and at least 1")
    if len(lengths) != steps.shape[1] or int(lengths[0]) > steps.shape[0]:
        raise ShapeError(
            f"lengths are {lengths.tolist()}; there must be {steps.shape[1]} of at most "
            f"{steps.shape[0]}"
        )
    present = torch.arange(int(lengths[0]))[:, None] < lengths
    step, row = present.nonzero(as_tuple=True)
    return steps[step, row], present.sum(1)


def _pad_packed(
    data: Any, batch_sizes: torch.Tensor, batch_first: bool, value: float, total: int
) -> tuple[Any, torch.Tensor]:
    """pad_packed_sequence. total: the number of steps of the result where that is more."""
    steps = max(len(batch_sizes), total)
    sizes = torch.cat([batch_sizes, batch_sizes.new_zeros(steps - len(batch_sizes))])
    rows = torch.arange(int(sizes[0]))
    places = (sizes.cumsum(0) - sizes)[:, None] + rows
    present = rows < sizes[:, None]
    # Behind the end of a sequence: the row that is appended.
    padded = torch.cat([data, torch.full_like(data[:1], value)])
    padded = padded[places.masked_fill(~present, data.shape[0])]
    return padded.transpose(0, 1) if batch_first else padded, present.sum(0)


FUNCTIONS[torch._pack_padded_sequence] = _pack_padded
FUNCTIONS[torch._pad_packed_sequence] = _pad_packed
