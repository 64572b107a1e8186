"""Compiling declarations to ibis: one grouped pass for each table and time column, then one row for each customer.

Window edges cut time into elementary intervals. Stage 1 groups rows by customer and interval into partials that can be
merged; stage 2 merges the partials of the intervals that lie in each window. A row is read once, whatever the number of
windows (measured in benchmarks/results).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from churnml.asof import DAY, start_of
from churnml.columns import AS_OF, CUSTOMER_ID
from churnml.feature_extraction.declare import Feature, Measure, RowContext
from churnml.tables.histories import Histories
from churnml.tables.schema import SCHEMAS

# Distinct days are kept as the bits of an int64, so no interval that counts days may be longer than this.
_DAY_BITS = 62

_EPOCH = dt.date(1970, 1, 1)


@ibis.udf.agg.builtin  # type: ignore[untyped-decorator]
def bit_or(value: int) -> int:  # type: ignore[empty-body]
    """Return the bits that any of the values has (DuckDB and Spark have it under this name)."""


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def bit_count(value: int) -> int:  # type: ignore[empty-body]
    """Return how many bits a value has."""


def extract(
    histories: Histories,
    population: ir.Table,
    features: Sequence[Feature],
    contexts: dict[str, tuple[RowContext, ...]],
    as_of: dt.date,
) -> ir.Table:
    """Compute features as of one date.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    population : ibis Table
        The customers to compute them for, one row each, with their columns of ``customers``.
    features : sequence of Feature
        What to compute.
    contexts : dict of tuple of RowContext
        Columns that rows of a table get from each other, by table.
    as_of : datetime.date
        T.

    Returns
    -------
    ibis Table
        One row for each customer: ``customer_id``, ``as_of`` and the features, in the order given.
    """
    wide = population
    columns: dict[str, str] = {}
    for number, ((table, at), measures) in enumerate(_grouped(features).items()):
        rows = histories.known(table, start_of(as_of))
        for context in contexts.get(table, ()):
            rows = _with_context(rows, context)
        names = {key: f"__m{number}_{position}" for position, key in enumerate(measures)}
        lasting = {names[key]: measure for key, measure in measures.items() if measure.how == "last"}
        merging = {names[key]: measure for key, measure in measures.items() if measure.how != "last"}
        parts = [_merged(rows, at, merging, as_of)] if merging else []
        parts += [_last(rows, at, measure, name, as_of) for name, measure in lasting.items()]
        for part in parts:
            wide = wide.left_join(part, CUSTOMER_ID, rname=f"__right{len(wide.columns)}_{{name}}")
        columns |= names
    own = {name: wide[name] for name in population.columns}
    values = [_value(wide, own, feature, columns, as_of).name(feature.name) for feature in features]
    return wide.select(wide[CUSTOMER_ID], ibis.literal(as_of).name(AS_OF), *values)


class _Row(dict[str, Any]):
    """What a formula sees: measures, the customer's own columns, and the date."""

    __getattr__ = dict.__getitem__


def _value(
    wide: ir.Table, own: dict[str, ir.Value], feature: Feature, columns: dict[str, str], as_of: dt.date
) -> ir.Value:
    row = _Row(own)
    row["as_of_day"] = ibis.literal((as_of - _EPOCH).days)
    for name, measure in feature.inputs.items():
        row[name] = wide[columns[_key(feature, measure)]]
    value = feature.formula.resolve(row)
    if feature.empty is not None:
        value = value.fill_null(feature.empty)
    return value.cast(feature.dtype)


def _grouped(features: Sequence[Feature]) -> dict[tuple[str, str], dict[str, Measure]]:
    """Collect the distinct measures of all features by table and the time column that they look at."""
    groups: dict[tuple[str, str], dict[str, Measure]] = {}
    for feature in features:
        for measure in feature.inputs.values():
            at = measure.at or SCHEMAS[feature.source].event
            groups.setdefault((feature.source, at), {})[_key(feature, measure)] = measure
    return groups


def _key(feature: Feature, measure: Measure) -> str:
    return f"{feature.source} {measure!r}"  # deferred expressions compare to expressions, so text is what can be a key


