"""Why a customer would leave: what pushes the log-odds up, by theme, in sentences with the customer's figures."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churnml.columns import CHURNED, CUSTOMER_ID, WEIGHT
from churnml.feature_extraction.declaration import Feature
from churnml.models.churn import ChurnClassifier
from churnml.models.columns_of import PlainRows
from churnml.models.contributions import Contributions
from churnml.wording import Language, say

Array = NDArray[np.float64]

MOST = 3
_ABOUT = 0.05  # of the usual value: "64 (usual: 65)" is no reason to anybody
_MORE = 0.2  # of everyone's rate: a text whose customers leave hardly more often than all is no reason
_FLAG = "0 or 1"  # the unit of what is so or is not
_USUALLY = 0.5  # of all must have a value: the median of the few who have one is not what is usual
_ENOUGH = 30  # customers of a text, from which on it is told how many of them left
_PHRASES = ("phrase", "phrase_negative", "phrase_nothing")
_BOTH: tuple[Language, ...] = ("en", "zh")
LEAST = 0.05  # log-odds: what moves a chance of 5 % by less than a quarter of a point is no reason


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

    def without(self, hidden: Collection[str]) -> Self:
        """Leave some features out, and themes that have no others."""
        names = {theme: [name for name in own if name not in hidden] for theme, own in self.names.items()}
        kept = {theme: own for theme, own in names.items() if own}
        return type(self)(self.added[[name for own in kept.values() for name in own]], kept)


def sayings(
    features: Sequence[Feature], rows: pd.DataFrame, currency: str = "", learned: pd.DataFrame | None = None
) -> list[dict[str, Any]]:
    """Return what is said of each feature, and what is usual: this travels with a model.

    Parameters
    ----------
    features : sequence of Feature
        What the model reads.
    rows : DataFrame
        The panel at the last date of training.
    currency : str
        The currency of the configuration.
    learned : DataFrame, optional
        The rows that the model learned from: features, ``customer_id``, ``churned`` and their weight.

    Returns
    -------
    list of dict
        ``feature``, ``theme``, ``unit``, the phrases and ``worse`` of its declaration; ``column`` (the operator's own
        that it, or its groups, are made of; or null); ``currency`` (empty where it is no money); ``covered`` (share of
        rows with a value), ``middle`` (the median of numbers) and ``usual`` (the same, null unless half or more of the
        rows have a value); of text ``left`` (the share that left of each value that 30 customers or more had) and
        ``left_of_all``.
    """
    listed = []
    for feature in features:
        column = rows[feature.name]
        numeric = _is_number(column)
        middle = float(column.median()) if numeric and column.notna().any() else None
        covered = float(column.notna().mean()) if len(column) else 0.0
        told = learned if feature.dtype == "string" else None
        left, left_of_all = ({}, None) if told is None else _who_left(told, feature.name)
        listed.append(
            {
                "feature": feature.name,
                "theme": feature.theme,
                "unit": feature.unit,
                **{f"{phrase}_{lang}": getattr(feature, f"{phrase}_{lang}") for phrase in _PHRASES for lang in _BOTH},
                "worse": feature.worse,
                "column": feature.column or (feature.pool.attribute if feature.pool else None),
                "currency": currency if feature.unit == currency else "",
                "covered": covered,
                "middle": middle,
                "usual": middle if covered >= _USUALLY else None,
                "left": left,
                "left_of_all": left_of_all,
            }
        )
    return listed


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _who_left(learned: pd.DataFrame, name: str) -> tuple[dict[str, float], float | None]:
    """Return the share that left of each text that enough customers had, and of all, as the model learned it."""
    weight = learned[WEIGHT].to_numpy(dtype=float)
    parts = pd.DataFrame({"left": learned[CHURNED].to_numpy(dtype=float) * weight, "all": weight})
    level = learned[name].astype(object).reset_index(drop=True)
    sums = parts.groupby(level).sum()
    customers = learned[CUSTOMER_ID].reset_index(drop=True).groupby(level).nunique()
    shares = (sums["left"] / sums["all"])[customers >= _ENOUGH]
    whole = float(parts["all"].sum())
    return {str(text): float(share) for text, share in shares.items()}, (
        float(parts["left"].sum()) / whole if whole else None
    )


def hidden_of(said: Sequence[Mapping[str, Any]], sensitive: Collection[str]) -> set[str]:
    """Return the features that are made of attributes which the configuration calls sensitive: never told."""
    return {str(saying["feature"]) for saying in said if saying.get("column") in set(sensitive)}


def reasons(
    model: ChurnClassifier,
    rows: pd.DataFrame,
    said: Sequence[Mapping[str, Any]],
    sensitive: Collection[str] = (),
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
    sensitive : collection of str
        Attributes of customers that are no reason, nor counted in one.

    Returns
    -------
    list of list of dict
        For each row, the themes that add most to the log-odds, largest first, each only where it adds and has something
        to tell: ``code`` (the theme), ``feature`` (of the theme's that are neither as usual nor on the good side of it,
        the one that adds most), ``value`` (a number; null for text and for nothing), ``effect`` (what the theme adds,
        log-odds), ``text_en``, ``text_zh``.
    """
    added = model.contributions(rows)
    names = [str(name) for name in added]
    numbers = [rows[name].to_numpy(dtype=float, na_value=np.nan) if _is_number(rows[name]) else None for name in names]
    columns = [rows[name].astype(object).tolist() for name in names]
    return _Words(said, names, sensitive)(added.to_numpy(), numbers, columns)


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
    sensitive : collection of str
        Attributes of customers that are no reason.
    """

    def __init__(
        self,
        model: ChurnClassifier,
        said: Sequence[Mapping[str, Any]],
        times: Sequence[str] = (),
        sensitive: Collection[str] = (),
    ) -> None:
        self._model, self._times = model, frozenset(times)
        self._added, self._rows = Contributions(model.booster_, model.centres_, threads=1), PlainRows(model.columns_)
        self._names = list(model.columns_.kinds)
        self._words = _Words(said, self._names, sensitive)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
        """Return up to three reasons for each row."""
        columns = [[row[name] for row in rows] for name in self._names]
        numbers = [
            np.array(column, dtype=np.float64) if self._words.counted(name) else None
            for name, column in zip(self._names, columns, strict=True)
        ]
        for place, name in enumerate(self._names):
            if name in self._times:
                columns[place] = [
                    None if day is None else pd.Timestamp(0) + pd.Timedelta(days=day) for day in columns[place]
                ]
        return self._words(self._model.added(self._rows(rows), self._added), numbers, columns)


class _Words:
    """Chooses and words the reasons of rows.

    Parameters
    ----------
    said : sequence of mapping
        What is said of each feature.
    names : sequence of str
        The features that the model reads, in its order.
    sensitive : collection of str
        Attributes that are no reason.
    """

    def __init__(self, said: Sequence[Mapping[str, Any]], names: Sequence[str], sensitive: Collection[str]) -> None:
        known, hidden = {str(saying["feature"]): saying for saying in said}, hidden_of(said, sensitive)
        self._said = [known[name] for name in names]
        self._counted = {name for name in names if _middle(known[name]) is not None}
        themes: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            if name not in hidden:
                themes.setdefault(str(known[name]["theme"]), []).append(place)
        self._themes = list(themes.values())

    def counted(self, name: str) -> bool:
        """Tell whether a feature had numbers in the training."""
        return name in self._counted

    def __call__(
        self, added: Array, numbers: Sequence[Array | None], columns: Sequence[Sequence[Any]]
    ) -> list[list[dict[str, Any]]]:
        """Return up to three reasons for each row.

        Parameters
        ----------
        added : array of shape (n, features)
            What each feature adds to the log-odds.
        numbers, columns : sequence of array or list
            The values of each feature: as numbers, where it has them, and as they are.
        """
        found: list[list[dict[str, Any]]] = [[] for _ in added]
        if not self._themes:
            return found
        effects = np.column_stack([added[:, own].sum(axis=1) for own in self._themes])
        wanted = added > 0
        for theme, own in enumerate(self._themes):
            wanted[:, own] &= effects[:, [theme]] >= LEAST
        asked = set(np.flatnonzero(wanted.any(axis=0)).tolist())  # few for one customer, and each takes its time
        telling = np.zeros_like(added)
        for place in (place for own in self._themes for place in own if place in asked):
            telling[:, place] = added[:, place] * _tells(numbers[place], columns[place], self._said[place])
        leading = np.column_stack([np.array(own)[telling[:, own].argmax(axis=1)] for own in self._themes])
        effects[np.take_along_axis(telling, leading, axis=1) <= 0] = 0  # a theme with nothing unusual to say
        order = np.argsort(-effects, axis=1, kind="stable")[:, :MOST]
        for row, best in enumerate(order):
            for theme in best.tolist():
                effect = float(effects[row, theme])
                if effect < LEAST:
                    break
                place = leading[row, theme]
                found[row].append(_reason(self._said[place], columns[place][row], effect))
        return found


def _middle(saying: Mapping[str, Any]) -> float | None:
    middle: float | None = saying.get("middle", saying["usual"])
    return middle


def _tells(numbers: Array | None, column: Sequence[Any], saying: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return where a value is neither about the usual one nor plainly better; nothing tells where most have a value."""
    nothing = np.asarray(pd.isna(np.array(column, dtype=object)) if numbers is None else np.isnan(numbers))
    worse, of_nothing = saying.get("worse"), saying.get("phrase_nothing_en")
    tells = nothing & (saying.get("covered", 1.0) >= _USUALLY) & bool(of_nothing or not worse)
    middle = _middle(saying)
    if numbers is None:
        left, of_all = saying.get("left") or {}, saying.get("left_of_all") or 0.0
        more = [left.get(str(text), np.inf) > of_all * (1 + _MORE) for text in column]
        return np.where(nothing, tells, np.array(more, dtype=bool))
    if middle is None:
        return np.where(nothing, tells, True)
    above, about = numbers - middle, abs(middle) * _ABOUT
    far = {"higher": above > about, "lower": above < -about}.get(str(worse), np.abs(above) > about)
    return np.where(nothing, tells, far if worse or saying["usual"] is not None else True)


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
    if pd.isna(value):
        of_nothing = saying.get(f"phrase_nothing_{lang}")
        return _begun(of_nothing or say("reason_nothing", lang, phrase=saying[f"phrase_{lang}"]))
    if isinstance(value, bool | np.bool_) or saying["unit"] == _FLAG:
        return _begun(_stated(saying, say("yes" if value else "no", lang), lang))
    if not isinstance(value, int | float | np.number):
        rate, of_all = (saying.get("left") or {}).get(str(value)), saying.get("left_of_all")
        told = _stated(saying, _text(value), lang)
        if rate is not None and of_all is not None:
            told = say("reason_left", lang, told=told, share=_percent(rate), all=_percent(of_all))
        return _begun(told)
    number, usual = float(value), saying["usual"]
    told = _number_told(saying, number, lang)
    if usual is None or (_is_negative(saying, number, lang) and usual >= 0):
        return _begun(told)
    return _begun(say("beside_usual", lang, told=told, beside=_beside(saying, float(usual), number, lang)))


