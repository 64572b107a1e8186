"""Logs: a line of JSON on stdout for each request and event, with nothing personal in it."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
from typing import Any

_encoded = json.JSONEncoder(default=str).encode


def event(name: str, **facts: Any) -> None:
    """Log that something happened; a log that cannot be written stops nothing.

    Written at once and without `logging`, which takes as long as a score.
    """
    at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(_encoded({"at": at, "event": name, **facts}) + "\n")
        sys.stdout.flush()