def _with_context(rows: ir.Table, context: RowContext) -> ir.Table:
    if context.how == "rank":
        rank = ibis.row_number().over(group_by=rows[CUSTOMER_ID], order_by=rows[context.by])
        return rows.mutate(rank.name(context.name))
    shared = [CUSTOMER_ID, *context.same]
    moments = rows.filter([rows[name].notnull() for name in context.same]).select(*shared, context.by).distinct()
    before = moments[context.by].lag().over(group_by=[moments[name] for name in shared], order_by=moments[context.by])
    moments = moments.mutate(before.name(context.name))
    joined = rows.left_join(moments, [*shared, context.by])
    return joined.select(*rows.columns, context.name)


def _in_reach(rows: ir.Table, at: str, measures: Iterable[Measure], as_of: dt.date) -> ir.Table:
    """Keep the rows before T, and with the longest window where every measure has one."""
    rows = rows.filter(rows[at] < start_of(as_of))
    windows = [measure.window for measure in measures]
    if None in windows:
        return rows
    return rows.filter(rows[at] >= start_of(as_of) - max(window for window in windows if window) * DAY)


def _last(rows: ir.Table, at: str, measure: Measure, name: str, as_of: dt.date) -> ir.Table:
    rows = _in_reach(rows, at, [measure], as_of)
    if measure.where is not None:
        rows = rows.filter(measure.where.resolve(rows))
    newest = rows.filter(rows[at] == rows[at].max().over(group_by=rows[CUSTOMER_ID]))
    return newest.group_by(CUSTOMER_ID).agg(measure.value.resolve(newest).min().name(name))


def _merged(rows: ir.Table, at: str, measures: dict[str, Measure], as_of: dt.date) -> ir.Table:
    rows = _in_reach(rows, at, measures.values(), as_of)
    edges = _edges(measures.values())
    reached = [(rows[at] >= start_of(as_of) - edge * DAY, number) for number, edge in enumerate(edges)]
    interval = ibis.cases(*reached, else_=len(edges)) if reached else ibis.literal(0)
    partials: dict[str, ir.Value] = {}
    sources: dict[str, str] = {}
    for name, measure in measures.items():
        key = repr((measure.how, measure.value, measure.where))
        sources[name] = sources.get(key) or f"__p{len(partials)}"
        if key not in sources:
            sources[key] = sources[name]
            partials[sources[name]] = _partial(rows, measure)
    stage = rows.group_by(CUSTOMER_ID, __interval=interval).agg(**partials)
    merged = {}
    for name, measure in measures.items():
        inside = None if measure.window is None else stage["__interval"] <= edges.index(measure.window)
        merged[name] = _merge(stage[sources[name]], measure, inside)
    return stage.group_by(CUSTOMER_ID).agg(**merged)


def _edges(measures: Iterable[Measure]) -> list[int]:
    """Return the ages in days that cut time into intervals, short enough to count days in where that is asked for."""
    measures = list(measures)
    edges = {measure.window for measure in measures if measure.window is not None}
    longest = max((measure.window or 0 for measure in measures if measure.how == "days"), default=0)
    start = 0
    for edge in sorted(edges):
        if edge <= longest:
            edges.update(range(start + _DAY_BITS, edge, _DAY_BITS))
        start = edge
    return sorted(edges)


def _partial(rows: ir.Table, measure: Measure) -> ir.Value:
    where = None if measure.where is None else measure.where.resolve(rows)
    if measure.value is None:
        return rows.count(where=where)
    value = measure.value.resolve(rows)
    if measure.how == "days":
        return bit_or(ibis.literal(1, "int64") << ((value % _DAY_BITS + _DAY_BITS) % _DAY_BITS), where=where)
    return getattr(value, measure.how)(where=where)


def _merge(partial: ir.Value, measure: Measure, inside: ir.BooleanValue | None) -> ir.Value:
    if measure.how == "days":
        return bit_count(partial).sum(where=inside)
    return getattr(partial, {"count": "sum"}.get(measure.how, measure.how))(where=inside)
