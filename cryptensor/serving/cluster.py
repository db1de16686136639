# SPDX-License-Identifier: MIT
"""Ray: the cluster that runs already, or one of our own on this machine."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from typing import Any

from .. import rendezvous
from ..errors import ConfigError

# The least that Ray takes; requests and answers are small.
_OBJECT_STORE_BYTES = 80 * 1024 * 1024


def start() -> tuple[Any, bool]:
    """The module ray, connected; and whether this call started a cluster.

    Ray's ports listen on all interfaces and run what they are sent: a cluster of ours asks
    everybody for a token that only this process and its children know. Raises ConfigError for a
    cluster of several nodes, and where ray was imported before, when it is too late for a token.
    """
    late = "ray" in sys.modules
    if not late:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray's default of 15 leaves a party without processor where others want one.
        os.environ.setdefault("RAY_worker_niceness", "0")
        if not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
            os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise ImportError("ct.serve needs Ray: pip install 'cryptensor[serve]'") from error
    if ray.is_initialized():
        if sum(node["Alive"] for node in ray.nodes()) > 1:
            raise ConfigError(
                "the Ray cluster has several nodes, between which a replica's links would not be "
                "encrypted; it must have one node"
            )
        return ray, False
    if late and os.environ.get("RAY_AUTH_MODE") != "token":
        raise ConfigError(
            "ray was imported before ct.serve started a cluster, without RAY_AUTH_MODE=token: its "
            "ports would run what anybody sends; ct.serve must come before `import ray`, or after "
            "a ray.init() of yours"
        )
    ray.init(
        address="local",
        num_cpus=os.cpu_count(),
        object_store_memory=_OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address=rendezvous.LOOPBACK,
    )
    return ray, True
