"""The words in which features are declared; engines compile them and know no feature by name.

Values and conditions are ibis deferred expressions over the columns of a row (``_.amount``), written with methods only,
so that they can be resolved against any object that has them. A formula is one over the measures of a feature, the
columns of the customer's own row in ``customers``, and ``_.as_of_day``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ibis
from ibis import _
from ibis.common.deferred import deferrable

from churnml.feature_extraction.declaration import (
    NOTHING,
    Deferred,
    Feature,
    How,
    Measure,
    Pool,
    RowContext,
    Theme,
    Turn,
    Worse,
)
from churnml.tables.schema import Kind

__all__ = [
    "MEAN", "NOTHING", "Deferred", "Feature", "How", "Layout", "Measure", "Pool", "RowContext", "Theme", "Turn",
    "Worse", "day_of", "each_period", "greatest", "in_a_row", "least", "mean", "microseconds", "periods", "share",
]  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """What the declarations depend on: the operator's own columns and windows.

    Attributes
    ----------
    windows : tuple of int
        Days, ascending.
    measures : tuple of str
        The numeric columns of ``usage``.
    attributes : mapping of str
        The attributes of ``customers``, with their kind.
    tables : frozenset of str
        The tables that are there.
    currency : str
        The unit of money.
    margin_rate : float
        The share of what is billed that stays.
    """

    windows: tuple[int, ...]
    measures: tuple[str, ...]
    attributes: Mapping[str, Kind]
    tables: frozenset[str] = frozenset()
    currency: str = ""
    margin_rate: float = 1.0

    def has(self, *tables: str) -> bool:
        """Tell whether all of some tables are there."""
        return set(tables) <= self.tables

    @property
    def money(self) -> str:
        """Return what to call the unit of money."""
        return self.currency or "money"


def day_of(time: Deferred) -> Deferred:
    """Return the day of a time as a number, so that days can be told apart by subtraction."""
    return time.date().epoch_days()


def microseconds(start: Deferred, end: Deferred) -> Deferred:
    """Return the microseconds of wall-clock time from one time to another."""
    return end.delta(start, unit="microsecond")


def mean(value: Deferred, window: int | None, where: Deferred = None, at: str | None = None) -> dict[str, Measure]:
    """Return the inputs of a mean of the values that are not null; its formula is `MEAN`."""
    return {
        "total": Measure("sum", value, where, at, window),
        "n": Measure("count", value, where, at, window),
    }


MEAN = _.total / _.n.nullif(0)


def periods(measure: Measure, days: int, count: int) -> dict[str, Measure]:
    """Return one measure for each of some periods of so many days, the latest first: ``p0``, ``p1``, ..."""
    return {f"p{number}": replace(measure, window=(number + 1) * days, until=number * days) for number in range(count)}


def each_period(count: int) -> list[Deferred]:
    """Return the values of `periods` for formulas; a period without rows is 0."""
    return [_[f"p{number}"].fill_null(0) for number in range(count)]


@deferrable  # type: ignore[untyped-decorator]
def greatest(first: Any, *others: Any) -> Any:
    """Return the greatest of values that are not null."""
    return getattr(first, "greatest", partial(ibis.greatest, first))(*others)


@deferrable  # type: ignore[untyped-decorator]
def least(first: Any, *others: Any) -> Any:
    """Return the least of values that are not null."""
    return getattr(first, "least", partial(ibis.least, first))(*others)


def in_a_row(conditions: Sequence[Deferred]) -> Deferred:
    """Return how many conditions hold one after another, from the first on."""
    count: Deferred = 0
    for condition in reversed(conditions):
        count = condition.fill_null(False).ifelse(1 + count, 0)
    return count


def share(part: Deferred, whole: Deferred) -> Deferred:
    """Return a part of a whole, null unless the whole is over 1e-6."""
    return (whole > NOTHING).ifelse(part.fill_null(0) / whole, None)
