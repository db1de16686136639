# SPDX-License-Identifier: MIT
"""`cryptensor cost`: what a model of a Python file would cost as a secret one."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError


def cost(
    target: Annotated[
        str, typer.Argument(help="FILE.py:NAME or MODULE:NAME; NAME() gives (model, example).")
    ],
    net: Annotated[str, typer.Option(help="loopback, lan or wan.")] = "lan",
    latency: Annotated[float | None, typer.Option(help="One way, in seconds.")] = None,
    bandwidth: Annotated[float | None, typer.Option(help="In bytes per second.")] = None,
    parties: Annotated[int, typer.Option(help="Number of computing parties.")] = 2,
    precision: Annotated[int, typer.Option(help="Fraction bits.")] = 16,
    provider: Annotated[str, typer.Option(help="third_party or stored.")] = "third_party",
    repeated: Annotated[bool, typer.Option(help="A later inference, not the first.")] = False,
    public_weights: Annotated[bool, typer.Option(help="Weights that all know.")] = False,
    compare: Annotated[bool, typer.Option(help="Play through other choices, too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Predicts rounds, bytes, the dealer's work and seconds of each layer. Runs the file's code."""
    import torch

    from ..cost import cost as predicted
    from ..cost.network import Network, network_of

    named = network_of(net)
    network = named
    if latency is not None or bandwidth is not None:
        network = Network(
            named.latency if latency is None else latency,
            named.bandwidth if bandwidth is None else bandwidth,
            named.cores,
        )
    model, example = _built(target)
    with torch.no_grad():
        report = predicted(
            model,
            *(example if isinstance(example, tuple) else (example,)),
            net=network,
            parties=parties,
            precision=precision,
            provider=provider,
            encrypt_model=not public_weights,
            repeated=repeated,
            compare=compare,
        )
    print(report.to_json() if as_json else report)


def _built(target: str) -> tuple[Any, Any]:
    """What the callable returns; ConfigError where there is none, or it returns something else."""
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name.isidentifier():
        raise ConfigError(f"target is {target!r}; it must be FILE.py:NAME or MODULE:NAME")
    build = getattr(_module(place), name, None)
    if not callable(build):
        raise ConfigError(f"target is {target!r}; {place} has no function {name}")
    built = build()
    if not isinstance(built, tuple) or len(built) != 2:
        raise ConfigError(
            f"{target} returned {type(built).__name__}; it must return (model, example), where "
            "example is a tensor, or a tuple of the arguments of the model"
        )
    return built


def _module(place: str) -> Any:
    path = Path(place)
    if path.suffix != ".py":
        sys.path.insert(0, "")
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise ConfigError(f"there is no module {error.name}; is the file's name .py?") from None
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    sys.path.insert(0, str(path.parent.resolve()))
    spec = importlib.util.spec_from_file_location(f"_{path.stem}_of_cost", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