def sentence_of_change(
    saying: Mapping[str, Any], before: pd.Series[Any], now: pd.Series[Any], lang: Language
) -> str | None:
    """Return what a feature was and is: of one customer the value, of several the mean of those who have one.

    None where they read the same, and for the text of several customers.
    """
    columns = (before, now)
    told: list[str]
    if not (_is_number(now) or pd.api.types.is_bool_dtype(now)):
        if len(now) != 1:
            return None
        told = [say("nothing_there", lang) if column.isna().all() else _text(column.iloc[0]) for column in columns]
    else:
        means = [float(column.astype("float64").mean()) for column in columns]
        told = [say("nothing_there", lang) if pd.isna(mean) else _value(saying, mean) for mean in means]
        if saying["unit"] == _FLAG or pd.api.types.is_bool_dtype(now):
            so = [say("yes" if mean else "no", lang) if len(now) == 1 else _percent(mean) for mean in means]
            told = [text if pd.isna(mean) else one for text, mean, one in zip(told, means, so, strict=True)]
        elif len(now) == 1 and told[0] != told[1]:
            then, today = means
            nothing = saying.get(f"phrase_nothing_{lang}") or _stated(saying, told[1], lang)
            sentence = nothing if pd.isna(today) else _number_told(saying, today, lang)
            beside = told[0] if pd.isna(then) else _beside(saying, then, today, lang)
            return _begun(say("beside_before", lang, told=sentence, beside=beside))
    if told[0] == told[1]:
        return None
    return _begun(say("beside_before", lang, told=_stated(saying, told[1], lang), beside=told[0]))


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _stated(saying: Mapping[str, Any], value: str, lang: Language) -> str:
    return say("reason_value", lang, phrase=saying[f"phrase_{lang}"], value=value)


