"""Compiling declarations to ibis: one grouped pass for each table and time column, then one row for each customer.

Window edges cut time into elementary intervals. Stage 1 groups rows by customer and interval into partials that can be
merged; stage 2 merges the partials of the intervals that lie in each window. A row is read once, whatever the number of
windows (measured in benchmarks/results).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from churnml.columns import AS_OF, CUSTOMER_ID
from churnml.feature_extraction.declaration import (
    Contexts,
    Deferred,
    Feature,
    Measure,
    RowContext,
    Turn,
    grouped,
    key_of,
)
from churnml.feature_extraction.frozen import OTHER
from churnml.tables.schema import SCHEMAS

# Distinct days are kept as the bits of an int64, so no interval that counts days may be longer than this.
_DAY_BITS = 62

Instant = Any  # an ibis timestamp: T, wall-clock
RowsOf = Callable[..., ir.Table]  # of a table, with the columns from other rows that some expressions ask for


class Known(Protocol):
    """What gives the rows of a table as they were known at an instant."""

    def known(self, table: str, instant: Instant) -> ir.Table:
        """Return the rows (see `tables.known.known_at`)."""


@ibis.udf.agg.builtin  # type: ignore[untyped-decorator]
def bit_or(value: int) -> int:  # type: ignore[empty-body]
    """Return the bits that any of the values has (DuckDB and Spark have it under this name)."""


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def bit_count(value: int) -> int:  # type: ignore[empty-body]
    """Return how many bits a value has."""


def extract(
    histories: Known,
    population: ir.Table,
    features: Sequence[Feature],
    contexts: Contexts,
    instant: Instant,
    frozen: ir.Table | None = None,
) -> ir.Table:
    """Compute features as of one date.

    Parameters
    ----------
    histories : Known
        The operator's tables.
    population : ibis Table
        The customers to compute them for, one row each, with their columns of ``customers``.
    features : sequence of Feature
        What to compute.
    contexts : mapping of tuple of RowContext
        Columns that rows of a table get from other rows, by table.
    instant : ibis timestamp
        T, wall-clock.
    frozen : ibis Table, optional
        What is looked up of everyone as of T: ``feature``, ``key``, ``value`` (see `frozen`).

    Returns
    -------
    ibis Table
        One row for each customer: ``customer_id``, ``as_of`` and the features, in the order given.
    """
    wide = Wide(histories, population, features, contexts, instant)
    values = [wide.value(feature).name(feature.name) for feature in features]
    rows = wide.table.select(wide.table[CUSTOMER_ID], instant.date().name(AS_OF), *values)
    for feature in features:
        if frozen is not None and (feature.pool or feature.frequent):
            rows = _looked_up(rows, feature, frozen)
    return rows.select(CUSTOMER_ID, AS_OF, *(feature.name for feature in features))


def sums_of_groups(
    histories: Known,
    populations: Mapping[str, ir.Table],
    features: Sequence[Feature],
    contexts: Contexts,
    instant: Instant,
) -> ir.Table | None:
    """Add up what features look up of everyone (see `frozen.Frozen`).

    Parameters
    ----------
    histories : Known
        The operator's tables.
    populations : mapping of ibis Table
        Customers, one row each, by the names that `Pool.everyone` has.
    features : sequence of Feature
        Those count that look something up.
    contexts : mapping of tuple of RowContext
        As for `extract`.
    instant : ibis timestamp
        T, wall-clock.

    Returns
    -------
    ibis Table or None
        ``feature``, ``key``, ``numerator``, ``denominator``: as many rows as there are groups. None where no feature
        looks anything up.
    """
    parts = []
    for everyone, population in populations.items():
        own = [feature for feature in features if _everyone(feature) == everyone]
        if own:
            wide = Wide(histories, population, own, contexts, instant)
            parts += [_sums(wide, feature) for feature in own]
    return ibis.union(*parts) if len(parts) > 1 else next(iter(parts), None)


def _everyone(feature: Feature) -> str | None:
    if feature.pool:
        return feature.pool.everyone
    return "at_risk" if feature.frequent else None


def _sums(wide: Wide, feature: Feature) -> ir.Table:
    pool = feature.pool
    parts = (
        {"numerator": pool.numerator, "denominator": pool.denominator} if pool else {"numerator": 1, "denominator": 1}
    )
    rows = wide.table.select(
        key=wide.value(feature),
        **{name: wide.resolved(feature, part).cast("float64").fill_null(0.0) for name, part in parts.items()},
    )
    sums = rows.group_by("key").agg(numerator=rows["numerator"].sum(), denominator=rows["denominator"].sum())
    return sums.select(ibis.literal(feature.name).name("feature"), "key", "numerator", "denominator")


def _looked_up(rows: ir.Table, feature: Feature, frozen: ir.Table) -> ir.Table:
    """Put the rate of its group in place of each key, or ``other`` in place of values that are not frequent."""
    own = frozen.filter(frozen["feature"] == feature.name)
    table = own.select(own["key"].name(feature.name), __found=own["value"])
    joined = rows.view().left_join(table, feature.name, rname="__{name}")
    found, value = joined["__found"], joined[feature.name]
    if feature.pool:
        everyone = own.filter(own["key"].isnull())["value"].max().as_scalar()
        value = found.coalesce(everyone)
    else:
        value = (found.notnull() | value.isnull()).ifelse(value, OTHER)
    return joined.select(*(value.name(name) if name == feature.name else name for name in rows.columns))


class Wide:
    """Customers with every measure that features are made of, one row each.

    Parameters
    ----------
    histories : Known
        The operator's tables.
    population : ibis Table
        Customers, one row each.
    features : sequence of Feature
        What is to be made of the measures.
    contexts : mapping of tuple of RowContext
        As for `extract`.
    instant : ibis timestamp
        T, wall-clock.

    Attributes
    ----------
    table : ibis Table
        The population's columns, and the measures.
    """

    def __init__(
        self, histories: Known, population: ir.Table, features: Sequence[Feature], contexts: Contexts, instant: Instant
    ) -> None:
        self._instant = instant
        self._names: dict[str, str] = {}
        parts: list[ir.Table] = []

        @cache
        def known(table: str, made: tuple[RowContext, ...]) -> ir.Table:
            rows = histories.known(table, instant)
            for context in made:
                rows = _with_context(histories, rows, context, instant)
            return rows

        def rows_of(table: str, *expressions: Deferred) -> ir.Table:
            """Return the rows of a table, with no more from other rows than some expressions ask for."""
            made = contexts.get(table, ())
            asked = _columns_in(known(table, made), expressions)
            return known(table, tuple(context for context in made if context.name in asked))

        for (table, at, *_), measures in grouped(features).items():
            named = {key: f"__m{len(self._names) + position}" for position, key in enumerate(measures)}
            self._names |= named
            parts += _parts(rows_of, table, at, {named[key]: measure for key, measure in measures.items()}, instant)
        self.table = population
        for part in parts:
            self.table = self.table.left_join(part, CUSTOMER_ID, rname=f"__right{len(self.table.columns)}_{{name}}")
        self._own = {name: self.table[name] for name in population.columns}

    def value(self, feature: Feature) -> ir.Value:
        """Return a feature's value, or the key of its group where it has a pool."""
        if feature.pool:
            return self.resolved(feature, feature.pool.by).cast("string")
        value = self.resolved(feature, feature.formula)
        if feature.empty is not None:
            value = value.fill_null(feature.empty)
        return value.cast(feature.dtype)

    def resolved(self, feature: Feature, formula: Deferred) -> ir.Value:
        """Return a formula over the measures of a feature and the columns of its customer."""
        row = Row(self._own)
        row["as_of_day"] = self._instant.date().epoch_days()
        for name, measure in feature.inputs.items():
            row[name] = self.table[self._names[key_of(feature, measure)]]
        return resolve(formula, row)


