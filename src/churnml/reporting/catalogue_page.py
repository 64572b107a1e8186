"""The catalogue as one page: what each feature means, how often it is there, how it is spread, and whether it moves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import jensenshannon

from churnml.columns import AS_OF
from churnml.feature_extraction.declare import Feature
from churnml.reporting.pages import write_page
from churnml.scoring.reasons import readable
from churnml.wording import Language, say

_BARS = 16
_VALUES = 6  # of a text that are shown
_UNSTABLE = 0.1  # distance between the first and the last date


def write_catalogue(
    panel: pd.DataFrame, features: Sequence[Feature], target: Path, *, project: str, lang: Language = "en"
) -> None:
    """Write the catalogue of a panel as one HTML file that asks nothing of the network.

    Parameters
    ----------
    panel : DataFrame
        Features at one or more dates.
    features : sequence of Feature
        What is told of.
    target : Path
        The file to make; it appears whole, or not at all.
    project : str
        Whose features they are.
    lang : {"en", "zh"}
        Language.

    Raises
    ------
    ChurnmlError
        If the file cannot be written.
    """
    dates = sorted(panel[AS_OF].unique())
    parts = [panel[panel[AS_OF] == day] for day in dates]
    themes: dict[str, list[Feature]] = {}
    for feature in features:
        themes.setdefault(feature.theme, []).append(feature)
    facts = {
        "t": lambda key, **facts: say(key, lang, **facts),
        "lang": "zh-CN" if lang == "zh" else "en",
        "project": project,
        "dates": [f"{pd.Timestamp(day):%Y-%m-%d}" for day in dates],
        "rows": len(parts[-1]),
        "count": len(features),
        "themes": [
            {
                "name": theme,
                "features": [_told(feature, [part[feature.name] for part in parts], lang) for feature in of],
            }
            for theme, of in themes.items()
        ],
    }
    write_page("catalogue.html.j2", target, facts)


def shift(first: pd.Series[Any], last: pd.Series[Any]) -> float:
    """Return how far a column has moved: the Jensen-Shannon distance (Lin, 1991), base 2, of its values' shares.

    Numbers are cut at the tenths of the first; nulls are a share of their own. 0 is not at all, 1 is altogether.
    """
    if pd.api.types.is_numeric_dtype(first) or pd.api.types.is_datetime64_any_dtype(first):
        edges = np.unique(
            first.dropna().astype("float64" if first.dtype.kind != "M" else "int64").quantile(np.linspace(0, 1, 11))
        )
        first, last = (_binned(column, edges) for column in (first, last))
    shares = [column.astype("str").fillna("-").value_counts(normalize=True) for column in (first, last)]
    both = pd.concat(shares, axis=1).fillna(0).to_numpy()
    return float(np.nan_to_num(jensenshannon(both[:, 0], both[:, 1], base=2)))


def _binned(column: pd.Series[Any], edges: Any) -> pd.Series[Any]:
    numbers = column.astype("int64").astype("float64") if column.dtype.kind == "M" else column.astype("float64")
    places = np.searchsorted(edges, numbers.to_numpy(), side="right").astype(float)
    return pd.Series(np.where(column.isna(), -1.0, places), index=column.index)


def _told(feature: Feature, columns: list[pd.Series[Any]], lang: Language) -> dict[str, Any]:
    last = columns[-1]
    moved = shift(columns[0], last) if len(columns) > 1 else None
    return {
        "name": feature.name,
        "source": feature.source,
        "window": feature.window,
        "unit": feature.unit,
        "meaning": feature.meaning,
        "phrase": feature.phrase_zh if lang == "zh" else feature.phrase_en,
        "coverage": [round(100 * float(column.notna().mean())) for column in columns],
        "shift": None if moved is None else f"{moved:.2f}",
        "unstable": moved is not None and moved > _UNSTABLE,
        **_spread(last),
    }


def _spread(column: pd.Series[Any]) -> dict[str, Any]:
    """Return bars of numbers, between their first and last hundredths, or the most frequent texts."""
    there = column.dropna()
    if there.empty:
        return {"bars": [], "low": "", "high": "", "values": []}
    if pd.api.types.is_numeric_dtype(there) and not pd.api.types.is_bool_dtype(there):
        numbers = there.astype("float64")
        low = float(numbers.quantile(0.01, interpolation="lower"))
        high = float(numbers.quantile(0.99, interpolation="higher"))
        counts, _ = np.histogram(numbers, bins=_BARS, range=(low, high if high > low else low + 1))
        bars = [round(100 * count / counts.max()) for count in counts.tolist()]
        return {"bars": bars, "low": readable(low), "high": readable(high), "values": []}
    shares = there.astype("str").value_counts(normalize=True).head(_VALUES)
    return {"bars": [], "low": "", "high": "", "values": [(name, round(100 * part)) for name, part in shares.items()]}
