# SPDX-License-Identifier: MIT
"""What other choices of the user would cost: each is played through, none is guessed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from ..config import NETWORKS
from ..graph import optimize
from ..nn import calibrate
from .counting import Plan
from .layers import Layers


@dataclass(frozen=True, slots=True)
class Alternative:
    """The costs of an inference if `name` were so.

    online_bytes: of all parties together. change: of the seconds, as a part of those now: -0.25 is
    a quarter less. All but name and note are None where it does not apply; the note says why.
    """

    name: str
    rounds: int | None = None
    online_bytes: int | None = None
    dealer_bytes: int | None = None
    seconds: float | None = None
    change: float | None = None
    note: str = ""


def alternatives(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    plan: Plan,
    now: float,
    play: Callable[[nn.Module, Plan], Layers],
) -> Iterator[Alternative]:
    """The choices that would change the cost of the model on these examples.

    now: seconds of the plan itself. play(model, plan): the layers of another one.
    """
    if plan.src is not None:
        yield _played("weights public", model, replace(plan, src=None), now, play)
        unowned = replace(plan, shared_weights=True)
        yield _played("weights shared, no owner", model, unowned, now, play)
    unowned = replace(plan, shared_inputs=True)
    yield _played("inputs shared, no owner", model, unowned, now, play)
    for other in NETWORKS:
        if other != plan.settings.network:
            settings = replace(plan.settings, network=other)
            there = replace(plan, settings=settings)
            yield _played(f"launch(network={other!r})", model, there, now, play)
    if plan.step is not None:
        return  # what follows is for inference

    def declared() -> nn.Module:
        if len(args) != 1 or kwargs:
            raise ValueError("ct.calibrate() takes models of one argument")
        calibrated = copy.deepcopy(model)
        calibrate(calibrated, *args)
        return calibrated

    builds: tuple[tuple[str, Callable[[], nn.Module]], ...] = (
        ("ranges declared, ct.calibrate(model, example)", declared),
        ("ct.optimize(model, example)", lambda: optimize(model, *args, named=kwargs)),
    )
    for title, build in builds:
        try:
            changed = build()
        except Exception as error:  # whatever the model does not allow is the note
            yield Alternative(title, note=f"{error}".partition("\n")[0])
            continue
        yield _played(title, changed, plan, now, play)


def _played(
    name: str, model: nn.Module, plan: Plan, now: float, play: Callable[[nn.Module, Plan], Layers]
) -> Alternative:
    total = play(model, plan).total
    change = total.seconds / now - 1 if now else 0.0
    return Alternative(
        name, total.rounds, sum(total.sent), total.dealer_bytes, total.seconds, change
    )


def elsewhere(name: str, layers: Layers, now: float) -> Alternative:
    """The same inference on another network."""
    total = layers.total
    change = total.seconds / now - 1 if now else 0.0
    name = f"links of {name!r}"
    return Alternative(
        name, total.rounds, sum(total.sent), total.dealer_bytes, total.seconds, change
    )