class Row(dict[str, Any]):
    """What a formula sees: measures, the customer's own columns, and the date."""

    __getattr__ = dict.__getitem__


def resolve(expression: Any, row: Any) -> Any:
    """Return the value of a deferred expression; a constant is its own."""
    if not hasattr(expression, "resolve"):
        return ibis.literal(expression)
    return _nothing_impossible(expression.resolve(row))


def _nothing_impossible(value: ir.Value) -> ir.Value:
    """Let every division by zero, and root of less than 0, be null: no two engines agree on them."""

    def replaced(node: ops.Node, parts: dict[str, Any] | None) -> ops.Node:
        node = node.__recreate__(parts) if parts else node
        if isinstance(node, ops.Divide):
            return ops.Divide(node.left, ops.NullIf(node.right, 0))
        if isinstance(node, ops.Sqrt):
            arg = node.arg.to_expr()
            return ops.Sqrt((arg >= 0).ifelse(arg, None))
        return node

    changed: ir.Value = value.op().replace(replaced, filter=ops.Value).to_expr()
    return changed


def _parts(rows_of: RowsOf, table: str, at: str, measures: dict[str, Measure], instant: Instant) -> list[ir.Table]:
    turn = next(iter(measures.values())).turn
    if turn:
        turns = rows_of(turn.source, turn.where)
        return [_around(_rows_for(rows_of, table, measures), at, turns, turn, measures, instant)]
    merging = {name: measure for name, measure in measures.items() if _can_be_merged(measure)}
    parts = [_merged(_rows_for(rows_of, table, merging), at, merging, instant)] if merging else []
    apart = {name: {name: measure} for name, measure in measures.items() if name not in merging}
    return parts + [_apart(_rows_for(rows_of, table, one), at, one[name], name, instant) for name, one in apart.items()]


