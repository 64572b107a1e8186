"""Why a customer would leave: what pushes the log-odds up, by theme, in sentences with the customer's figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churnml.feature_extraction.declaration import Feature
from churnml.models.churn import ChurnClassifier
from churnml.models.columns_of import PlainRows
from churnml.models.contributions import Contributions
from churnml.wording import Language, say

Array = NDArray[np.float64]

MOST = 3
_ABOUT = 0.05  # of the usual value: "64 (usual: 65)" is no reason to anybody
_FLAG = "0 or 1"  # the unit of what is so or is not
LEAST = 0.01  # log-odds: what moves a chance of 5 % by less than a twentieth of a point is no reason


@dataclass(frozen=True)
class ThemeEffects:
    """What each theme adds to the log-odds of some customers.

    Attributes
    ----------
    added : DataFrame of shape (n, features)
        What each feature adds (see `ChurnClassifier.contributions`).
    names : mapping of list
        The features of each theme.
    """

    added: pd.DataFrame
    names: Mapping[str, list[str]]

    @classmethod
    def of(cls, model: ChurnClassifier, rows: pd.DataFrame, said: Sequence[Mapping[str, Any]]) -> Self:
        """Work them out for the features that a model reads."""
        added = model.contributions(rows)
        theme_of = {str(saying["feature"]): str(saying["theme"]) for saying in said}
        names: dict[str, list[str]] = {}
        for name in map(str, added):
            names.setdefault(theme_of[name], []).append(name)
        return cls(added, names)

    @property
    def table(self) -> pd.DataFrame:
        """The sums, n x themes."""
        return pd.DataFrame({theme: self.added[own].to_numpy().sum(axis=1) for theme, own in self.names.items()})


def sayings(features: Sequence[Feature], rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what is said of each feature, and what is usual: this travels with a model.

    Parameters
    ----------
    features : sequence of Feature
        What the model reads.
    rows : DataFrame
        The panel at the last date of training.

    Returns
    -------
    list of dict
        ``feature``, ``theme``, ``unit``, ``phrase_en``, ``phrase_zh`` and ``usual``: the median of numbers, else null.
    """
    listed = []
    for feature in features:
        column = rows[feature.name]
        numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        usual = float(column.median()) if numeric and column.notna().any() else None
        listed.append(
            {
                "feature": feature.name,
                "theme": feature.theme,
                "unit": feature.unit,
                "phrase_en": feature.phrase_en,
                "phrase_zh": feature.phrase_zh,
                "usual": usual,
            }
        )
    return listed


def reasons(
    model: ChurnClassifier, rows: pd.DataFrame, said: Sequence[Mapping[str, Any]]
) -> list[list[dict[str, Any]]]:
    """Give each customer up to three reasons to leave.

    Parameters
    ----------
    model : ChurnClassifier
        Whose predictions are explained.
    rows : DataFrame of shape (n, columns)
        The features that it reads.
    said : sequence of mapping
        What is said of each feature (see `sayings`).

    Returns
    -------
    list of list of dict
        For each row, the themes that add most to the log-odds, largest first, each only where it adds and has something
        to tell: ``code`` (the theme), ``feature`` (of the theme's that are not as usual, the one that adds most),
        ``value`` (a number; null for text and for nothing), ``effect`` (what the theme adds, log-odds), ``text_en``,
        ``text_zh``.
    """
    effects = ThemeEffects.of(model, rows, said)
    known = {str(saying["feature"]): saying for saying in said}
    names = [str(name) for name in effects.added]
    numbers = [
        None if known[name]["usual"] is None else rows[name].to_numpy(dtype=float, na_value=np.nan) for name in names
    ]
    columns = [rows[name].astype(object).tolist() for name in names]
    return _worded(effects.added.to_numpy(), names, known, numbers, columns)


class Explainer:
    """The reasons of a few rows that are dicts, as `reasons` has them of a frame.

    Parameters
    ----------
    model : ChurnClassifier
        Whose predictions are explained.
    said : sequence of mapping
        What is said of each feature (see `sayings`).
    times : sequence of str
        The features that are times; rows have them as days since 1970.
    """

    def __init__(self, model: ChurnClassifier, said: Sequence[Mapping[str, Any]], times: Sequence[str] = ()) -> None:
        self._model, self._times = model, frozenset(times)
        self._added, self._rows = Contributions(model.booster_, model.centres_, threads=1), PlainRows(model.columns_)
        self._known = {str(saying["feature"]): saying for saying in said}
        self._names = list(model.columns_.kinds)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
        """Return up to three reasons for each row."""
        added = self._model.added(self._rows(rows), self._added)
        columns = [[row[name] for row in rows] for name in self._names]
        numbers = [
            None if self._known[name]["usual"] is None else np.array(column, dtype=np.float64)
            for name, column in zip(self._names, columns, strict=True)
        ]
        for place, name in enumerate(self._names):
            if name in self._times:
                columns[place] = [
                    None if day is None else pd.Timestamp(0) + pd.Timedelta(days=day) for day in columns[place]
                ]
        return _worded(added, self._names, self._known, numbers, columns)


