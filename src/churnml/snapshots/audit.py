"""The leakage audit: what becomes known at T or later is rewritten, and no feature of T may move."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from churnml.asof import start_of
from churnml.columns import AS_OF, CUSTOMER_ID, KNOWN_AT
from churnml.snapshots.panel import Panel
from churnml.tables.coverage import Finding
from churnml.tables.histories import Histories
from churnml.tables.known import known_from
from churnml.tables.schema import SCHEMAS, Schema

CUSTOMERS = 2_000  # whose features are computed twice
_PREFIX = "audited"
_CLOSE = 1e-9


def moving_features(histories: Histories, as_of: dt.date, *, customers: int = CUSTOMERS) -> list[Finding]:
    """List the features that move when what is known at T or later is rewritten.

    Rows of T or later, and rows and corrections that became known then, are taken away, and others of the same
    customers and keys put in their place, every value altered. Columns that tell what happened later than their row are
    altered where that was at T or later.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    as_of : datetime.date
        T.
    customers : int
        How many customers' histories are looked at.

    Returns
    -------
    list of Finding
        One for each feature that is not the same to 1e-9, relative or absolute; none where all are.
    """
    twin = replace(histories, prefix=_PREFIX, versioned={name for name, schema in SCHEMAS.items() if schema.key})
    people = histories.newest("customers").select(CUSTOMER_ID).distinct()
    some = people.order_by(people[CUSTOMER_ID].hash(), CUSTOMER_ID).limit(customers)
    chosen = histories.con.create_table("audited_customers_chosen", some, temp=True, overwrite=True)
    _put(histories, chosen, None)
    panel = Panel(twin, [as_of])
    before = _read(panel)
    _put(histories, chosen, as_of)
    after = _read(panel)
    moved = [feature for feature in panel.features if not _same(before[feature.name], after[feature.name])]
    if not before.index.equals(after.index):
        moved = panel.features
    return [Finding(feature.source, feature.name, "moves", {"as_of": as_of}) for feature in moved]


def _read(panel: Panel) -> pd.DataFrame:
    return panel.to_pandas().set_index(CUSTOMER_ID).drop(columns=AS_OF)


def _put(histories: Histories, chosen: ir.Table, as_of: dt.date | None) -> None:
    """Make the tables of the twin: as they are, or rewritten from T on."""
    con = histories.con
    for name, schema in SCHEMAS.items():
        rows = con.table(f"{histories.prefix}_{name}")
        rows = rows.semi_join(chosen, CUSTOMER_ID)
        if as_of is not None:
            rows = _rewritten(rows, schema, start_of(as_of))
        con.raw_sql(f"CREATE OR REPLACE TEMP VIEW {_PREFIX}_{name} AS {con.compile(rows)}")


def _rewritten(rows: ir.Table, schema: Schema, instant: dt.datetime) -> ir.Table:
    seen = rows.filter(rows[schema.event] < instant, known_from(rows, schema) < instant)
    hidden = {}
    for column in schema.columns:
        if column.known_with:
            when = ibis.coalesce(*(seen[name] for name in column.known_with))
            altered = _altered(seen, column.name, instant)
            hidden[column.name] = (when < instant).fill_null(False).ifelse(seen[column.name], altered)
    later = rows.mutate(**{name: _altered(rows, name, instant) for name in _free(rows, schema)})
    later = later.mutate(**{schema.event: _day_from(later, instant), KNOWN_AT: ibis.null("timestamp")})
    parts = (part.select(rows.columns).cast(rows.schema()) for part in (seen.mutate(**hidden), later))
    return ibis.union(*parts)


def _free(rows: ir.Table, schema: Schema) -> list[str]:
    """List the columns that may be altered without making a row another's."""
    return [name for name in rows.columns if name not in {CUSTOMER_ID, KNOWN_AT, schema.event, *schema.key}]


def _day_from(rows: ir.Table, instant: dt.datetime) -> ir.Value:
    days = rows[CUSTOMER_ID].hash().abs() % 400
    return ibis.literal(instant) + days.cast("int64").as_interval("D")


def _altered(rows: ir.Table, name: str, instant: dt.datetime) -> ir.Value:
    column = rows[name]
    kind = column.type()
    if kind.is_timestamp():
        return _day_from(rows, instant)
    if kind.is_numeric():
        return (column.fill_null(1) * -3 + 7).cast(kind)
    if kind.is_boolean():
        return (~column).fill_null(True)
    return column.fill_null("") + "?"


def _same(before: pd.Series[float], after: pd.Series[float]) -> bool:
    if not pd.api.types.is_numeric_dtype(before):
        return before.equals(after)
    first, second = (column.to_numpy(dtype=float, na_value=np.nan) for column in (before, after))
    return len(first) == len(second) and bool(np.allclose(first, second, rtol=_CLOSE, atol=_CLOSE, equal_nan=True))
