"""Pictures of how good the models are, of what drives churn and of where the money at risk lies.

Each function draws on a figure of its own and changes nothing global. Titles say what is seen.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from churnml.evaluation.metrics import mid_ranks
from churnml.wording import Language, say

WIDTH = 5.2  # inches
HEADER = 0.6  # inches above the axes that the title has to itself

# Okabe and Ito's colours, which people with any colour vision tell apart.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#AA4499"
INK, GREY, MID, PALE = "#1f2933", "#5f6b76", "#9aa5b1", "#d5dbe1"

_STYLE: Any = {
    "axes.edgecolor": PALE,
    "axes.facecolor": "none",
    "axes.grid": False,
    "axes.labelcolor": GREY,
    "axes.labelsize": 10,
    "axes.labelweight": "normal",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "font.size": 10.3,
    "text.color": INK,
    "text.parse_math": False,  # a name or currency may hold a $
    "xtick.color": GREY,
    "xtick.major.size": 3,
    "ytick.color": GREY,
    "ytick.major.size": 0,
}
_PANEL_COLORS = {"customers": PALE, "churn_probability": "#E69F00", "value_at_risk": "#56A0D3"}
_BASELINES = ((ORANGE, (0, (5, 2))), (GREEN, (0, (5, 2, 1, 2))), (PURPLE, (0, (2, 2))))
_BINS = 10
_Z = NormalDist().inv_cdf(0.975)

Numbers = NDArray[np.float64]


@matplotlib.rc_context(_STYLE)
def gain_and_lift(
    observed: ArrayLike, scores: Mapping[str, ArrayLike], lang: Language = "en", *, weight: ArrayLike | None = None
) -> Figure:
    """Draw which share of the leavers is found among those with the highest scores.

    Parameters
    ----------
    observed : array of shape (n,)
        1 for who left, 0 for who stayed.
    scores : mapping of str to array of shape (n,)
        Scores under the name to show, the higher the sooner contacted; the model first, then the baselines.
        Among equal scores the order counts as random.
    lang : {"en", "zh"}
        Language.
    weight : array of shape (n,), optional
        How many customers each row stands for; 1 by default.

    Returns
    -------
    Figure
        Share of leavers found (0-100 %) against share contacted (0-100 %), with each score's lift in the first tenth.

    Raises
    ------
    ValueError
        If lengths differ.
    """
    left, *_, weight = _aligned(observed, **scores, weight=_ones(weight, observed))
    if not left.sum():
        return _nothing(say("plot_nobody_left", lang), lang)
    shares = np.linspace(0, 1, 201)
    found = {name: np.interp(shares, *_gain(left, np.asarray(score, float), weight)) for name, score in scores.items()}
    best = next(iter(found.values()), shares)
    figure, axes = _canvas(say("plot_gain", lang, share=percent(_at_a_tenth(best))), 3.9, left=0.11)
    axes.plot([0, 1], [0, 1], color=MID, linewidth=1.2)
    axes.axvline(0.1, color=PALE, linewidth=0.8, zorder=0)
    for (_, found_by), (color, dashes, width) in reversed(list(zip(found.items(), _lines(found), strict=True))):
        axes.plot(shares, found_by, color=color, linestyle=dashes, linewidth=width)
        axes.plot([0.1], [_at_a_tenth(found_by)], "o", color=color, markersize=4 if width > 2 else 3)
    _tell_lifts(axes, found, lang)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xticks=np.arange(0, 1.1, 0.2), yticks=np.arange(0, 1.1, 0.2))
    _as_percent(axes.xaxis, axes.yaxis)
    _label(axes, say("plot_contacted", lang), say("plot_found", lang))
    return figure


def _lines(found: Mapping[str, Numbers]) -> list[tuple[str, Any, float]]:
    model = [(BLUE, "-", 2.4)]
    return model + [(*_BASELINES[i % len(_BASELINES)], 1.5) for i in range(len(found) - 1)]


def _tell_lifts(axes: Axes, found: Mapping[str, Numbers], lang: Language) -> None:
    """Write a legend with the lifts into the corner below the curves, which is always empty."""
    rows: list[tuple[str, float, str, Any, float]] = [
        (name, _at_a_tenth(found_by) * 10, *line)
        for (name, found_by), line in zip(found.items(), _lines(found), strict=True)
    ]
    rows.append((say("plot_at_random", lang), 1.0, MID, "-", 1.2))
    top = 0.06 + 0.082 * (len(rows) - 1)
    axes.text(0.985, top + 0.09, say("plot_lift", lang), ha="right", va="center", color=GREY, fontsize=9.8)
    for i, (name, lift, color, dashes, width) in enumerate(rows):
        height = top - 0.082 * i
        axes.plot([0.93, 0.985], [height, height], color=color, linestyle=dashes, linewidth=width)
        axes.text(0.91, height, f"{_shortened(name, 28)}  {lift:.1f}×", ha="right", va="center")


def _gain(left: Numbers, score: Numbers, weight: Numbers) -> tuple[Numbers, Numbers]:
    ranked = pd.DataFrame({"score": score, "all": weight, "left": left * weight}).groupby("score").sum()[::-1]
    shares = ranked.cumsum() / ranked.sum()
    return np.concatenate([[0.0], shares["all"]]), np.concatenate([[0.0], shares["left"]])


def _at_a_tenth(found: Numbers) -> float:
    return float(np.interp(0.1, np.linspace(0, 1, len(found)), found))


def share_found(
    observed: ArrayLike, score: ArrayLike, contacted: float = 0.1, *, weight: ArrayLike | None = None
) -> float:
    """Return which share of the leavers is among the customers with the highest scores.

    Parameters
    ----------
    observed, score : array of shape (n,)
        1 for who left, 0 for who stayed; the higher the sooner contacted. Among equal scores the order is random.
    contacted : float
        Share of customers to take, 0-1.
    weight : array of shape (n,), optional
        How many customers each row stands for; 1 by default.

    Returns
    -------
    float
        0-1, or nan where nobody left.

    Raises
    ------
    ValueError
        If lengths differ.
    """
    left, ranked, weight = _aligned(observed, score=score, weight=_ones(weight, observed))
    return float(np.interp(contacted, *_gain(left, ranked, weight))) if left.sum() else float("nan")


@matplotlib.rc_context(_STYLE)
def calibration(
    observed: ArrayLike, predicted: ArrayLike, lang: Language = "en", *, weight: ArrayLike | None = None
) -> Figure:
    """Draw which share left among customers with alike predicted risk.

    Parameters
    ----------
    observed : array of shape (n,)
        1 for who left, 0 for who stayed.
    predicted : array of shape (n,)
        Probabilities of leaving, 0-1.
    lang : {"en", "zh"}
        Language.
    weight : array of shape (n,), optional
        How many customers each row stands for; 1 by default.

    Returns
    -------
    Figure
        Share that left against mean prediction in up to ten bins of equally many customers (equal predictions share a
        bin), with Wilson's 95 % intervals, on square-root scales that give small risks room; below, how the
        predictions are spread.

    Raises
    ------
    ValueError
        If lengths differ.
    """
    left, risk, weight = _aligned(observed, predicted=predicted, weight=_ones(weight, observed))
    if not len(left):
        return _nothing(say("plot_no_rows", lang), lang)
    bins = _in_bins(risk, left, weight)
    low, high = _wilson(bins.mean, bins.size)
    end = min(1.0, 1.06 * max(high.max(), bins.predicted.max(), float(np.quantile(risk, 0.999))))
    title = say(
        "plot_calibration",
        lang,
        expected=risk @ weight,
        left=round(float(left @ weight)),
        customers=round(weight.sum()),
    )
    figure, axes = _canvas(title, 3.9, left=0.11, bottom=0.95)
    strip = figure.add_axes((0.11, 0.45 / 3.9, 0.845, 0.42 / 3.9), sharex=axes)
    axes.plot([0, end], [0, end], color=MID, linewidth=1.2)
    axes.text(end * 0.84, end * 0.84, say("plot_as_predicted", lang) + "  ", ha="right", va="bottom", color=GREY)
    axes.vlines(bins.predicted, low, high, color=BLUE, linewidth=1.4)
    axes.plot(bins.predicted, bins.mean, "o", color=BLUE, markersize=5.5)
    strip.hist(risk, bins=list(np.linspace(0, np.sqrt(end), 41) ** 2), weights=weight, color=PALE)
    axes.set_xscale("function", functions=(_root, np.square))
    axes.set_yscale("function", functions=(_root, np.square))
    axes.set(xlim=(0, end), ylim=(0, end), xticks=_root_ticks(end), yticks=_root_ticks(end))
    _as_percent(axes.xaxis, axes.yaxis)
    axes.tick_params(labelbottom=False)
    strip.set(yticks=[])
    strip.spines["left"].set_visible(False)
    _label(axes, "", say("plot_left", lang))
    _label(strip, say("plot_predicted_risk", lang), "")
    return figure


def _root(share: Numbers) -> Numbers:
    return np.sqrt(np.maximum(share, 0))


def _root_ticks(end: float) -> list[float]:
    """Choose ticks that lie apart on a square-root scale."""
    ticks = [0.0]
    for tick in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0):
        if tick <= end and np.sqrt(tick / end) - np.sqrt(ticks[-1] / end) >= 0.11:
            ticks.append(tick)
    return ticks


def _wilson(share: Numbers, count: Numbers) -> tuple[Numbers, Numbers]:
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)


@matplotlib.rc_context(_STYLE)
def value_by_decile(
    observed: ArrayLike,
    predicted: ArrayLike,
    lang: Language = "en",
    currency: str = "",
    *,
    weight: ArrayLike | None = None,
) -> Figure:
    """Draw what customers brought against what was predicted, from the lowest to the highest prediction.

    Parameters
    ----------
    observed, predicted : array of shape (n,)
        Realised and predicted value of each customer, in money; may be negative.
    lang : {"en", "zh"}
        Language.
    currency : str
        Unit of money.
    weight : array of shape (n,), optional
        How many customers each row stands for; 1 by default.

    Returns
    -------
    Figure
        Mean realised value with its 95 % interval, and mean prediction, in up to ten bins of equally many customers
        (equal predictions share a bin).

    Raises
    ------
    ValueError
        If lengths differ.
    """
    value, forecast, weight = _aligned(observed, predicted=predicted, weight=_ones(weight, observed))
    if not len(value):
        return _nothing(say("plot_no_rows", lang), lang)
    bins = _in_bins(forecast, value, weight)
    title = say(
        "plot_value",
        lang,
        brought=money(bins.mean[-1], currency, lang),
        predicted=money(bins.predicted[-1], currency, lang),
    )
    figure, axes = _canvas(title, 3.6, left=0.14)
    place = np.arange(len(bins.mean))
    half = _Z * bins.deviation / np.sqrt(bins.size)
    axes.bar(place, bins.mean, width=0.66, color=BLUE, alpha=0.75)
    axes.vlines(place, bins.mean - half, bins.mean + half, color=INK, linewidth=1.2)
    axes.plot(place, bins.predicted, "D", color="white", markeredgecolor=ORANGE, markeredgewidth=1.8, markersize=6)
    axes.axhline(0, color=PALE, linewidth=1)
    for i, (mark, color, word) in enumerate((("s", BLUE, "plot_brought"), ("D", ORANGE, "plot_predicted"))):
        height = 0.95 - 0.085 * i
        fill = "white" if mark == "D" else color
        axes.plot(
            [0.03], [height], mark, color=fill, markeredgecolor=color, markersize=6, transform=axes.transAxes,
            clip_on=False,
        )  # fmt: skip
        axes.text(0.06, height, say(word, lang), va="center", transform=axes.transAxes)
    top = max((bins.mean + half).max(), bins.predicted.max(), 0)
    bottom = min((bins.mean - half).min(), bins.predicted.min(), 0)
    spread = (top - bottom) or 1.0
    axes.set(xlim=(-0.6, len(place) - 0.4), ylim=(bottom - (0.04 * spread if bottom < 0 else 0), top + 0.2 * spread))
    axes.set(xticks=place, xticklabels=[str(i + 1) for i in place])
    axes.yaxis.set_major_formatter(lambda amount, _: _number(amount, spread))
    _label(axes, say("plot_deciles", lang), _with_unit(say("plot_mean_value", lang), currency, lang))
    return figure


@matplotlib.rc_context(_STYLE)
def drivers(effects: pd.DataFrame, lang: Language = "en") -> Figure:
    """Draw what raises the risk of leaving.

    Parameters
    ----------
    effects : pandas.DataFrame
        One row for each reason: ``code``, ``label`` (in the language), ``effect`` (mean positive effect over
        customers, in log-odds) and ``share`` (0-1, of customers who have this reason). The ten largest are shown.
    lang : {"en", "zh"}
        Language.

    Returns
    -------
    Figure
        Bars of the effect, the largest on top, with the share of customers.
    """
    shown = effects.sort_values(["effect", "code"], ascending=[False, True]).head(10)
    if shown.empty:
        return _nothing(say("plot_no_reasons", lang), lang)
    title = say("plot_drivers", lang, reason=shown["label"].iloc[0])
    height = HEADER + 0.65 + 0.46 * len(shown)
    figure, axes = _canvas(title, height, left=0.02, right=0.98, bottom=0.45)
    place = np.arange(len(shown))
    end = max(float(shown["effect"].max()), 1e-9)
    axes.barh(place + 0.2, shown["effect"], height=0.36, color=BLUE)
    for at, (label, effect, share) in enumerate(zip(shown["label"], shown["effect"], shown["share"], strict=True)):
        axes.text(0, at - 0.22, _shortened(str(label), 52), va="center", ha="left")
        told = say("plot_share_of_customers", lang, share=percent(share))
        axes.text(max(effect, 0) + 0.015 * end, at + 0.21, told, va="center", color=GREY, fontsize=9.5)
    axes.set(xlim=(0, end * 1.42), ylim=(len(shown) - 0.4, -0.55), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    _label(axes, say("plot_effect", lang), "")
    return figure


@matplotlib.rc_context(_STYLE)
def segments(table: pd.DataFrame, lang: Language = "en", currency: str = "") -> Figure:
    """Draw how many customers each group has, how likely they leave, and how much money that puts at risk.

    Parameters
    ----------
    table : pandas.DataFrame
        One row for each group, in the order to show: ``group``, ``customers``, ``churn_probability`` (mean, 0-1) and,
        where there is a value model, ``value_at_risk`` (sum, in money).
    lang : {"en", "zh"}
        Language.
    currency : str
        Unit of money.

    Returns
    -------
    Figure
        Bars side by side, each with its number.
    """
    if table.empty:
        return _nothing(say("plot_no_rows", lang), lang)
    panels: list[tuple[str, str, Callable[[float], str]]] = [
        ("customers", say("plot_customers", lang), lambda count: f"{count:,.0f}"),
        ("churn_probability", say("plot_mean_risk", lang), percent),
    ]
    if "value_at_risk" in table:
        spread = float(table["value_at_risk"].abs().max())
        heading = _with_unit(say("plot_value_at_risk", lang), currency, lang)
        panels.append(("value_at_risk", heading, lambda amount: _compact(amount, spread, lang)))
    names, widths = 0.24, ((0.22, 0.22, 0.3) if len(panels) == 3 else (0.36, 0.36))
    height = HEADER + 0.5 + 0.32 * len(table)
    figure: Figure = Figure(figsize=(WIDTH, height))
    _entitle(figure, _segments_title(table, lang), height)
    for i, ((column, heading, told), width) in enumerate(zip(panels, widths, strict=True)):
        place = (names + sum(widths[:i]), 0.1 / height, width * 0.95, (height - HEADER - 0.4) / height)
        axes = figure.add_axes(place)
        _draw_panel(axes, table[column].to_numpy(float), told, _PANEL_COLORS[column])
        axes.text(0, 1.0, heading, transform=axes.transAxes, va="bottom", color=GREY, fontsize=9.5)
        for at, group in enumerate(table["group"] if i == 0 else ()):
            name = _shortened(str(group), 14)
            axes.text(-0.05, at, name, transform=axes.get_yaxis_transform(), ha="right", va="center")
    return figure


def _draw_panel(axes: Axes, amounts: Numbers, told: Callable[[float], str], color: str) -> None:
    end = max(float(np.abs(amounts).max()), 1e-9)
    axes.barh(np.arange(len(amounts)), amounts, height=0.62, color=color)
    for at, amount in enumerate(amounts):
        axes.text(max(amount, 0) + 0.03 * end, at, told(amount), va="center")
    axes.set(xlim=(min(amounts.min() * 1.05, 0), end * 2), ylim=(len(amounts) - 0.45, -0.55), xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)


def _segments_title(table: pd.DataFrame, lang: Language) -> str:
    groups, risks = table["group"].tolist(), table["churn_probability"].to_numpy(float)
    amounts = table["value_at_risk"].to_numpy(float) if "value_at_risk" in table else np.zeros(len(table))
    if amounts.sum() > 0:
        most = int(amounts.argmax())
        return say("plot_segments", lang, group=groups[most], share=percent(amounts[most] / amounts.sum()))
    most = int(risks.argmax())
    return say("plot_segments_risk", lang, group=groups[most], risk=percent(risks[most]))


def percent(share: float) -> str:
    """Return a share of 0-1 in percent, with a decimal where it is below ten."""
    digits = 1 if 0 < abs(share) < 0.0995 else 0
    return f"{share:.{digits}%}"


def unit(currency: str, lang: Language) -> str:
    """Return how a currency is called in a language."""
    return say("plot_yuan", lang) if currency in ("CNY", "RMB") else currency


def _with_unit(heading: str, currency: str, lang: Language) -> str:
    if not currency:
        return heading
    return f"{heading}（{unit(currency, lang)}）" if lang == "zh" else f"{heading} ({unit(currency, lang)})"


def money(amount: float, currency: str, lang: Language, scale: float | None = None) -> str:
    """Return an amount of money as text.

    Parameters
    ----------
    amount : float
        In money.
    currency : str
        Its unit, or nothing.
    lang : {"en", "zh"}
        Language.
    scale : float, optional
        The largest amount of a column that this one stands in: it decides how many decimals there are.

    Returns
    -------
    str
        With thousands apart.
    """
    if scale is None:
        scale = 100.0 if float(amount).is_integer() else abs(amount)
    return f"{_number(amount, scale)} {unit(currency, lang)}".strip()


def _compact(amount: float, scale: float, lang: Language) -> str:
    if scale < 1e6:
        return _number(amount, scale)
    return f"{amount / 1e4:,.0f}万" if lang == "zh" else f"{amount / 1e6:,.1f}m"


def _number(amount: float, scale: float) -> str:
    text = f"{amount:,.{0 if scale >= 100 else 1 if scale >= 10 else 2}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text


class _Binned(NamedTuple):
    predicted: NDArray[Any]
    mean: NDArray[Any]
    deviation: NDArray[Any]
    size: NDArray[Any]


def _in_bins(predicted: Numbers, observed: Numbers, weight: Numbers) -> _Binned:
    """Put rows into ten bins of equal weight; equal predictions share one, so that the order of rows is nothing."""
    number = np.minimum(mid_ranks(predicted, weight) * _BINS // weight.sum(), _BINS - 1)
    place = np.unique(number, return_inverse=True)[1]
    mass = np.bincount(place, weight)
    forecast, mean = (np.bincount(place, column * weight) / mass for column in (predicted, observed))
    size = mass**2 / np.bincount(place, weight**2)  # rows of one weight that tell as much (Kish, 1965)
    variance = np.bincount(place, weight * (observed - mean[place]) ** 2) / mass
    return _Binned(forecast, mean, np.sqrt(variance * size / np.maximum(size - 1, 1)), size)


def _ones(weight: ArrayLike | None, observed: ArrayLike) -> ArrayLike:
    return np.ones(np.size(observed)) if weight is None else weight


def _aligned(observed: ArrayLike, **others: ArrayLike) -> list[Numbers]:
    arrays = {"observed": observed, **others}
    made = {name: np.asarray(array, dtype=float).ravel() for name, array in arrays.items()}
    lengths = {name: len(array) for name, array in made.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise ValueError(f"one row each is needed, but the lengths differ: {told}")
    return list(made.values())


def _canvas(
    title: str, height: float, *, left: float, right: float = 0.955, bottom: float = 0.5
) -> tuple[Figure, Axes]:
    """Return a figure with its title and one pair of axes; shares of the width, inches of the height."""
    figure = Figure(figsize=(WIDTH, height))
    _entitle(figure, title, height)
    axes = figure.add_axes((left, bottom / height, right - left, (height - HEADER - 0.25 - bottom) / height))
    axes.set_axisbelow(True)
    return figure, axes


def _entitle(figure: Figure, title: str, height: float) -> None:
    figure.suptitle(title, x=0.02, y=1 - 0.08 / height, ha="left", va="top", fontsize=11, fontweight="bold", wrap=True)


def _nothing(told: str, lang: Language) -> Figure:
    figure = Figure(figsize=(WIDTH, HEADER + 0.8))
    _entitle(figure, say("plot_nothing", lang), HEADER + 0.8)
    figure.text(0.5, 0.3, told, ha="center", va="center", color=GREY)
    return figure


def _label(axes: Axes, below: str, above: str) -> None:
    """Name the axes, the upright one in letters that lie."""
    axes.set_xlabel(below)
    axes.set_ylabel(above, rotation=0, ha="left", va="bottom")
    axes.yaxis.set_label_coords(0, 1.02)
    axes.grid(axis="y", color=PALE, linewidth=0.5, alpha=0.6)


def _as_percent(*shown: Any) -> None:
    for axis in shown:
        axis.set_major_formatter(lambda share, _: f"{share * 100:g}%")


def _shortened(text: str, width: int) -> str:
    """Cut a text to a width, in which a Chinese character counts as two."""
    used = 0
    for at, letter in enumerate(text):
        used += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if used > width:
            return text[: max(at - 1, 1)] + "…"
    return text