def _worded(
    added: Array,
    names: Sequence[str],
    known: Mapping[str, Mapping[str, Any]],
    numbers: Sequence[Array | None],
    columns: Sequence[Sequence[Any]],
) -> list[list[dict[str, Any]]]:
    """Choose and word the reasons of each row.

    Parameters
    ----------
    added : array of shape (n, features)
        What each feature adds to the log-odds.
    names : sequence of str
        The features.
    known : mapping
        What is said of each.
    numbers, columns : sequence
        The values of each: as numbers, where there is a usual one, and as they are.
    """
    themes: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        themes.setdefault(str(known[name]["theme"]), []).append(place)
    places = list(themes.values())
    effects = np.column_stack([added[:, own].sum(axis=1) for own in places])
    telling = added.copy()
    for place, (name, column) in enumerate(zip(names, numbers, strict=True)):
        if column is not None:
            telling[:, place] *= _tells(column, float(known[name]["usual"]))
    leading = np.column_stack([np.array(own)[telling[:, own].argmax(axis=1)] for own in places])
    effects[np.take_along_axis(telling, leading, axis=1) <= 0] = 0  # a theme with nothing unusual to say
    order = np.argsort(-effects, axis=1, kind="stable")[:, :MOST]
    found: list[list[dict[str, Any]]] = []
    for row, best in enumerate(order):
        found.append([])
        for theme in best.tolist():
            effect = float(effects[row, theme])
            if effect < LEAST:
                break
            place = leading[row, theme]
            found[-1].append(_reason(known[names[place]], columns[place][row], effect))
    return found


def _tells(numbers: Array, usual: float) -> NDArray[np.bool_]:
    """Return where a number is not about the usual one; nothing is never usual."""
    return ~(np.abs(numbers - usual) <= abs(usual) * _ABOUT)


def _reason(saying: Mapping[str, Any], value: Any, effect: float) -> dict[str, Any]:
    numeric = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    number = float(value) if numeric and np.isfinite(value) else None
    return {
        "code": saying["theme"],
        "feature": saying["feature"],
        "value": number,
        "effect": effect,
        "text_en": _sentence(saying, value, "en"),
        "text_zh": _sentence(saying, value, "zh"),
    }


def _sentence(saying: Mapping[str, Any], value: Any, lang: Language) -> str:
    phrase = str(saying[f"phrase_{lang}"])
    told = {"phrase": phrase[:1].upper() + phrase[1:], "unit": _unit(saying)}
    if pd.isna(value):
        return say("reason_nothing", lang, **told)
    if isinstance(value, bool | np.bool_) or saying["unit"] == _FLAG:
        return say("reason_text", lang, **told, value=say("yes" if value else "no", lang))
    if not isinstance(value, int | float | np.number):
        return say("reason_text", lang, **told, value=value)
    if saying["usual"] is None:
        return say("reason_text", lang, **told, value=_number(float(value), saying))
    value, usual = (_number(number, saying) for number in (float(value), float(saying["usual"])))
    return say("reason_number", lang, **told, value=value, usual=usual)


def sentence_of_change(
    saying: Mapping[str, Any], before: pd.Series[Any], now: pd.Series[Any], lang: Language
) -> str | None:
    """Return what a feature was and is, in the mean of those who have it; None where it has no numbers."""
    if saying["usual"] is None:
        return None
    means = [column.astype("float64").mean() for column in (before, now)]
    told = [say("nothing_there", lang) if pd.isna(mean) else _number(float(mean), saying) for mean in means]
    phrase = str(saying[f"phrase_{lang}"])
    facts = {"phrase": phrase[:1].upper() + phrase[1:], "unit": _unit(saying)}
    return say("reason_change", lang, **facts, before=told[0], value=told[1])


def _number(number: float, saying: Mapping[str, Any]) -> str:
    return f"{readable(100 * number)} %" if saying["unit"] == "share" else readable(number)


def _unit(saying: Mapping[str, Any]) -> str:
    """Return the unit where the phrase does not say it already: money only."""
    money = saying["theme"] in ("price", "payment") and str(saying["unit"]).isupper()
    return f" {saying['unit']}" if money else ""


def readable(number: float) -> str:
    """Return a number with three or more significant digits, as people write it."""
    number = float(f"{number:.12g}")  # the last bits depend on the order in which sums are added up
    if number == round(number):
        return f"{number:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(number)))) if number else 0
    return f"{number:,.{min(digits, 4)}f}"
