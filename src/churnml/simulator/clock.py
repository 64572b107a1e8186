"""Time as days since the start (midnight, wall-clock), and back to timestamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churnml.simulator.settings import START

Array = NDArray[Any]
FIRST_DAY = np.datetime64(START, "D")
FIRST_MONTH = np.datetime64(START, "M")


def month_start(month: int) -> int:
    """Count the days from the start to the first day of a month (0 is the first month)."""
    return int(((FIRST_MONTH + month).astype("datetime64[D]") - FIRST_DAY).astype(int))


def month_name(month: int) -> str:
    """Write a month as ``YYYY-MM``."""
    return str(FIRST_MONTH + month)


def month_of(name: str) -> int:
    """Read a month written as ``YYYY-MM``."""
    return int((np.datetime64(name, "M") - FIRST_MONTH).astype(int))


def times(days: Array) -> pa.Array:
    """Turn days since the start into timestamps, cut to the second; null where not finite."""
    known = np.isfinite(days)
    seconds = np.floor(np.where(known, days, 0.0) * 86_400 + 1e-6).astype(np.int64)  # 0.1 day is 8640 s
    stamps = FIRST_DAY.astype("datetime64[us]") + seconds * np.timedelta64(1_000_000, "us")
    return pa.array(stamps, type=pa.timestamp("us"), mask=~known)


@dataclass(frozen=True)
class Period:
    """Name a span of months, ``first`` to ``last``, both in it; 0 is the first month of the simulation."""

    first: int
    last: int

    @property
    def name(self) -> str:
        """Write it as ``YYYY-MM_YYYY-MM``."""
        return f"{month_name(self.first)}_{month_name(self.last)}"

    @property
    def begin(self) -> float:
        """Give its begin in days; the first period also holds what was before the start."""
        return month_start(self.first) if self.first else -np.inf

    @property
    def end(self) -> int:
        """Give its end in days, which is not in it."""
        return month_start(self.last + 1)

    def holds(self, at: Array) -> Array:
        """Tell which times, in days, are within it."""
        return (at >= self.begin) & (at < self.end)

    def seen(self, at: Array) -> Array:
        """Give the times that have come by its end, infinite where they have not."""
        return np.where(at < self.end, at, np.inf)
