# SPDX-License-Identifier: MIT
"""`cryptensor dealer`: a dealer that stands apart and serves several sessions."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from ..errors import Error


def dealer(
    listen: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")],
    certificates: Annotated[
        str | None,
        typer.Option(
            envvar="CRYPTENSOR_CERTIFICATES",
            help="Folder with dealer.pem, dealer.key and authority.pem; needed between hosts.",
        ),
    ] = None,
    max_sessions: Annotated[int, typer.Option(help="At the same time; more are refused.")] = 16,
    memory: Annotated[int, typer.Option(help="MiB for the corrections of one session.")] = 2_048,
    insecure_ok: Annotated[
        bool, typer.Option("--insecure-ok", help="No encryption on a network that all trust.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Log lines of JSON to stdout.")] = False,
) -> None:
    """Serves correlated randomness to parties that come with ct.init(dealer="HOST:PORT").

    Each session has keys and a process of its own. SIGTERM and Ctrl-C end all sessions; exit status
    0, or 2 when it cannot start.
    """
    from ..dealer import DealerService
    from ..dealer.events import LOGGER, JsonFormatter

    handler = logging.StreamHandler(sys.stdout if as_json else sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)s dealer: %(message)s")
    handler.setFormatter(JsonFormatter() if as_json else plain)
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    try:
        service = DealerService(
            listen,
            certificates=certificates,
            insecure_ok=insecure_ok,
            max_sessions=max_sessions,
            memory=memory,
        )
    except Error as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    service.serve()