def _can_be_merged(measure: Measure) -> bool:
    """Tell whether parts of intervals make the whole: days do where every interval is short enough."""
    return measure.how not in ("last", "distinct") and (measure.how != "days" or measure.window is not None)


def _rows_for(rows_of: RowsOf, table: str, measures: Mapping[str, Measure]) -> ir.Table:
    return rows_of(table, *(asked for measure in measures.values() for asked in (measure.value, measure.where)))


def _columns_in(rows: ir.Table, expressions: Iterable[Deferred]) -> set[str]:
    """Return the names of the columns of rows that expressions look at."""
    values = [resolve(expression, rows) for expression in expressions if expression is not None]
    return {column.name for value in values for column in value.op().find(ops.Field, filter=ops.Value)}


def _with_context(histories: Known, rows: ir.Table, context: RowContext, instant: Instant) -> ir.Table:
    by = context.by
    if context.how == "rank":
        rank = ibis.row_number().over(group_by=rows[CUSTOMER_ID], order_by=rows[by])
        return rows.mutate(rank.name(context.name))
    shared = [CUSTOMER_ID, *context.same]
    there = [rows[name].notnull() for name in context.same]
    if context.source:
        moments = rows.select(*shared, by).distinct()
        other = histories.known(context.source, instant)
        event = SCHEMAS[context.source].event
        earlier = other.select(*shared, __then=other[event])
        pairs = moments.inner_join(earlier, [*shared, earlier["__then"] < moments[by]])
        moments = pairs.group_by(*shared, by).agg(pairs["__then"].max().name(context.name))
    else:
        taken = rows[context.value or by].min()
        moments = (rows.filter(there) if there else rows).group_by(*shared, by).agg(taken.name("__taken"))
        before = moments["__taken"].lag().over(group_by=[moments[name] for name in shared], order_by=moments[by])
        moments = moments.mutate(before.name(context.name))
    joined = rows.left_join(moments, [*shared, by])
    return joined.select(*rows.columns, context.name)


def _in_reach(rows: ir.Table, at: str, measures: Iterable[Measure], instant: Instant) -> ir.Table:
    """Keep the rows before T, and with the longest window where every measure has one."""
    rows = rows.filter(rows[at] < instant)
    windows = [measure.window for measure in measures]
    if None in windows:
        return rows
    return rows.filter(rows[at] >= instant - ibis.interval(days=max(window for window in windows if window)))


def _apart(rows: ir.Table, at: str, measure: Measure, name: str, instant: Instant) -> ir.Table:
    """Compute a measure whose parts cannot be merged."""
    rows = _in_reach(rows, at, [measure], instant)
    if measure.where is not None:
        rows = rows.filter(resolve(measure.where, rows))
    if measure.how != "last":
        return rows.group_by(CUSTOMER_ID).agg(_aggregated(rows, measure, None).name(name))
    # not in one step: what sqlglot writes for Spark in place of QUALIFY names tables that are not there
    numbered = rows.mutate(__latest=rows[at].max().over(group_by=rows[CUSTOMER_ID]))
    newest = numbered.filter(numbered[at] == numbered["__latest"])
    return newest.group_by(CUSTOMER_ID).agg(resolve(measure.value, newest).min().name(name))


