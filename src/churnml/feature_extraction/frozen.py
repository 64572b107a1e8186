"""What features look up of everyone, as of one date: a small table that goes wherever one customer is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa

from churnml.feature_extraction.declaration import NOTHING, Feature

OTHER = "other"
SCHEMA = pa.schema([("feature", pa.string()), ("key", pa.string()), ("value", pa.float64())])

_SUMS = pa.schema([*list(SCHEMA)[:2], ("numerator", pa.float64()), ("denominator", pa.float64())])


@dataclass(frozen=True)
class Frozen:
    """The rates of groups, and the frequent values.

    Attributes
    ----------
    tables : mapping of dict
        By feature: the rate of each group, under None that of everyone; or the frequent values with their counts.
    """

    tables: Mapping[str, Mapping[str | None, float | None]]

    @classmethod
    def of(cls, features: Sequence[Feature], sums: pa.Table) -> Self:
        """Make the tables of features from the sums of their groups (see `engine.sums_of_groups`)."""
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in sums.cast(_SUMS).to_pylist():  # DuckDB adds up constants as decimals
            groups.setdefault(row.pop("feature"), []).append(row)
        return cls(
            {feature.name: _table(feature, groups[feature.name]) for feature in features if feature.name in groups}
        )

    def to_arrow(self) -> pa.Table:
        """Return it as rows of ``feature``, ``key`` and ``value``."""
        rows = [(name, key, value) for name, table in self.tables.items() for key, value in table.items()]
        return pa.table([list(column) for column in zip(*rows, strict=True)] or [[], [], []], schema=SCHEMA)

    def table(self, feature: str) -> Mapping[str | None, float | None]:
        """Return the table of a feature; empty where nothing was frozen of it."""
        return self.tables.get(feature, {})

    def to_dict(self) -> dict[str, list[list[Any]]]:
        """Return it as JSON knows it: pairs of key and value by feature."""
        return {name: [list(pair) for pair in table.items()] for name, table in self.tables.items()}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Sequence[Sequence[Any]]]) -> Self:
        """Return what `to_dict` gave."""
        return cls({name: {key: value for key, value in pairs} for name, pairs in kept.items()})  # noqa: C416


def _table(feature: Feature, groups: Sequence[Mapping[str, Any]]) -> dict[str | None, float | None]:
    if feature.pool is None:
        counted = [(group["key"], group["numerator"]) for group in groups if group["key"] is not None]
        return dict(sorted(counted, key=lambda pair: (-pair[1], pair[0]))[: feature.frequent])
    groups = sorted(groups, key=lambda group: (group["key"] is not None, group["key"] or ""))
    part, whole = (sum(group[name] for group in groups) for name in ("numerator", "denominator"))
    if whole <= NOTHING:
        return {None: None}
    everyone, weight = part / whole, feature.pool.weight
    rates = {
        group["key"]: (group["numerator"] + weight * everyone) / (group["denominator"] + weight)
        for group in groups
        if group["key"] is not None
    }
    return {None: everyone, **rates}
