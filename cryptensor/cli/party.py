# SPDX-License-Identifier: MIT
"""`cryptensor party`: one rank of a session between hosts."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..hosts import HostConfig


def party(
    config: Annotated[Path, typer.Option(help="The TOML file of this host.")],
    program: Annotated[
        Path | None, typer.Argument(help="A script that calls ct.init(); none for the dealer.")
    ] = None,
    arguments: Annotated[list[str] | None, typer.Argument(help="What the program gets.")] = None,
    rank: Annotated[int | None, typer.Option(help="This rank instead of the file's.")] = None,
    dealer: Annotated[bool, typer.Option("--dealer", help="Run the dealer instead.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether this host could start.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print --check as JSON.")] = False,
) -> None:
    """Runs a program at this host's rank, or the dealer. Options come before the program.

    Exit status: 0 all went well, 1 the program failed, 2 configuration, 3 a peer was lost or did
    not come, 4 a rank could not prove who it is.
    """
    from .. import hosts

    # typer's hook shows the values of variables; a program of the user's may hold secrets in them.
    sys.excepthook = sys.__excepthook__
    try:
        chosen = hosts.read(config, rank, dealer)
        if check:
            status = _inspect(chosen, program, as_json)
        else:
            status = hosts.run(chosen, program, arguments or [])
    except ConfigError as error:
        print(f"ConfigError: {error}", file=sys.stderr)
        status = hosts.status_of(error)
    sys.stdout.flush()
    sys.stderr.flush()
    if status:
        # A thread of Gloo may wait for peers that will never answer: no orderly exit.
        os._exit(status)


def _inspect(chosen: HostConfig, program: Path | None, as_json: bool) -> int:
    from .. import hosts

    findings = hosts.inspect(chosen, program)
    status = next((finding.status for finding in findings if finding.status), 0)
    if as_json:
        rows = [
            {"about": row.about, "ok": not row.status, "status": row.status, "text": row.text}
            for row in findings
        ]
        print(json.dumps({"status": status, "findings": rows}))
        return status
    for finding in findings:
        print(f"{'FAULT' if finding.status else 'ok':5}  {finding.about}: {finding.text}")
    return status