def _around(
    rows: ir.Table, at: str, turns: ir.Table, turn: Turn, measures: dict[str, Measure], instant: Instant
) -> ir.Table:
    """Compute measures before and after a turn; customers without one are left out before anything is grouped."""
    event = SCHEMAS[turn.source].event
    turns = turns.filter(turns[event] >= instant - ibis.interval(days=turn.window))
    if turn.where is not None:
        turns = turns.filter(resolve(turn.where, turns))
    turns = turns.group_by(CUSTOMER_ID).agg(__turn=turns[event].max().truncate("D"))
    reach = turn.window + max(measure.window or 0 for measure in measures.values())
    rows = rows.filter(rows[at] < instant, rows[at] >= instant - ibis.interval(days=reach))
    rows = rows.inner_join(turns, CUSTOMER_ID)
    longest = ibis.interval(days=max(measure.window or 0 for measure in measures.values()))
    rows = rows.filter(rows[at] >= rows["__turn"] - longest, rows[at] < rows["__turn"] + longest)
    taken = {}
    for name, measure in measures.items():
        days = ibis.interval(days=measure.window)
        start, end = (
            (rows["__turn"], rows["__turn"] + days) if measure.after else (rows["__turn"] - days, rows["__turn"])
        )
        inside = (rows[at] >= start) & (rows[at] < end)
        where = inside if measure.where is None else inside & resolve(measure.where, rows)
        value = _aggregated(rows, measure, where)
        taken[name] = (rows.count(where=inside) > 0).ifelse(value, None) if measure.how == "count" else value
    return rows.group_by(CUSTOMER_ID).agg(**taken)


def _aggregated(rows: ir.Table, measure: Measure, where: ir.BooleanValue | None) -> ir.Value:
    if measure.value is None:
        return rows.count(where=where)
    value = resolve(measure.value, rows)
    if measure.how in ("days", "distinct"):
        return value.nunique(where=where).nullif(0)
    return getattr(value, measure.how)(where=where)


def _merged(rows: ir.Table, at: str, measures: dict[str, Measure], instant: Instant) -> ir.Table:
    rows = _in_reach(rows, at, measures.values(), instant)
    edges = edges_of(measures.values())
    reached = [(rows[at] >= instant - ibis.interval(days=edge), number) for number, edge in enumerate(edges)]
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
        if measure.until:
            later = stage["__interval"] > edges.index(measure.until)
            inside = later if inside is None else inside & later
        merged[name] = _merge(stage[sources[name]], measure, inside)
    return stage.group_by(CUSTOMER_ID).agg(**merged)


def edges_of(measures: Iterable[Measure]) -> list[int]:
    """Return the ages in days that cut time into intervals, short enough to count days in where that is asked for."""
    measures = list(measures)
    edges = {edge for measure in measures for edge in (measure.window, measure.until) if edge}
    longest = max((measure.window or 0 for measure in measures if measure.how == "days"), default=0)
    start = 0
    for edge in sorted(edges):
        if edge <= longest:
            edges.update(range(start + _DAY_BITS, edge, _DAY_BITS))
        start = edge
    return sorted(edges)


def _partial(rows: ir.Table, measure: Measure) -> ir.Value:
    where = None if measure.where is None else resolve(measure.where, rows)
    if measure.how == "days":
        value = resolve(measure.value, rows)
        return bit_or(ibis.literal(1, "int64") << ((value % _DAY_BITS + _DAY_BITS) % _DAY_BITS), where=where)
    return _aggregated(rows, measure, where)


def _merge(partial: ir.Value, measure: Measure, inside: ir.BooleanValue | None) -> ir.Value:
    if measure.how == "days":
        return bit_count(partial).sum(where=inside)
    return getattr(partial, {"count": "sum"}.get(measure.how, measure.how))(where=inside)
