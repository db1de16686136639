# SPDX-License-Identifier: MIT
"""Which reveals a program may make: ct.policy()."""

from __future__ import annotations

from collections.abc import Collection

from .openings import Policy
from .session import current


class policy:  # noqa: N801  used as a function and in `with`
    """Forbids every reveal that it does not name, at once or for a `with` block.

    reveal_to: None allows any destination, a rank or a collection of ranks allows reveals whose
      receivers are all among them, "nobody" allows none. A reveal to all needs all ranks.
    max_reveals: how many reveals may be made from here on; None: any number.
    verdicts: True allows, uncounted, the one-bit verdicts of a session with checked=True as well.

    Called as a statement at the start of a program it holds to the end of the session, and nothing
    can widen it: of several policies, all must allow a reveal. A forbidden one raises PolicyError
    at every party, and nothing of the value has been sent. Values that are public already are no
    matter of a policy. It covers whatever opens: reveal(), get_plain_text(), decrypt(), a function
    with @private_output, the agreement of ct.save() and ct.load(), and the first draw of a common
    coin (dropout), for which ct.manual_seed() can be called before.

    Every party must call it alike. Raises ConfigError for a bad argument, Error without a session.
    Cost: nothing is sent.
    """

    def __init__(
        self,
        reveal_to: int | Collection[int] | str | None = None,
        max_reveals: int | None = None,
        *,
        verdicts: bool = False,
    ) -> None:
        session = current()
        self._openings = session.openings
        self._policy = Policy(session.engine.parties, reveal_to, max_reveals, verdicts)
        self._openings.policies.append(self._policy)

    def __enter__(self) -> policy:
        return self

    def __exit__(self, *exception: object) -> None:
        self._openings.policies.remove(self._policy)
