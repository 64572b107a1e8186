"""What drives departures among many customers, and what has changed from one date to another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from churnml.columns import CHURN_PROBABILITY, CUSTOMER_ID
from churnml.models.churn import ChurnClassifier
from churnml.scoring.reasons import LEAST as LEAST_OF_ONE
from churnml.scoring.reasons import MOST, ThemeEffects, hidden_of, sentence_of_change
from churnml.wording import Language

_TEXTS: dict[str, Language] = {"text_en": "en", "text_zh": "zh"}
_FEWEST = 20  # customers that a group must have
LEAST = 0.01  # log-odds: the mean of many moves by less than one of them does


def drivers(effects: ThemeEffects, scores: pd.DataFrame, groups: Mapping[str, pd.Series[Any]]) -> list[dict[str, Any]]:
    """Tell what sets the customers of each group apart.

    Parameters
    ----------
    effects : ThemeEffects
        What each theme adds to each customer's log-odds.
    scores : DataFrame of shape (n, columns)
        Their scores, with reasons, in the same order.
    groups : mapping of Series of shape (n,)
        By what customers are grouped, such as ``segment``, and the group of each; null is none.

    Returns
    -------
    list of dict
        For each group of 20 customers or more, that of all first (``by`` and ``group`` null): ``by``, ``group``,
        ``customers``, ``churn_probability`` (their mean) and ``themes``: ``code``, ``effect`` (what the theme adds on
        average to their log-odds, less what it adds to those of all; null for all) and ``first`` (the share of them
        whose first reason it is), the most frequent first reason at the top.
    """
    first = pd.Series([reasons[0]["code"] if reasons else None for reasons in scores["reasons"]], dtype="object")
    average = effects.table.mean()
    told = [_group(None, None, np.ones(len(scores), dtype=bool), effects, scores, first, average)]
    for by, column in groups.items():
        names = column.reset_index(drop=True)
        for name, count in names.value_counts().items():
            if count >= _FEWEST:
                told.append(_group(by, str(name), (names == name).to_numpy(), effects, scores, first, average))
    return told


def _group(
    by: str | None,
    name: str | None,
    inside: Any,
    effects: ThemeEffects,
    scores: pd.DataFrame,
    first: pd.Series[Any],
    average: pd.Series[float],
) -> dict[str, Any]:
    shares = first[inside].value_counts() / int(inside.sum())
    added = effects.table[inside].mean() - average
    themes = [
        {
            "code": theme,
            "effect": None if by is None else float(added[theme]),
            "first": float(shares.get(theme, 0.0)),
        }
        for theme in added.sort_values(ascending=False, kind="stable").index
    ]
    return {
        "by": by,
        "group": name,
        "customers": int(inside.sum()),
        CHURN_PROBABILITY: float(scores[CHURN_PROBABILITY].to_numpy()[inside].mean()),
        "themes": sorted(themes, key=lambda theme: -theme["first"]),
    }


def changed(
    model: ChurnClassifier,
    before: pd.DataFrame,
    now: pd.DataFrame,
    said: Sequence[Mapping[str, Any]],
    sensitive: Collection[str] = (),
) -> dict[str, Any]:
    """Tell what has changed for the customers of both dates, and why.

    Parameters
    ----------
    model : ChurnClassifier
        The same for both dates.
    before, now : DataFrame
        Panels of two dates, with ``customer_id``.
    said : sequence of mapping
        What is said of each feature (see `reasons.sayings`).
    sensitive : collection of str
        Attributes of customers that are not told.

    Returns
    -------
    dict
        ``customers`` of both dates, ``joined`` and ``gone`` (of one alone), ``churn_probability_before`` and
        ``churn_probability`` (their means), and ``themes``, the largest change first: ``code``, ``effect`` (by how much
        more it adds to their log-odds now; all together they are the whole change before calibration), ``text_en`` and
        ``text_zh`` (of the features of the theme that read otherwise than before, the one that moves it most; in the
        mean where customers are several), all null where there is none.
    """
    kept = pd.Index(now[CUSTOMER_ID]).intersection(pd.Index(before[CUSTOMER_ID]))
    names = list(model.columns_.kinds)
    frames = [frame.set_index(CUSTOMER_ID).loc[kept, names].reset_index(drop=True) for frame in (before, now)]
    earlier, later = (ThemeEffects.of(model, frame, said) for frame in frames)
    moved = (later.added - earlier.added).mean()
    means = [model.predict_proba(frame)[:, 1].mean() if len(kept) else float("nan") for frame in frames]
    known = {str(saying["feature"]): saying for saying in said}
    hidden = hidden_of(said, sensitive)
    themes: list[tuple[float, dict[str, Any]]] = []
    for theme, own in later.names.items():
        effect = float(moved[own].sum())
        if not abs(effect) >= (LEAST_OF_ONE if len(kept) == 1 else LEAST):
            continue
        towards = moved[[name for name in own if name not in hidden]] * np.sign(effect)
        told: dict[str, Any] = {"feature": None, **dict.fromkeys(_TEXTS)}
        for name in towards[towards > 0].sort_values(ascending=False, kind="stable").index:
            then, today = (frame[name] for frame in frames)
            texts = {text: sentence_of_change(known[name], then, today, lang) for text, lang in _TEXTS.items()}
            if all(texts.values()):
                told = {"feature": name, **texts}
                break
        themes.append((effect, {"code": theme, "effect": effect, **told}))
    return {
        "customers": len(kept),
        "joined": len(now) - len(kept),
        "gone": len(before) - len(kept),
        f"{CHURN_PROBABILITY}_before": float(means[0]),
        CHURN_PROBABILITY: float(means[1]),
        "themes": [theme for _, theme in sorted(themes, key=lambda one: -abs(one[0]))[: 2 * MOST]],
    }
