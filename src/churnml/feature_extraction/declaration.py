"""What a feature is declared with, and which measures one pass over a table computes; it needs no engine.

The words of its expressions are in `declare`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from churnml.tables.schema import SCHEMAS, Dtype

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


def _measure_called_value() -> Deferred:
    from ibis import _  # what was declared elsewhere is read without it

    return _.value


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
    formula: Deferred = field(default_factory=_measure_called_value)
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


# What looks further back than this, in a large table, is computed apart: the others then need not read so much.
_FAR = 400

Contexts = Mapping[str, tuple[RowContext, ...]]
Group = tuple[str, str, str, bool]  # table, time column, turn, whether it looks far back


def source_of(feature: Feature, measure: Measure) -> str:
    """Return the table that a measure is taken of."""
    return measure.source or feature.source


def key_of(feature: Feature, measure: Measure) -> str:
    """Return what tells a measure from every other; deferred expressions compare to expressions, so it is text."""
    return f"{source_of(feature, measure)} {measure!r}"


def grouped(features: Sequence[Feature]) -> dict[Group, dict[str, Measure]]:
    """Collect the distinct measures of all features by what one pass over the rows of a table can compute."""
    groups: dict[Group, dict[str, Measure]] = {}
    for feature in features:
        for measure in feature.inputs.values():
            table = source_of(feature, measure)
            far = SCHEMAS[table].large and (measure.window or 0) > _FAR
            group = (table, measure.at or SCHEMAS[table].event, repr(measure.turn), far)
            groups.setdefault(group, {})[key_of(feature, measure)] = measure
    return groups
