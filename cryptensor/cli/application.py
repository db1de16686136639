# SPDX-License-Identifier: MIT
"""What the command line knows: one function a command, and how an error ends the program."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import Error
from .bench import bench
from .cost import cost
from .deal import deal
from .dealer import dealer
from .demo import demo
from .inspect import inspect
from .party import party
from .selftest import selftest

# pretty_exceptions_show_locals would print what a program holds, secrets perhaps.
application = typer.Typer(
    help="Secure multi-party computation on PyTorch tensors.",
    epilog="Every command has --json. Exit status: 0 all went well, 1 an error or a failed check, "
    "2 bad usage; `party` and `dealer` have more, see their --help.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
_EXTRA_OF = {"rich": "cli", "sklearn": "examples"}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

application.command(context_settings={"allow_interspersed_args": False})(party)


@application.callback()
def cryptensor() -> None:
    """Secure multi-party computation on PyTorch tensors."""


@application.command()
def cert(
    folder: Annotated[Path, typer.Argument(help="Where the files go; made if it is missing.")],
    parties: Annotated[int, typer.Option(help="Number of computing parties.")] = 2,
    days: Annotated[int, typer.Option(help="How long the certificates are good.")] = 365,
    as_json: AsJson = False,
) -> None:
    """Makes a test authority, and a certificate and a key for each party and the dealer."""
    from ..links import make_certificates

    files = [str(file) for file in make_certificates(folder, parties, days)]
    if as_json:
        print(json.dumps({"files": files}))
        return
    for file in files:
        print(file)
    print(
        "\nGive every host authority.pem and its own .pem and .key, nothing else, and the folder\n"
        "that holds them to ct.init(certificates=...) or CRYPTENSOR_CERTIFICATES.\n"
        "Whoever has authority.key can pretend to be any party."
    )


application.command()(demo)
application.command()(selftest)
application.command()(bench)
application.command()(inspect)
application.command()(cost)
application.command()(dealer)
application.command()(deal)


def main() -> None:
    """Runs the command line.

    Exit status 1 and one line of text for an error of the library or a package that is missing.
    """
    try:
        application()
    except Error as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA_OF:
            raise
        print(
            f"{package} is missing: pip install 'cryptensor[{_EXTRA_OF[package]}]'", file=sys.stderr
        )
        sys.exit(1)
