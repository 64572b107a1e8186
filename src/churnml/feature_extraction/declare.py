"""The words in which features are declared; engines compile them and know no feature by name.

Values and conditions are ibis deferred expressions over the columns of a row (``_.amount``), written with methods only,
so that they can be resolved against any object that has them. A formula is one over the measures of a feature, the
columns of the customer's own row in ``customers``, and ``_.as_of_day``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ibis import _

from churnml.tables.schema import Dtype, Kind

Deferred = Any
Theme = Literal["usage", "network", "price", "payment", "service", "satisfaction", "contract", "tenure", "profile"]
How = Literal["sum", "count", "min", "max", "days", "last"]


@dataclass(frozen=True)
class Measure:
    """What is taken together over the rows of one customer.

    Attributes
    ----------
    how : {"sum", "count", "min", "max", "days", "last"}
        ``count`` counts rows, or values that are not null where a value is given; ``days`` counts distinct days;
        ``last`` takes the value of the latest row, the lowest of several at one instant.
    value : deferred, optional
        What is taken of a row; nulls are left out.
    where : deferred, optional
        Which rows count.
    at : str, optional
        The time column that the window looks at; the table's event time by default.
    window : int, optional
        Days before T; without it everything before T.
    """

    how: How
    value: Deferred = None
    where: Deferred = None
    at: str | None = None
    window: int | None = None


@dataclass(frozen=True)
class RowContext:
    """A column that a row gets from the other rows of its customer.

    Attributes
    ----------
    name : str
        Its name.
    how : {"rank", "previous"}
        ``rank`` numbers the customer's rows from 0 in the order of ``by``; ``previous`` is the latest ``by`` that lies
        strictly earlier.
    by : str
        A time column.
    same : tuple of str
        Only rows that share these (not null) are looked at.
    """

    name: str
    how: Literal["rank", "previous"]
    by: str
    same: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feature:
    """One feature: how it is computed, and what people read of it.

    Attributes
    ----------
    name : str
        The panel's column.
    source : str
        The table that it is made of.
    inputs : mapping of Measure
        What the formula is made of, by the names it uses.
    formula : deferred
        The value; by default the measure called ``value``.
    empty : float, optional
        The value where the formula gives none; null by default.
    dtype : str
        Type of the column.
    window : int, optional
        Days before T that it looks at; None where there is no window.
    column : str, optional
        The operator's own column that it is made of, where it is one.
    unit : str
        What it is counted in.
    meaning : str
        Its definition in one sentence.
    phrase_en, phrase_zh : str
        What a retention team calls it.
    theme : str
        What it speaks of: features of one theme give one reason.
    """

    name: str
    source: str
    inputs: Mapping[str, Measure]
    unit: str
    meaning: str
    phrase_en: str
    phrase_zh: str
    theme: Theme
    formula: Deferred = field(default_factory=lambda: _.value)
    empty: float | None = None
    dtype: Dtype = "float64"
    window: int | None = None
    column: str | None = None


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
    currency : str
        The unit of money.
    """

    windows: tuple[int, ...]
    measures: tuple[str, ...]
    attributes: Mapping[str, Kind]
    currency: str = ""


def day_of(time: Deferred) -> Deferred:
    """Return the day of a time as a number, so that days can be told apart by subtraction."""
    return time.date().epoch_days()


def microseconds(start: Deferred, end: Deferred) -> Deferred:
    """Return the microseconds of wall-clock time from one time to another."""
    return end.delta(start, unit="microsecond")


def mean(value: Deferred, window: int | None, where: Deferred = None) -> dict[str, Measure]:
    """Return the inputs of a mean of the values that are not null; its formula is `MEAN`."""
    return {
        "total": Measure("sum", value, where, window=window),
        "n": Measure("count", value, where, window=window),
    }


MEAN = _.total / _.n.nullif(0)
