"""The words in which features are declared; engines compile them and know no feature by name.

Values and conditions are ibis deferred expressions over the columns of a row (``_.amount``), written with methods only,
so that they can be resolved against any object that has them. A formula is one over the measures of a feature, the
columns of the customer's own row in ``customers``, and ``_.as_of_day``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import ibis
from ibis import _
from ibis.common.deferred import deferrable

from churnml.tables.schema import Dtype, Kind

Deferred = Any
NOTHING = 1e-6
Theme = Literal[
    "usage", "network", "price", "payment", "service", "satisfaction", "contract", "tenure", "contact", "value",
    "profile",
]  # fmt: skip
Worse = Literal["higher", "lower"]
How = Literal["sum", "count", "min", "max", "days", "last", "distinct"]


@dataclass(frozen=True)
class Turn:
    """The day on which something last happened to a customer: rows are looked at before and after it.

    Attributes
    ----------
    source : str
        The table of what happened.
    window : int
        Days before T in which it counts.
    where : deferred, optional
        Which of its rows count.
    """

    source: str
    window: int
    where: Deferred = None


@dataclass(frozen=True)
class Measure:
    """What is taken together over the rows of one customer.

    Attributes
    ----------
    how : {"sum", "count", "min", "max", "days", "last", "distinct"}
        ``count`` counts rows, or values that are not null where a value is given, and is null where the window holds
        no row at all; ``days`` counts distinct days and ``distinct`` distinct values, null where there are none;
        ``last`` takes the value of the latest row, the lowest of several at one instant.
    value : deferred, optional
        What is taken of a row; nulls are left out.
    where : deferred, optional
        Which rows count.
    at : str, optional
        The time column that the window looks at; the table's event time by default.
    window : int, optional
        Days before T; without it everything before T.
    until : int
        Days before T at which the window ends: ``[T - window, T - until)``.
    source : str, optional
        The table, where it is another than the feature's.
    turn : Turn, optional
        The window is one around the start of this day in place of T, and all of it lies before T.
    after : bool
        Whether the window begins at the turn; it ends there otherwise.
    """

    how: How
    value: Deferred = None
    where: Deferred = None
    at: str | None = None
    window: int | None = None
    until: int = 0
    source: str | None = None
    turn: Turn | None = None
    after: bool = False


@dataclass(frozen=True)
class RowContext:
    """A column that a row gets from other rows of its customer.

    Attributes
    ----------
    name : str
        Its name.
    how : {"rank", "previous"}
        ``rank`` numbers the customer's rows from 0 in the order of ``by``; ``previous`` looks at the rows that lie
        strictly earlier, and of these at the latest.
    by : str
        A time column.
    same : tuple of str
        Only rows that share these (not null) are looked at.
    source : str, optional
        The table to look at, where it is another; its event time counts.
    value : str, optional
        What ``previous`` takes of the latest rows: the lowest of this column; ``by`` itself by default.
    """

    name: str
    how: Literal["rank", "previous"]
    by: str
    same: tuple[str, ...] = ()
    source: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class Pool:
    """A rate of everyone who shares something, shrunk towards that of everyone (empirical Bayes; Efron, Morris, 1975).

    The rate of a group is ``(sum of numerators + weight x rate of all) / (sum of denominators + weight)``. It is frozen
    as of each date: a small table by which one customer alone can be looked up.

    Attributes
    ----------
    by : deferred
        What makes the groups; null is a group without a rate of its own, as are values not seen.
    numerator, denominator : deferred
        Over the feature's inputs, as a formula is; null counts as 0.
    weight : float
        How much of the whole goes into each group, in units of the denominator.
    everyone : {"at_risk", "lately"}
        Over whom: the customers at risk at T, or all who were customers at some time of the 90 days before T.
    attribute : str, optional
        The attribute of ``customers`` that makes the groups, where it is one.
    """

    by: Deferred
    numerator: Deferred
    denominator: Deferred
    weight: float
    everyone: Literal["at_risk", "lately"] = "at_risk"
    attribute: str | None = None


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
    phrase_negative_en, phrase_negative_zh : str
        How a value below 0 is told, with ``{}`` for the value without its sign: "contract ran out {} days ago".
    phrase_nothing_en, phrase_nothing_zh : str
        How it is told that there is nothing: "no contract". With ``worse``, nothing is a reason only with these words.
    worse : {"higher", "lower"}, optional
        The side on which a value points to leaving, where that is beyond doubt: on the other it is told as no reason.
    theme : str
        What it speaks of: features of one theme give one reason.
    pool : Pool, optional
        Where the value is one of a group of customers.
    frequent : int, optional
        Of text: the most frequent values of everyone at risk stay, as many as this; the others become ``other``.
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
    pool: Pool | None = None
    frequent: int | None = None
    phrase_negative_en: str = ""
    phrase_negative_zh: str = ""
    phrase_nothing_en: str = ""
    phrase_nothing_zh: str = ""
    worse: Worse | None = None


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
