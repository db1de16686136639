# SPDX-License-Identifier: MIT
"""What a service takes from a dealer, so that it can be dealt before."""

from __future__ import annotations

from typing import Any

import torch

from .. import nn
from ..offline import Plan, trace
from .party_actor import Roles, one_batch
from .requests import padded

# The first step opens the weights and belongs to the start; the others have to be alike.
_STEPS = 3


def plan_of_service(
    model: torch.nn.Module,
    example: torch.Tensor,
    *,
    max_batch: int = 32,
    model_party: int = 0,
    client_party: int = 1,
    **settings: Any,
) -> Plan:
    """The plan of serve(model, example, pad=True, provider="stored") with the same arguments.

    A step is one batch, whatever it holds: serve() fills it up to max_batch rows. Deal it with
    cryptensor.offline.deal or `cryptensor deal`; a replica uses up at least one lot, and another
    one each time that it starts. `settings` are those of trace(). Values of the model and the
    example are of no matter. Raises what trace() raises.
    """
    batch = padded(example, max_batch)
    return trace(_serve_some, model, batch, Roles(model_party, client_party), **settings)


def _serve_some(model: torch.nn.Module, batch: torch.Tensor, roles: Roles) -> None:
    secret_model = nn.encrypt(model, src=roles.model)
    for _ in range(_STEPS):
        one_batch(secret_model, batch, roles)
