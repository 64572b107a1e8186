"""The online engine: declarations compiled to numpy, for one customer's histories within a request."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from churnml.asof import start_of
from churnml.errors import ChurnmlError
from churnml.feature_extraction.codegen import DAY_US, RowSource, ScalarSource, compiled
from churnml.feature_extraction.declaration import Contexts, Feature, Measure, RowContext, Turn, grouped, key_of
from churnml.feature_extraction.frozen import OTHER, Frozen
from churnml.feature_extraction.tracing import Columns, Graph, Node, kind_of
from churnml.tables.schema import SCHEMAS, Dtype, Kind

Array = np.ndarray[Any, Any]
Rows = Mapping[str, Array]

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock time has no zone
_MICROSECOND = dt.timedelta(microseconds=1)
_FOLDS: dict[str, tuple[Any, float]] = {
    "sum": (np.add, 0.0), "max": (np.maximum, -np.inf), "min": (np.minimum, np.inf),
}  # fmt: skip


_KINDS: dict[str, tuple[Kind, ...]] = {"sum": ("number",), "min": ("number", "time"), "max": ("number", "time")}
_RESULTS: dict[Dtype, Kind] = {
    "float64": "number", "int64": "number", "string": "text", "boolean": "boolean", "timestamp": "time",
}  # fmt: skip


def resolved(expression: Any, row: Any) -> Any:
    """Return what an expression leaves; a constant is its own, and what was traced before is done."""
    if isinstance(expression, Node):
        return expression
    return expression.resolve(row) if hasattr(expression, "resolve") else expression


def microseconds_of(moment: dt.datetime) -> float:
    """Return a naive time as microseconds since 1970, exact from 1685 to 2255."""
    return (moment - _EPOCH) / _MICROSECOND


Span = tuple[int | None, int, bool]  # window, until, after
_SortedRows = dict[
    tuple[str, str], tuple[Array, Array]
]  # by table and time column: order, and times with their sign turned


@dataclass
class _Group:
    """Measures of one table, time column and turn.

    Attributes
    ----------
    folds : dict of list of int
        By how they are folded: the arrays of rows, by their places.
    counts, folded : list of tuple
        Where a measure goes, by how it is folded, place among the folds, place of its count, number of its window.
    others : list of tuple
        Where it goes, how, places of values and of the rows that count among the arrays, number of its window.
    spans : list of tuple
        The windows.
    """

    table: str
    at: str
    turn: Turn | None
    turned: int | None = None
    folds: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in _FOLDS})
    counts: list[tuple[int, int, int]] = field(default_factory=list)
    folded: list[tuple[int, str, int, int, int]] = field(default_factory=list)
    others: list[tuple[int, str, int, int, int]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    @cached_property
    def edges(self) -> Array:
        """The ages at which the windows begin and end, one after another."""
        return np.array([edge for span in self.spans for edge in _edges(span)])

    def span(self, measure: Measure) -> int:
        """Return the number of a measure's window."""
        span = (measure.window, measure.until, measure.after)
        if span not in self.spans:
            self.spans.append(span)
        return self.spans.index(span)


