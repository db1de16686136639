# SPDX-License-Identifier: MIT
"""How launch sends work to the processes that it starts, and results come back."""

from __future__ import annotations

import pickle


def dumps(value: object) -> bytes:
    """By cloudpickle; without it by pickle, for what the parties can import.

    Raises ImportError for what only cloudpickle takes, where it is missing.
    """
    try:
        import cloudpickle
    except ImportError:
        cloudpickle = None
    if cloudpickle is not None:
        return bytes(cloudpickle.dumps(value))
    try:
        content = pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise _missing(str(error)) from error
    # By its name alone, and a party's main module is another one.
    if b"__main__" in content:
        raise _missing("something of the module __main__ is sent to the parties")
    return content


def _missing(reason: str) -> ImportError:
    return ImportError(
        "ct.launch needs cloudpickle for closures, lambdas and what the main program defines "
        f"({reason}): pip install 'cryptensor[launch]'"
    )
