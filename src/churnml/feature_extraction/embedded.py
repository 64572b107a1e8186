"""The embedded engine: declarations compiled to DuckDB's SQL once, and run date after date."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from churnml.asof import start_of
from churnml.feature_extraction.declaration import Contexts, Feature
from churnml.feature_extraction.engine import extract, sums_of_groups
from churnml.feature_extraction.frozen import SCHEMA as FROZEN
from churnml.feature_extraction.frozen import Frozen
from churnml.tables.histories import Histories
from churnml.tables.schema import SCHEMAS

Compiled = tuple[str, str | None]  # SQL of the features, and of what is looked up of everyone

_COMPILED: dict[str, Compiled] = {}  # by what it is made of: compiling takes seconds
_MOST_COMPILED = 16


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def as_of_instant() -> dt.datetime:  # type: ignore[empty-body]
    """Return T: a macro of DuckDB, so that what is compiled once serves every date, and T is a constant to it."""


class Embedded:
    """Features of everyone at risk, by an embedded DuckDB.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    features : sequence of Feature
        What to compute.
    contexts : mapping of tuple of RowContext
        Columns that rows of a table get from other rows, by table.
    """

    def __init__(self, histories: Histories, features: Sequence[Feature], contexts: Contexts) -> None:
        self._histories, self._features, self._contexts = histories, list(features), contexts
        self._compiled: Compiled | None = None

    def at(self, as_of: dt.date, populations: Mapping[str, ir.Table]) -> tuple[str, Frozen]:
        """Return SQL of the features as of a date, good until the next call, and what was frozen.

        Parameters
        ----------
        as_of : datetime.date
            T.
        populations : mapping of ibis Table
            Customers by the names that `Pool.everyone` has; ``at_risk`` are those whom features are computed for.

        Returns
        -------
        sql : str
            A SELECT of ``customer_id``, ``as_of`` and the features.
        frozen : Frozen
            What was looked up of everyone.
        """
        con = self._histories.con
        con.raw_sql(f"CREATE OR REPLACE TEMP MACRO as_of_instant() AS TIMESTAMP '{start_of(as_of)}'")
        tables = {
            name: con.create_table(f"population_{name}", rows, temp=True, overwrite=True)
            for name, rows in populations.items()
        }
        if self._compiled is None:
            self._compiled = self._compile_once(tables)
        rows, sums = self._compiled
        frozen = Frozen.of(self._features, con.con.execute(sums).to_arrow_table()) if sums else Frozen({})
        con.create_table("frozen", frozen.to_arrow(), temp=True, overwrite=True)
        return rows, frozen

    def _compile_once(self, tables: Mapping[str, ir.Table]) -> Compiled:
        """Compile, or take what was compiled for the same declarations over tables of the same columns."""
        histories = self._histories
        schemas = [histories.con.table(f"{histories.prefix}_{name}").schema() for name in SCHEMAS]
        facts = (self._features, self._contexts, histories.prefix, sorted(histories.versioned), schemas)
        key = hashlib.sha256(repr((facts, [table.schema() for table in tables.values()])).encode()).hexdigest()
        if key not in _COMPILED:
            if len(_COMPILED) >= _MOST_COMPILED:
                _COMPILED.pop(next(iter(_COMPILED)))
            _COMPILED[key] = self._compile(tables)
        histories.con.create_table("frozen", schema=ibis.schema(FROZEN), temp=True, overwrite=True)
        return _COMPILED[key]

    def _compile(self, tables: Mapping[str, ir.Table]) -> Compiled:
        con: Any = self._histories.con
        instant: Any = as_of_instant()
        con.create_table("frozen", schema=ibis.schema(FROZEN), temp=True, overwrite=True)
        given = (self._features, self._contexts, instant)
        sums = sums_of_groups(self._histories, tables, *given)
        rows = extract(self._histories, tables["at_risk"], *given, con.table("frozen"))
        return _inlined(con.compile(rows)), None if sums is None else _inlined(con.compile(sums))


def _inlined(sql: str) -> str:
    """Let a table be read again where two groups of measures look at it: DuckDB would copy it into memory."""
    return re.sub(r'("t\d+") AS \(', r"\1 AS NOT MATERIALIZED (", sql)
