# SPDX-License-Identifier: MIT
"""What the service tells of itself, by logging: one record an event, never a secret."""

from __future__ import annotations

import json
import logging

LOGGER = logging.getLogger("cryptensor.dealer")


def tell(event: str, level: int = logging.INFO, **fields: object) -> None:
    """Logs an event. The record has `event`, a dictionary with its name and fields."""
    text = " ".join([event, *(f"{name}={value}" for name, value in fields.items())])
    LOGGER.log(level, "%s", text, extra={"event": {"event": event, **fields}})


class JsonFormatter(logging.Formatter):
    """A line of JSON for each event, with its time in seconds since 1970."""

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", {"event": "message", "text": record.getMessage()})
        return json.dumps({"time": round(record.created, 3), **event})


def one_line(error: BaseException) -> str:
    """An error as a field of an event."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]
