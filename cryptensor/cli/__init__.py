# SPDX-License-Identifier: MIT
"""The command `cryptensor`."""

import sys


def main() -> None:
    """Runs the command line, or says what it needs."""
    try:
        from .application import main as run
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.exit("typer is missing: pip install 'cryptensor[cli]'")
    run()


__all__ = ["main"]
