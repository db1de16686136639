# SPDX-License-Identifier: MIT
"""The few PyTorch functions that are caught above dispatch. Importing this package fills the table.

Either the dispatched form asks for more than needed (max_pool with positions), or PyTorch's
gradient would compare again what the forward pass has compared (amax, norm, maximum), or nothing is
dispatched at all (storage accessors, the setter of .data, RMSprop's step).
"""

from . import (
    composed,
    derivatives,
    dropout,
    embedding_bag,
    in_place,
    inverses,
    margin_losses,
    optimizers,
    packed_sequences,
    pooling,
    recurrent,
    selection,
    storage,
)

__all__ = [
    "composed",
    "derivatives",
    "dropout",
    "embedding_bag",
    "in_place",
    "inverses",
    "margin_losses",
    "optimizers",
    "packed_sequences",
    "pooling",
    "recurrent",
    "selection",
    "storage",
]
