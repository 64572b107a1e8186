"""Time as days since the start (midnight, wall-clock), and back to timestamps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churnml.simulator.settings import START

Array = NDArray[Any]
FIRST_DAY = np.datetime64(START, "D")
_FIRST_MONTH = np.datetime64(START, "M")
_FIRST_YEAR_MONTHS = int(START[:4]) * 12 + int(START[5:7]) - 1


def month_start(month: int) -> int:
    """Count the days from the start to the first day of a month (0 is the first month)."""
    return int(((_FIRST_MONTH + month).astype("datetime64[D]") - FIRST_DAY).astype(int))


def month_name(month: int) -> str:
    """Write a month as ``YYYY-MM``."""
    return str(_FIRST_MONTH + month)


def month_of(name: str) -> int:
    """Read a month written as ``YYYY-MM``."""
    year, number = (int(part) for part in name.split("-"))
    return year * 12 + number - 1 - _FIRST_YEAR_MONTHS


def days_of_month(month: int) -> Array:
    """List the days of a month as dates."""
    return FIRST_DAY + np.arange(month_start(month), month_start(month + 1))


def times(days: Array) -> pa.Array:
    """Turn days since the start into timestamps, cut to the second; null where not finite."""
    known = np.isfinite(days)
    seconds = np.floor(np.where(known, days, 0.0) * 86_400 + 1e-6).astype(np.int64)  # 0.1 day is 8640 s
    stamps = FIRST_DAY.astype("datetime64[us]") + seconds * np.timedelta64(1_000_000, "us")
    return pa.array(stamps, type=pa.timestamp("us"), mask=~known)
