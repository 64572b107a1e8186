"""Declarations as plain data: traced once, kept as JSON, and compiled by the online engine where there is no ibis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from churnml.errors import ChurnmlError
from churnml.feature_extraction.declaration import Contexts, Feature, Measure, Pool, RowContext, Turn, source_of
from churnml.feature_extraction.online import Online, formula_row, kinds_with, resolved
from churnml.feature_extraction.tracing import OPS, Columns, Graph, Node
from churnml.tables.schema import Kind

Kinds = Mapping[str, Mapping[str, Kind]]

_NOTHING_TO_READ: dict[str, Any] = {"unit": "", "meaning": "", "phrase_en": "", "phrase_zh": ""}
_LISTED = ("name", "source", "empty", "dtype", "frequent", "theme")


@dataclass
class _Steps:
    """Nodes as rows of ``op``, ``args``, ``kind``; an argument is ``[number]`` of an earlier row, or a constant."""

    rows: list[list[Any]] = field(default_factory=list)
    places: dict[Node, int] = field(default_factory=dict)

    def of(self, value: Any) -> Any:
        """Return how a node or constant is written."""
        if not isinstance(value, Node):
            return value
        if value not in self.places:
            args = [self.of(arg) for arg in value.args]
            self.places[value] = len(self.rows)
            self.rows.append([value.op, args, value.kind])
        return [self.places[value]]


def recorded(features: Sequence[Feature], contexts: Contexts, kinds: Kinds) -> dict[str, Any]:
    """Return declarations as JSON knows them.

    Parameters
    ----------
    features : sequence of Feature
        Whose values are asked for; what people read of them is left out.
    contexts : mapping of tuple of RowContext
        Columns that rows of a table get from other rows, by table.
    kinds : mapping of mapping of str
        The columns of every table (see `catalogue.columns_of`).

    Returns
    -------
    dict
        ``kinds``, ``contexts``, ``steps`` and ``features``.

    Raises
    ------
    ChurnmlError
        If a declaration uses a column that is not there, or a word that not every engine knows.
    """
    graph, steps = Graph(), _Steps()
    all_kinds = kinds_with(contexts, kinds)

    def traced(expression: Any, table: str) -> Any:
        return steps.of(resolved(expression, Columns(graph, table, all_kinds[table])))

    listed = []
    for number, feature in enumerate(features):
        inputs = {}
        for name, measure in feature.inputs.items():
            table, turn = source_of(feature, measure), measure.turn
            inputs[name] = {
                **{word: getattr(measure, word) for word in ("how", "at", "window", "until", "source", "after")},
                "value": traced(measure.value, table),
                "where": traced(measure.where, table),
                "turn": turn
                and {"source": turn.source, "window": turn.window, "where": traced(turn.where, turn.source)},
            }
        row = formula_row(graph, number, feature, all_kinds)
        listed.append(
            {
                **{word: getattr(feature, word) for word in _LISTED},
                "inputs": inputs,
                "formula": steps.of(resolved(feature.pool.by if feature.pool else feature.formula, row)),
                "pooled": feature.pool is not None,
            }
        )
    made = {table: [asdict(context) for context in found] for table, found in contexts.items()}
    return {
        "kinds": {table: dict(found) for table, found in kinds.items()},
        "contexts": made,
        "steps": steps.rows,
        "features": listed,
    }


@dataclass(frozen=True)
class Recorded:
    """Declarations that were kept.

    Attributes
    ----------
    features : list of Feature
        Their expressions are nodes already; what people read of them is empty.
    contexts : mapping of tuple of RowContext
        Columns that rows of a table get from other rows, by table.
    kinds : mapping of mapping of str
        The columns of every table.
    """

    features: list[Feature]
    contexts: Contexts
    kinds: Kinds

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        """Read what `recorded` gave.

        Raises
        ------
        ChurnmlError
            If it is nothing that `recorded` gives.
        """
        try:
            nodes: list[Node] = []
            graph = Graph()
            for op, args, kind in kept["steps"]:
                if op not in OPS:
                    raise ValueError(op)
                nodes.append(graph.node(op, tuple(_read(arg, nodes) for arg in args), kind))
            features = [_feature(one, nodes) for one in kept["features"]]
            contexts = {
                table: tuple(RowContext(**{**one, "same": tuple(one["same"])}) for one in found)
                for table, found in kept["contexts"].items()
            }
            return cls(features, contexts, kept["kinds"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ChurnmlError(f"the recorded features cannot be read ({error!r})", "publish again") from None

    def engine(self) -> Online:
        """Return the engine that computes them."""
        return Online(self.features, self.contexts, self.kinds)


def _read(written: Any, nodes: Sequence[Node]) -> Any:
    return nodes[written[0]] if isinstance(written, list) else written


def _feature(kept: Mapping[str, Any], nodes: Sequence[Node]) -> Feature:
    inputs = {name: _measure(one, nodes) for name, one in kept["inputs"].items()}
    formula = _read(kept["formula"], nodes)
    pool = Pool(formula, None, None, 0.0) if kept["pooled"] else None
    words = {word: kept[word] for word in _LISTED}
    return Feature(**words, **_NOTHING_TO_READ, inputs=inputs, formula=formula, pool=pool)


def _measure(kept: Mapping[str, Any], nodes: Sequence[Node]) -> Measure:
    turn = kept["turn"]
    expressions = {word: _read(kept[word], nodes) for word in ("value", "where")}
    around = turn and Turn(turn["source"], turn["window"], _read(turn["where"], nodes))
    return Measure(**{**kept, **expressions, "turn": around})
