"""What makes a row a bad one (contract, section 2), as expressions over the typed rows of a table."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir

from churnml.columns import CHURNED_AT, CUSTOMER_ID, KNOWN_AT, SIGNED_UP_AT
from churnml.tables.known import known_from, latest_versions
from churnml.tables.reading import RAW, REASON, Reading
from churnml.tables.schema import Schema

DUPLICATE = "duplicate row"
CONFLICT = "conflicting versions"
OVERLAP = "overlapping spells"
UNKNOWN_CUSTOMER = "unknown customer"

_NEVER = dt.datetime.max  # noqa: DTZ901 - wall-clock time has no zone


def with_own_reason(rows: ir.Table, schema: Schema, columns: list[Reading], now: dt.datetime) -> ir.Table:
    """Add the first reason for which a row is bad by itself, whatever the other rows hold.

    Parameters
    ----------
    rows : ibis Table
        Typed rows, with their ``__unreadable`` and ``__instant`` columns.
    schema : Schema
        The table.
    columns : list of Reading
        How its columns were read.
    now : datetime.datetime
        Present wall-clock time: a required time later than this is bad.

    Returns
    -------
    ibis Table
        The rows with ``reason``, null for a good row.
    """
    required = {column.name: column.kind for column in schema.columns if column.required}
    branches: list[tuple[ir.BooleanValue, str | ir.StringValue]] = []
    if REASON in rows[RAW].type().names:
        branches.append((rows[RAW][REASON].notnull(), rows[RAW][REASON]))
    for column in columns:
        value = rows[column.name]
        if column.unreadable:
            branches.append((rows[f"{column.name}__unreadable"].fill_null(False), f"unreadable {column.name}"))
        if column.name in required:
            branches.append((value.isnull(), f"null {column.name}"))
        if column.kind == "number":
            branches.append((_not_finite(value), f"not finite {column.name}"))
        if required.get(column.name) == "time":
            branches.append((value > now, f"{column.name} later than now"))
    instants = {column.name for column in columns if column.instant}
    for later, earlier in schema.not_before:
        branches.append((_lies_before(rows, later, earlier, instants), f"{later} before {earlier}"))
    if schema.rating:
        branches.append((~rows[schema.rating].between(1, 5), f"{schema.rating} outside 1-5"))
    return rows.mutate(ibis.cases(*branches).cast("string").name(REASON))


def with_unknown_customer(rows: ir.Table, customers: ir.Table) -> ir.Table:
    """Add the reason of rows whose customer has no accepted row in ``customers``."""
    known = customers.select(__known=customers[CUSTOMER_ID]).distinct()
    joined = rows.left_join(known, rows[CUSTOMER_ID] == known["__known"])  # Spark has no IN outside of a filter
    found = joined["__known"].notnull().ifelse(ibis.null("string"), UNKNOWN_CUSTOMER)
    return joined.mutate(joined[REASON].fill_null(found).name(REASON)).select(rows.columns)


def with_version_reason(rows: ir.Table, schema: Schema) -> ir.Table:
    """Add the reason of otherwise good rows that share their key and their ``known_at``.

    Of identical rows all but one are bad, of differing rows all. Rows without a key (a null ``row_id``) share none.
    """
    helpers = [name for name in rows.columns if name.endswith(("__unreadable", "__instant"))]
    content = [name for name in rows.columns if name not in (KNOWN_AT, REASON, RAW, *helpers)]
    good = ibis.and_(rows[REASON].isnull(), *(rows[name].notnull() for name in schema.key))
    rows = rows.mutate(__good=good, __from=known_from(rows, schema))
    copies = ibis.row_number().over(group_by=["__good", "__from", *content], order_by=rows[KNOWN_AT].isnull())
    rows = rows.mutate(__copy=rows["__good"] & (copies > 0), __single=rows["__good"] & (copies == 0))
    at_one_time = rows.count().over(group_by=["__single", "__from", *schema.key])
    at_no_time = rows.count().over(group_by=[rows["__single"], rows[KNOWN_AT].isnull(), *(rows[k] for k in schema.key)])
    conflict = (at_one_time > 1) | (rows[KNOWN_AT].isnull() & (at_no_time > 1))
    reason = ibis.cases((rows["__copy"], DUPLICATE), (rows["__single"] & conflict, CONFLICT))
    return rows.mutate(rows[REASON].fill_null(reason).name(REASON)).drop("__good", "__from", "__copy", "__single")


def with_overlapping_spells(rows: ir.Table, schema: Schema) -> ir.Table:
    """Add the reason of otherwise good ``customers`` rows whose spells, by their newest versions, overlap."""
    newest = latest_versions(rows.filter(rows[REASON].isnull()), schema)
    spells = newest.select(CUSTOMER_ID, SIGNED_UP_AT, end=newest[CHURNED_AT].fill_null(_NEVER))
    order = {"group_by": spells[CUSTOMER_ID], "order_by": spells[SIGNED_UP_AT]}
    ended = spells.end.max().over(rows=(None, -1), **order)
    next_start = spells[SIGNED_UP_AT].lead().over(**order)
    spells = spells.mutate(__overlaps=(ended > spells[SIGNED_UP_AT]) | (next_start < spells.end))
    overlapping = spells.filter(spells["__overlaps"]).drop("end")
    joined = rows.left_join(overlapping, [CUSTOMER_ID, SIGNED_UP_AT])
    found = joined.__overlaps.fill_null(False).ifelse(OVERLAP, ibis.null("string"))
    return joined.mutate(joined[REASON].fill_null(found).name(REASON)).select(rows.columns)


def _not_finite(value: ir.Value) -> ir.BooleanValue:
    return value.isnan() | value.isinf()


def _lies_before(rows: ir.Table, later: str, earlier: str, instants: set[str]) -> ir.BooleanValue:
    by_the_wall: ir.BooleanValue = rows[later] < rows[earlier]
    if not {later, earlier} <= instants:
        return by_the_wall
    after, before = rows[f"{later}__instant"], rows[f"{earlier}__instant"]
    return (after.notnull() & before.notnull()).ifelse(after < before, by_the_wall)
