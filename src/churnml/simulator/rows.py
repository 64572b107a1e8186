"""Small helpers that make Arrow columns, and decide which version of a row a period writes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churnml.simulator.clock import Array, Period


def ids(prefix: str, numbers: Array, *, digits: int = 8) -> pa.Array:
    """Write numbers as ids, such as ``C00000042``."""
    padded = pc.utf8_lpad(pa.array(numbers, type=pa.int64()).cast(pa.string()), digits, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), padded, "")


def words(names: Sequence[str], positions: Array, *, none: Array | None = None) -> pa.Array:
    """Write positions in a list of names as text; null where ``none``."""
    taken = pa.array(positions.astype(np.int32), mask=none)
    return pa.DictionaryArray.from_arrays(taken, pa.array(names, type=pa.string()))


def money(amounts: Array, *, none: Array | None = None) -> pa.Array:
    """Write amounts in CNY, to the fen; null where ``none``."""
    return pa.array(np.round(amounts, 2), mask=none)


def versions(period: Period, born: Array, *later: Array) -> tuple[Array, Array]:
    """Choose the rows that a period writes: what is new in it, and what became known in it about older rows.

    ``born`` is when each row is first known, in days, ``later`` when more becomes known about it; infinite where
    never. Returns positions, and the ``known_at`` of those that correct an older row, nan for the new ones.
    """
    new = period.holds(born)
    news = np.min([np.where(period.holds(at), at, np.inf) for at in later], axis=0)
    rows = np.flatnonzero(new | ((born < period.begin) & np.isfinite(news)))
    return rows, np.where(new, np.nan, news)[rows]
