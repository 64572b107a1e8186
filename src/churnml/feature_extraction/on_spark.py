"""The Spark engine: the same declarations, compiled to Spark's SQL once, and run date after date on the executors."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from churnml.asof import start_of
from churnml.feature_extraction.declaration import Contexts, Feature
from churnml.feature_extraction.engine import extract, sums_of_groups
from churnml.feature_extraction.frozen import Frozen
from churnml.tables.spark import SparkHistories

_FROZEN = "feature STRING, key STRING, value DOUBLE"
_T = "CHURNML_AS_OF_INSTANT()"


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def churnml_as_of_instant() -> dt.datetime:  # type: ignore[empty-body]
    """Return T: no function of Spark's, but where the date is written into what was compiled once for every date."""


class OnSpark:
    """Features of everyone at risk, by Spark.

    Parameters
    ----------
    histories : SparkHistories
        The operator's tables.
    features : sequence of Feature
        What to compute.
    contexts : mapping of tuple of RowContext
        Columns that rows of a table get from other rows, by table.
    """

    def __init__(self, histories: SparkHistories, features: Sequence[Feature], contexts: Contexts) -> None:
        self._histories, self._features, self._contexts = histories, list(features), contexts
        self._compiled: tuple[str, str | None] | None = None

    def at(self, as_of: dt.date, populations: Mapping[str, ir.Table]) -> tuple[Any, Frozen]:
        """Return the features as of a date, good until the next call, and what was frozen.

        Parameters
        ----------
        as_of : datetime.date
            T.
        populations : mapping of ibis Table
            Customers by the names that `Pool.everyone` has; ``at_risk`` are those whom features are computed for.

        Returns
        -------
        rows : pyspark.sql.DataFrame
            ``customer_id``, ``as_of`` and the features.
        frozen : Frozen
            What was looked up of everyone: the one thing that comes to the driver, as many rows as there are groups.
        """
        histories = self._histories
        tables = {name: histories.keep(f"population_{name}", rows) for name, rows in populations.items()}
        if self._compiled is None:
            self._freeze(Frozen({}))
            self._compiled = self._compile(tables)
        literal = f"TIMESTAMP_NTZ '{start_of(as_of)}'"
        rows, sums = (None if sql is None else sql.replace(_T, literal) for sql in self._compiled)
        frozen = Frozen({}) if sums is None else Frozen.of(self._features, histories.frame(sums).toArrow())
        self._freeze(frozen)
        return histories.frame(str(rows)), frozen

    def _freeze(self, frozen: Frozen) -> None:
        rows = [tuple(row.values()) for row in frozen.to_arrow().to_pylist()]
        self._histories.named("frozen", self._histories.session.createDataFrame(rows, _FROZEN))

    def _compile(self, tables: Mapping[str, ir.Table]) -> tuple[str, str | None]:
        histories = self._histories
        instant: Any = churnml_as_of_instant()
        given = (self._features, self._contexts, instant)
        sums = sums_of_groups(histories, tables, *given)
        rows = extract(histories, tables["at_risk"], *given, histories.table("frozen"))
        return histories.con.compile(rows), None if sums is None else histories.con.compile(sums)