class Online:
    """Features of one customer.

    Parameters
    ----------
    features : sequence of Feature
        What to compute.
    contexts : mapping of tuple of RowContext
        Columns that rows of a table get from other rows, by table.
    kinds : mapping of mapping of str
        The columns of every table that a declaration may use, with what they hold.

    Raises
    ------
    ChurnmlError
        If a declaration uses a column that is not there, or a word that this engine does not know.
    """

    def __init__(
        self, features: Sequence[Feature], contexts: Contexts, kinds: Mapping[str, Mapping[str, Kind]]
    ) -> None:
        self._features = list(features)
        self._names = [feature.name for feature in self._features]
        self._looking_up = [feature for feature in self._features if feature.pool or feature.frequent]
        self._graph = Graph()
        groups = grouped(self._features)
        tables = {table for table, *_ in groups} | {
            measure.turn.source for found in groups.values() for measure in found.values() if measure.turn
        }
        self._contexts = {table: contexts.get(table, ()) for table in tables}
        self._kinds = kinds_with(self._contexts, kinds)
        self._sources = {table: RowSource() for table in tables}
        self._arrays: dict[str, list[str]] = {table: [] for table in tables}
        self._slots: dict[str, int] = {}
        self._groups = [self._group(table, at, found) for (table, at, *_), found in groups.items()]
        self._rows = {
            table: compiled(f"rows_of_{table}", "c, zeros, ones", source, f"[{', '.join(self._arrays[table])}]")
            for table, source in self._sources.items()
        }
        self._formulas = self._compiled_formulas()

    @property
    def tables(self) -> list[str]:
        """The tables whose rows are needed."""
        others = {context.source for made in self._contexts.values() for context in made if context.source}
        return sorted({*self._contexts, *others})

    def at(
        self, customer: Mapping[str, Any], tables: Mapping[str, Rows], as_of: dt.date, frozen: Frozen
    ) -> dict[str, Any]:
        """Compute the features of one customer as of a date.

        Parameters
        ----------
        customer : mapping
            The customer's columns: times in microseconds since 1970, null as None.
        tables : mapping of mapping of array
            Rows as known at T: numbers, times and booleans as float64 (nan for null), texts as objects.
        as_of : datetime.date
            T.
        frozen : Frozen
            What is looked up of everyone, as of T or the last date before.

        Returns
        -------
        dict
            The features by name, null as None, times in microseconds since 1970.
        """
        instant = microseconds_of(start_of(as_of))
        columns: dict[str, dict[str, Array]] = {}
        arrays: dict[str, list[Array]] = {}
        for table, made in self._contexts.items():
            columns[table] = rows = dict(tables[table])
            for context in made:
                rows[context.name] = _context(context, rows, tables[context.source] if context.source else rows)
            count = len(rows[SCHEMAS[table].event])
            arrays[table] = self._rows[table](rows, np.zeros(count, bool), np.ones(count, bool))
        found: list[Any] = [None] * len(self._slots)
        sorted_rows: _SortedRows = {}
        for group in self._groups:
            _measure(group, columns, arrays, instant, sorted_rows, found)
        values = self._formulas(found, customer, int(instant // DAY_US))
        features = dict(zip(self._names, values, strict=True))
        for feature in self._looking_up:
            features[feature.name] = _looked_up(feature, features[feature.name], frozen)
        return features

    def _array(self, table: str, expression: str) -> int:
        arrays = self._arrays[table]
        if expression not in arrays:
            arrays.append(expression)
        return arrays.index(expression)

    def _group(self, table: str, at: str, measures: Mapping[str, Measure]) -> _Group:
        group = _Group(table, at, next(iter(measures.values())).turn)
        if group.turn and group.turn.where is not None:
            source = self._sources[group.turn.source]
            rows = Columns(self._graph, group.turn.source, self._kinds[group.turn.source])
            where = resolved(group.turn.where, rows)
            group.turned = self._array(group.turn.source, source.condition(where))
        for key, measure in measures.items():
            self._slots[key] = len(self._slots)
            self._read(group, self._slots[key], measure)
        return group

    def _read(self, group: _Group, slot: int, measure: Measure) -> None:
        source, rows = self._sources[group.table], Columns(self._graph, group.table, self._kinds[group.table])
        value = None if measure.value is None else resolved(measure.value, rows)
        if measure.how in _KINDS and kind_of(value) not in _KINDS[measure.how]:
            raise ChurnmlError(f"the {measure.how} of a {kind_of(value)} is none", "use other words (docs/features.md)")
        where = None if measure.where is None else resolved(measure.where, rows)
        if kind_of(where) not in (None, "boolean"):
            raise ChurnmlError(f"where is a {kind_of(where)} and no condition", "compare it with something")
        wheres = [] if where is None else [source.condition(where)]
        span = group.span(measure)
        null = None if value is None or measure.how == "last" else source.null(value)
        conditions = " & ".join([*wheres, *([source.named(f"~{null}")] if null else [])]) or "ones"
        conditions = source.named(conditions)
        if measure.how in ("last", "days", "distinct"):
            places = self._array(group.table, source.value(value)), self._array(group.table, conditions)
            group.others.append((slot, measure.how, *places, span))
            return
        count = self._fold(group, "sum", conditions)
        if value is None or measure.how == "count":
            group.counts.append((slot, count, span))
            return
        filled = source.named(f"where({conditions}, {source.value(value)}, {_FOLDS[measure.how][1]})")
        group.folded.append((slot, measure.how, self._fold(group, measure.how, filled), count, span))

    def _fold(self, group: _Group, how: str, expression: str) -> int:
        place = self._array(group.table, expression)
        if place not in group.folds[how]:
            group.folds[how].append(place)
        return group.folds[how].index(place)

    def _compiled_formulas(self) -> Any:
        leaves: dict[str, str] = {}
        own = self._kinds["customers"]
        source = ScalarSource(leaves)
        results = []
        for number, feature in enumerate(self._features):
            row = formula_row(self._graph, number, feature, self._kinds)
            for name, measure in feature.inputs.items():
                leaves[f"{number} {name}"] = f"found[{self._slots[key_of(feature, measure)]}]"
            leaves |= {name: f"customer.get({name!r})" for name in own} | {"as_of_day": "as_of_day"}
            formula: Any = feature.pool.by if feature.pool else feature.formula
            result = resolved(formula, row)
            given = kind_of(result)
            if not feature.pool and given not in (None, _RESULTS[feature.dtype]):
                raise ChurnmlError(f"a {given} is no {feature.dtype}", "give another dtype or formula")
            value = source.value(result)
            filled = feature.empty is not None and not feature.pool
            value = f"({feature.empty!r} if {value} is None else {value})" if filled else value
            whole = feature.dtype == "int64" and not feature.pool
            results.append(f"None if {value} is None else round({value})" if whole else value)
        return compiled("formulas", "found, customer, as_of_day", source, f"[{', '.join(results)}]")


def kinds_with(contexts: Contexts, kinds: Mapping[str, Mapping[str, Kind]]) -> dict[str, dict[str, Kind]]:
    """Return the columns of every table, with those that rows get from other rows."""
    found = {table: dict(own) for table, own in kinds.items()}
    for table, made in contexts.items():
        found[table] |= {context.name: _kind_of(context, kinds[table]) for context in made}
    return found


def formula_row(graph: Graph, number: int, feature: Feature, kinds: Mapping[str, dict[str, Kind]]) -> Columns:
    """Return what the formula of a feature is resolved against.

    Names of measures are the feature's own: in the graph they get a name that no other feature has.
    """
    inputs = {name: _kind_of_measure(graph, feature, measure, kinds) for name, measure in feature.inputs.items()}
    return _Inputs(graph, number, kinds["customers"] | {"as_of_day": "number"}, inputs)


def _kind_of_measure(graph: Graph, feature: Feature, measure: Measure, kinds: Mapping[str, dict[str, Kind]]) -> Kind:
    if measure.how in ("count", "days", "distinct", "sum"):
        return "number"
    table = measure.source or feature.source
    kind: Kind = resolved(measure.value, Columns(graph, table, kinds[table])).kind
    return kind


class _Inputs(Columns):
    """What a formula sees: measures, the customer's own columns, and the date."""

    def __init__(self, graph: Graph, number: int, own: dict[str, Kind], inputs: dict[str, Kind]) -> None:
        super().__init__(graph, "customers", own)
        self._number, self._inputs = number, inputs

    def __getitem__(self, name: str) -> Any:
        if name in self._inputs:
            return self._graph.node("column", ("measure", f"{self._number} {name}"), self._inputs[name])
        return super().__getitem__(name)


def _kind_of(context: RowContext, kinds: Mapping[str, Kind]) -> Kind:
    if context.how == "rank":
        return "number"
    return kinds[context.value] if context.value else "time"


def _context(context: RowContext, rows: Rows, other: Rows) -> Array:
    """Return what rows get from others; customers have few of the rows that have contexts."""
    by = rows[context.by].tolist()
    if context.how == "rank":
        found = np.empty(len(by))
        found[np.argsort(by, kind="stable")] = np.arange(len(by))
        return found
    same = list(zip(*(rows[name].tolist() for name in context.same), strict=True)) or [()] * len(by)
    if context.source:
        times = sorted(other[SCHEMAS[context.source].event].tolist())
        places = np.searchsorted(times, by, side="left")
        return np.array([times[place - 1] if place else np.nan for place in places.tolist()], dtype=np.float64)
    taken = rows[context.value or context.by].tolist()
    lowest: dict[Any, dict[float, float]] = {}  # by what is shared, and moment
    for moment, value, shared in zip(by, taken, same, strict=True):
        if None not in shared:
            moments = lowest.setdefault(shared, {})
            moments[moment] = np.fmin(moments.get(moment, np.nan), value)
    before = {
        (shared, moment): moments[earlier]
        for shared, moments in lowest.items()
        for earlier, moment in pairwise(sorted(moments))
    }
    return np.array([before.get(key, np.nan) for key in zip(same, by, strict=True)], dtype=np.float64)


def _measure(
    group: _Group,
    columns: Mapping[str, Rows],
    arrays: Mapping[str, Sequence[Array]],
    instant: float,
    sorted_rows: _SortedRows,
    found: list[Any],
) -> None:
    """Find the measures of a group; those of which there is nothing stay null."""
    times, rows = columns[group.table][group.at], arrays[group.table]
    if not len(times):
        return
    end = instant
    if group.turn:
        turns = columns[group.turn.source][SCHEMAS[group.turn.source].event]
        counted = (turns >= instant - group.turn.window * DAY_US) & (turns < instant)
        if group.turned is not None:
            counted &= arrays[group.turn.source][group.turned]
        if not counted.any():
            return
        end = float(turns[counted].max() // DAY_US * DAY_US)
    if (group.table, group.at) not in sorted_rows:
        negative = -times
        order = negative.argsort(kind="stable")
        sorted_rows[group.table, group.at] = order, negative[order]
    order, aged = sorted_rows[group.table, group.at]  # the newest first
    bounds = aged.searchsorted(np.maximum(group.edges - end, -instant), side="right")
    starts, stops = bounds[::2], bounds[1::2]
    nothing = starts == stops
    empty = nothing.tolist()
    folded = {how: _folded(how, rows, made, order, bounds, nothing) for how, made in group.folds.items() if made}
    for slot, count, number in group.counts:
        if not empty[number]:
            found[slot] = int(folded["sum"][count][number])
    for slot, how, place, count, number in group.folded:
        if folded["sum"][count][number]:
            found[slot] = folded[how][place][number]
    for slot, how, place, chosen, number in group.others:
        if not empty[number]:
            inside = order[starts[number] : stops[number]]
            inside = inside[rows[chosen][inside]]
            values = rows[place][inside]
            found[slot] = _last(values, times[inside]) if how == "last" else len(set(values.tolist())) or None


def _folded(
    how: str, rows: Sequence[Array], places: Sequence[int], order: Array, bounds: Array, nothing: Array
) -> list[list[float]]:
    """Fold arrays over slices of their rows: for each array, a number for each slice."""
    folding, neutral = _FOLDS[how]
    stacked = np.empty((len(places), len(order) + 1))
    stacked[:, -1] = neutral
    np.array([rows[place] for place in places], np.float64).take(order, axis=1, out=stacked[:, :-1], mode="clip")
    results = folding.reduceat(stacked, bounds, axis=1)[:, ::2]
    results[:, nothing] = neutral
    return results.tolist()  # type: ignore[no-any-return]


def _edges(span: Span) -> tuple[float, float]:
    """Return the ages, in microseconds, at which a window's rows begin and end, the newest first."""
    window, until, after = span
    length = np.inf if window is None else window * float(DAY_US)
    return (-length, 0.0) if after else (until * float(DAY_US), length)


def _last(values: Array, times: Array) -> Any:
    """Return the lowest value of the newest rows, which come first."""
    if not len(values):
        return None
    there = [value for value in values[times == times[0]].tolist() if value is not None and value == value]
    return min(there, default=None)


def _looked_up(feature: Feature, value: Any, frozen: Frozen) -> Any:
    table = frozen.table(feature.name)
    if feature.pool:
        return table.get(None if value is None or str(value) not in table else str(value))
    return value if value is None or value in table else OTHER