def _is_negative(saying: Mapping[str, Any], number: float, lang: Language) -> bool:
    """Return whether a number has words of its own because it is negative."""
    return number < 0 and bool(saying.get(f"phrase_negative_{lang}"))


def _number_told(saying: Mapping[str, Any], number: float, lang: Language) -> str:
    if _is_negative(saying, number, lang):
        return str(saying[f"phrase_negative_{lang}"]).replace("{}", _value(saying, -number))
    return _stated(saying, _value(saying, number), lang)


def _beside(saying: Mapping[str, Any], other: float, number: float, lang: Language) -> str:
    """Return a number that stands in brackets beside another one: with its words where these differ."""
    if _is_negative(saying, other, lang) == _is_negative(saying, number, lang):
        return _value(saying, abs(other) if _is_negative(saying, other, lang) else other)
    return _number_told(saying, other, lang)


def _value(saying: Mapping[str, Any], number: float) -> str:
    currency = saying.get("currency")
    if currency:
        return f"{readable(number)} {currency}"
    return f"{readable(100 * number)} %" if saying["unit"] == "share" else readable(number)


def _text(value: Any) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else str(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def readable(number: float) -> str:
    """Return a number with three or more significant digits, as people write it."""
    number = float(f"{number:.12g}")  # the last bits depend on the order in which sums are added up
    if number == round(number):
        return f"{number:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(number)))) if number else 0
    return f"{number:,.{min(digits, 4)}f}"
