# SPDX-License-Identifier: MIT
"""check(): a model's way through the protocols, told before anything secret is at stake."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map

from .. import _C, session
from ..config import Settings
from ..cost.counting import Plan
from ..cost.inputs import dtype_of, is_secret
from ..cost.layers import timed
from ..cost.modules import followed
from ..cost.network import Network, network_of
from ..cost.prediction import check_plain, check_rank, counts
from ..data import cryptensor
from ..errors import Error
from ..nn import encrypt
from ..nn.batch_norm import absorb
from ..tensor import CrypTensor
from .report import CheckReport, Place, Unsupported
from .trial import Trial

_NOWHERE = Place("", "", "")


def check(
    model: nn.Module,
    *examples: Any,
    kwargs: Mapping[str, Any] | None = None,
    src: int = 0,
    net: str | Network = "lan",
    parties: int = 2,
    precision: int = 16,
    encrypt_model: bool = True,
    secret_integers: bool = False,
) -> CheckReport:
    """What encrypt(model) would meet on inputs like the public examples, without any secret.

    The report lists every operation that would raise, with the line that calls it and what to use
    instead; values of the example that are outside of a function's domain or too large or small to
    hold; and rounds, bytes and seconds of one inference. Control flow that reads a secret goes on
    with the value of the example, so that what comes behind it is found as well.

    examples, kwargs: arguments of model(...): tensors, or lists, tuples and dicts of them.
      Floating-point tensors count as secret, integers only with secret_integers=True.
    src: the party that owns the weights. The inputs are those of the next party.
    net: "loopback", "lan", "wan" or a Network. encrypt_model: False where the weights stay public.

    The forward pass is checked as it would run now: in the mode of model.training and of
    torch.is_grad_enabled(); a backward pass is not. rounds and bytes are exact for a first
    inference, which opens the masked weights; seconds as cost() predicts them, which also tells
    what would change them. The state of torch's generator is left as it was. The report holds
    values of the examples.

    Cost: two forward passes in this thread, and one for each party.
    Raises TypeError for what is no module, ConfigError for a bad setting or no example, and what
    the model itself raises on the plain examples.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is of type {type(model).__name__}; it must be a torch.nn.Module")
    network = network_of(net)
    settings = Settings(parties=parties, precision=precision)
    check_rank(src, parties)
    named = dict(kwargs or {})
    check_plain("check()", model, examples, named)

    with torch.random.fork_rng(devices=[]):
        trial = _tried(model, examples, named, settings, encrypt_model, secret_integers)
        report = partial(CheckReport, network, parties, precision, risks=trial.ranges.risks)
        unsupported = trial.unsupported
        if unsupported:
            return report(unsupported, no_cost="there are unsupported operations")
        plan = Plan(
            settings=settings,
            src=src if encrypt_model else None,
            input_src=(src + 1) % parties,
            integers=secret_integers,
        )
        try:
            found = counts(model, examples, named, plan)
        except Exception as error:
            failed = Unsupported(type(error).__name__, _NOWHERE, str(error))
            return report((failed,), no_cost="the protocol failed on the example")
    layers = timed(found, plan, network, stored=False)
    return report((), layers=layers.rows, total=layers.total, setup=layers.setup)


def _tried(
    model: nn.Module,
    args: Any,
    kwargs: Any,
    settings: Settings,
    encrypt_model: bool,
    integers: bool,
) -> Trial:
    """The trial of a copy of the model."""
    engine: Any = _C.plaintext_engine(precision=settings.precision)
    trial = Trial(engine)
    session.push(session.Session(engine, settings))
    try:
        tried = copy.deepcopy(model)
        # A real run gets no further than a parameter or an input that has no encoding.
        try:
            if encrypt_model:
                _encrypt(tried, trial)
        except (Error, TypeError) as error:
            trial.refuse("cryptensor.encrypt", error, _NOWHERE)
            return trial
        try:
            probes = tree_map(partial(_probed, trial=trial, integers=integers), (args, kwargs))
        except (Error, TypeError) as error:
            trial.refuse("cryptensor.cryptensor", error, _NOWHERE)
            return trial
        stopped: Exception | None = None
        with followed(tried, trial.enter, trial.leave):
            try:
                trial.run(tried, *probes)
            except Exception as error:
                stopped = error
        if stopped is not None:
            # Raises where the fault is the model's own.
            copy.deepcopy(model)(*copy.deepcopy(args), **copy.deepcopy(kwargs))
            trial.refuse(type(stopped).__name__, stopped, _place_of(stopped))
    finally:
        session.pop()
    return trial


def _encrypt(model: nn.Module, trial: Trial) -> None:
    """Makes the parameters probes, beside the values of the plain model with folded norms."""
    plan = absorb(model, compute=True)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    plain = {}
    for name, tensor in tensors.items():
        exact = plan.exact.get(id(tensor))
        plain[name] = tensor.detach().clone() if exact is None else exact.to(tensor.dtype)
        tensor.detach().copy_(plain[name])
        if id(tensor) not in plan.constants:
            trial.ranges.value("parameter", plain[name], Place("", "", name))
    encrypt(model, in_place=True)
    for name, tensor in tensors.items():
        if isinstance(tensor, CrypTensor):
            trial.adopt(tensor, plain[name])


def _probed(x: Any, trial: Trial, integers: bool) -> Any:
    if not is_secret(x, integers):
        return copy.deepcopy(x)
    trial.ranges.value("input", x, _NOWHERE)
    secret = cryptensor(x, dtype=dtype_of(x))
    return trial.adopt(secret, x.detach().to(secret.dtype).clone())


def _place_of(error: Exception) -> Place:
    """The innermost line of the user's on the way to the error."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = (str(Path(__file__).parents[1]), str(Path(torch.__file__).parent))
    frame = next((f for f in reversed(frames) if not f.filename.startswith(ours)), frames[-1])
    return Place(f"{frame.filename}:{frame.lineno}", frame.line or "", "")
