# SPDX-License-Identifier: MIT
"""`%load_ext cryptensor.notebook`: cells that every party runs, in processes that keep their state.

%%parties 2
import cryptensor as ct
ct.cryptensor([1.0, 2.0], src=0)
"""

from __future__ import annotations

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Registers %%parties; IPython calls this for %load_ext."""
    from .magic import PartiesMagic

    shell.register_magics(PartiesMagic(shell))


def unload_ipython_extension(shell: Any) -> None:
    """Ends the parties; IPython calls this for %unload_ext."""
    from .magic import end_session

    end_session()
