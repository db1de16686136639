# SPDX-License-Identifier: MIT
"""`python -m cryptensor`: the command, where it is not installed on the path."""

from .cli import main

if __name__ == "__main__":
    main()
