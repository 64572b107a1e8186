"""Small helpers that make Arrow columns, and decide which version of a row a period writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churnml.simulator.clock import Array


def ids(prefix: str, numbers: Array, *, digits: int = 8) -> pa.Array:
    """Write numbers as ids, such as ``C00000042``."""
    padded = pc.utf8_lpad(pa.array(numbers, type=pa.int64()).cast(pa.string()), digits, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), padded, "")


def words(names: Sequence[str], positions: Array, *, none: Array | None = None) -> pa.Array:
    """Write positions in a list of names as text; null where ``none``."""
    taken = pa.array(positions.astype(np.int32), mask=none)
    return pa.DictionaryArray.from_arrays(taken, pa.array(list(names), type=pa.string()))


def texts(values: Iterable[object]) -> pa.Array:
    """Write texts; an empty one is null."""
    return pa.array([str(value) if value else None for value in values], type=pa.string())


def money(amounts: Array, *, none: Array | None = None) -> pa.Array:
    """Write amounts in CNY, to the fen; null where ``none``."""
    return pa.array(np.round(amounts, 2), mask=none)


def versions(born: Array, later: Sequence[Array], begin: float, end: float) -> tuple[Array, Array]:
    """Choose the rows that a period writes: what is new in it, and what became known in it about older rows.

    Parameters
    ----------
    born : array
        When each row is first known, in days; infinite where never.
    later : sequence of arrays
        When more becomes known about it.
    begin, end : float
        The period, half-open.

    Returns
    -------
    rows, known_at : arrays
        Positions, and the ``known_at`` in days of those that correct an older row, nan for the new ones.
    """
    new = np.flatnonzero((born >= begin) & (born < end))
    news = np.full(born.shape, np.inf)
    for at in later:
        news = np.minimum(news, np.where((at >= begin) & (at < end), at, np.inf))
    corrected = np.flatnonzero((born < begin) & np.isfinite(news))
    return np.concatenate([new, corrected]), np.concatenate([np.full(len(new), np.nan), news[corrected]])


def not_yet(at: Array, end: float) -> Array:
    """Give the times before the period's end, infinite where they come later."""
    return np.where(at < end, at, np.inf)
