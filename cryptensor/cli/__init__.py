# SPDX-License-Identifier: MIT
"""The command `cryptensor`."""

import sys


def main() -> None:
    """Runs the command line; without its packages it says which extra has them, exit status 1."""
    try:
        from . import application
    except ImportError as error:
        if error.name not in ("rich", "typer"):
            raise
        message = f"cryptensor: the command needs {error.name}: pip install 'cryptensor[cli]'"
        print(message, file=sys.stderr)
        sys.exit(1)
    application.main()


__all__ = ["main"]
