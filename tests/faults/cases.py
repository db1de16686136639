# SPDX-License-Identifier: MIT
"""Cases for the fork server, and what is promised of the ranks that survive."""

import os

import pytest

MOMENTS = 5
TIMEOUT = 1.5
SLACK = 2.0
# Promised is 1 s after the cause, and held to where the machine does little else.
_LATE = 1.0 if os.getloadavg()[0] < 2 * os.cpu_count() else 1.0 + SLACK
LOST_SECONDS = _LATE
TIMEOUT_SECONDS = TIMEOUT + _LATE
DEALER = 2

networks = pytest.mark.parametrize("link", ["plain", "encrypted"])
links = pytest.mark.parametrize("link", ["plain", "shared", "encrypted"])


def link_settings(link, folder):
    """Over Gloo, through shared memory, or over TLS with the certificates of the folder."""
    if link == "encrypted":
        return {"certificates": folder}
    return {"transport": "shared_memory" if link == "shared" else "gloo"}


def case_of(link, folder, fault="none", victim=None, moment=-1, **more):
    settings = {"timeout": TIMEOUT, "setup_timeout": 10.0, **link_settings(link, folder)}
    return {
        "size": 3,
        "settings": settings,
        "fault": fault,
        "victim": victim,
        "moment": moment,
        "frames": True,
        **more,
    }


def check_survivors(case, ranks, kinds, seconds):
    """Every other rank has an error of `kinds` in time and ended by itself; gives the errors."""
    struck = ranks[case["victim"]]["struck"]
    errors = []
    for rank, end in enumerate(ranks):
        if rank == case["victim"]:
            continue
        assert end.get("error") in kinds, (case, rank, end)
        assert end["at"] - struck <= seconds, (case, rank, end)
        assert end["status"] == 1, (case, rank, end)
        assert end["ended"] - end["at"] < 1.0 + SLACK, (case, rank, end)
        errors.append(end["error"])
    return errors
