"""Logs: a line of JSON for each request and event, with nothing personal in it."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from typing import Any

_LOG = logging.getLogger("churnml.service")


def log_to_stdout() -> None:
    """Write lines to stdout, whatever BentoML does with its own."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _LOG.handlers, _LOG.propagate = [handler], False
    _LOG.setLevel(logging.INFO)


def event(name: str, **facts: Any) -> None:
    """Log that something happened."""
    at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    _LOG.info(json.dumps({"at": at, "event": name, **facts}, default=str))
