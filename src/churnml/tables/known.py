"""The gate: what was known at T. Every reader of histories comes through here (contract, section 1)."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir

from churnml.columns import KNOWN_AT
from churnml.tables.schema import Schema


def known_from(rows: ir.Table, schema: Schema) -> ir.TimestampValue:
    """Return when each row became known: its ``known_at``, or its event time where that is null."""
    return ibis.coalesce(rows[KNOWN_AT], rows[schema.event])


def latest_versions(rows: ir.Table, schema: Schema) -> ir.Table:
    """Keep the latest version of each key; rows with a null in their key are no versions of another."""
    if any(name not in rows.columns for name in schema.key):
        return rows
    key = [rows[name] for name in schema.key]
    order = [known_from(rows, schema).desc(), rows[schema.event].desc()]
    rank = ibis.row_number().over(group_by=key, order_by=order)
    keyless = ibis.or_(*(column.isnull() for column in key))
    numbered = rows.mutate(__newer=rank, __keyless=keyless)
    return numbered.filter((numbered.__newer == 0) | numbered.__keyless).drop("__newer", "__keyless")


def known_at(
    rows: ir.Table, schema: Schema, instant: dt.datetime | ir.TimestampScalar, *, has_versions: bool
) -> ir.Table:
    """Return a table as it was known at an instant.

    Parameters
    ----------
    rows : ibis Table
        Accepted rows, every version of them.
    schema : Schema
        The table.
    instant : datetime.datetime
        T, naive wall-clock time: what is known is before it, never at it.
    has_versions : bool
        False where no key occurs twice, so that no correction has to be looked for.

    Returns
    -------
    ibis Table
        The latest version known at T of each row whose event lies before T; columns that tell what happened later than
        their row are null unless their own time is before T.
    """
    seen = rows.filter(rows[schema.event] < instant, known_from(rows, schema) < instant)
    current = latest_versions(seen, schema) if has_versions else seen
    masked = {}
    for column in schema.columns:
        if column.known_with:
            when = ibis.coalesce(*(current[name] for name in column.known_with))
            masked[column.name] = (when < instant).ifelse(current[column.name], None)
    return current.mutate(**masked)
