# SPDX-License-Identifier: MIT
"""cost(): rounds, bytes, dealer's work and seconds of each layer, without running the protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from ..config import Settings
from ..errors import ConfigError
from ..tensor import CrypTensor
from .alternatives import Alternative, alternatives, elsewhere
from .counting import Counts, Plan, counted
from .layers import Layers, timed
from .network import NETWORKS, Network, network_of
from .report import CostReport

_PROVIDERS = ("third_party", "stored")


def cost(
    model: nn.Module,
    *examples: Any,
    net: str | Network = "lan",
    kwargs: Mapping[str, Any] | None = None,
    step: Callable[..., Any] | None = None,
    src: int = 0,
    parties: int = 2,
    precision: int = 16,
    truncation: str = "default",
    checked: bool = False,
    network: str = "lan",
    provider: str = "third_party",
    encrypt_model: bool = True,
    secret_integers: bool = False,
    repeated: bool = False,
    compare: bool = True,
) -> CostReport:
    """What encrypt(model) and one inference on inputs like the public examples would cost.

    Each party is played through alone, one after the other in this thread: what it sends goes
    nowhere, and what it would receive is made up. So rounds and bytes are exactly those that
    stats() of a run counts, at every party, in every module, and the time is that of one party on
    a core of its own; the dealer's work is done and timed beside it. The seconds of a layer are
    compute of the busier party + rounds x latency + bytes / bandwidth, and a first inference waits
    for each of the dealer's answers, while a later one has a dealer that runs ahead beside it.

    model, examples, kwargs: the plain module and the arguments of model(...): tensors, or lists,
      tuples and dicts of them. Floating-point tensors count as secret, integers only with
      secret_integers=True. Values are of no matter, but for what the model does with public ones.
    net: "loopback", "lan", "wan" or a Network. step: step(model, *secrets) is run instead of
      model(*secrets), for a training step, say; what it returns is opened.
    src: the party that owns the weights; the inputs are those of the next party.
    encrypt_model: False where the weights stay public.
    parties, precision, truncation, checked, network: as in launch(); `net` is the links' speed.
    provider: "third_party" is a dealer at work; with "stored" all was dealt before.
    repeated: an inference after the first, which opens the masked weights and learns what follows.
    compare: play through other choices, too: public weights, operands without an owner, declared
      ranges, optimize(), other networks.

    The model, the examples and the state of torch's generator are left as they were. Cost: an
    inference without waiting and the dealer's work for each party, two more with repeated=True; and
    all of that about five times with compare=True. Run it where the cores are idle: compute is
    measured. Raises TypeError for what is no module, ConfigError for a bad setting, no example or a
    secret one, and what the model raises on secrets, see check().
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is of type {type(model).__name__}; it must be a torch.nn.Module")
    links = network_of(net)
    if provider not in _PROVIDERS:
        allowed = " or ".join(map(repr, _PROVIDERS))
        raise ConfigError(f"provider is {provider!r}; it must be {allowed}")
    settings = Settings(
        parties=parties,
        precision=precision,
        truncation=truncation,
        checked=checked,
        network=network,
    )
    check_rank(src, parties)
    if step is not None and not callable(step):
        raise ConfigError(f"step is {step!r}; it must be None or a function of the model")
    args, named = examples, dict(kwargs or {})
    check_plain("cost()", model, args, named)
    plan = Plan(
        settings=settings,
        src=src if encrypt_model else None,
        input_src=(src + 1) % parties,
        integers=secret_integers,
        repeated=repeated,
        step=step,
    )

    def play(model: nn.Module, plan: Plan) -> Layers:
        return timed(counts(model, args, named, plan), plan, links, provider == "stored")

    with torch.random.fork_rng(devices=[]):
        found = counts(model, args, named, plan)
        on = partial(timed, found, plan, stored=provider == "stored")
        layers = on(links)
        others: list[Alternative] = []
        if compare:
            now = layers.total.seconds
            others += alternatives(model, args, named, plan, now, play)
            others += [
                elsewhere(name, on(other), now)
                for name, other in NETWORKS.items()
                if other != links
            ]
    return CostReport(
        links,
        parties,
        precision,
        provider,
        repeated,
        layers.rows,
        layers.total,
        layers.setup,
        tuple(others),
    )


def counts(model: nn.Module, args: Any, kwargs: Any, plan: Plan) -> list[Counts]:
    """What the plan costs each party, by rank."""
    return [counted(model, args, kwargs, plan, rank) for rank in range(plan.settings.parties)]


def check_rank(src: int, parties: int) -> None:
    """ConfigError unless src is the rank of a party."""
    if isinstance(src, bool) or not isinstance(src, int) or not 0 <= src < parties:
        raise ConfigError(f"src is {src!r}; it must be a rank from 0 to {parties - 1}")


def check_plain(caller: str, model: nn.Module, args: Any, kwargs: Any) -> None:
    """ConfigError where no tensor is given, or one is a secret already."""
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    if not tensors:
        raise ConfigError(f"{caller} needs an example: the tensors that model(...) takes")
    if any(isinstance(x, CrypTensor) for x in (*tensors, *model.parameters())):
        raise ConfigError(f"{caller} takes the plain model and plain examples, before encryption")
