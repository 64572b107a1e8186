"""What is told of a model's test: in sentences, against simpler ways, gate by gate."""

from __future__ import annotations

from typing import Any

import pandas as pd

from churnml.evaluation.plots import percent, share_found
from churnml.reporting.report import ModelName, TrainedModel
from churnml.reporting.words import Words, shown

_ALL, _MODEL = "all", "model"  # how `churnml.evaluation.judge` calls every row, and the model itself
_FEW = 50  # leavers: fewer than are asked for to test on
_GAIN = "_gain"  # of a metric: what the model has more than a baseline
_AS_PERCENT = ("bias", "coverage", "decile_mape", "ece", "ece_expected")
_IN_SLICES = ("auc", "top_decile_lift", "log_loss", "level", "ece", "ece_expected", "normalised_gini", "decile_mape")


def told_of_test(name: ModelName, model: TrainedModel, words: Words) -> list[str]:
    """Return when a model was trained and tested, and what came of it, as sentences."""
    trained, tested = words.dates(model.trained_on), words.dates(model.tested_on)
    key = "report_trust_dates" if model.out_of_time else "report_trust_dates_same_time"
    told = [words.say(key, trained=trained, tested=tested) + _space(words) + words.say("report_trust_refitted")]
    if model.touched.get("removed") or model.touched.get("own_calls"):
        told.append(words.say(f"touched_{name}", **model.touched))
    columns = (model.tested["observed"], model.tested["predicted"], model.weight)
    observed, predicted, weight = (column.to_numpy(dtype=float) for column in columns)
    if not len(observed):
        return told
    customers, came, foreseen = round(weight.sum()), float(observed @ weight), float(predicted @ weight)
    if name == "value":
        scale = max(abs(foreseen), abs(came))
        sums = {"expected": words.money(foreseen, scale), "brought": words.money(came, scale)}
        return [*told, words.say("report_trust_value", customers=customers, **sums)]
    left = round(came)
    told.append(words.say("report_trust_churn", customers=customers, expected=foreseen, left=left))
    if left:
        found = share_found(observed, predicted, weight=weight)
        base = 100 * came / customers
        told.append(words.say("report_trust_tenth", share=percent(found), hit=found * base * 10, base=base))
    if left < _FEW:
        told.append(words.say("report_trust_few", left=left))
    return told


def _space(words: Words) -> str:
    return "" if words.lang == "zh" else " "


def comparison(model: TrainedModel, words: Words) -> tuple[list[str], list[dict[str, Any]]]:
    """Return how a model compares with its baselines over all rows of the test.

    Parameters
    ----------
    model : TrainedModel
        With its figures.
    words : Words
        Of which language.

    Returns
    -------
    names : list of str
        The model, then the baselines.
    rows : list of dict
        For each metric its ``name``, what it means (``why``), and ``cells`` in the order of the names.
    """
    overall = model.evaluation[model.evaluation["slice"] == _ALL]
    figures = {(row.model, row.metric): row for row in overall.itertuples(index=False)}
    names = [words.say("report_this_model"), *(words.name("baseline", name) for name in model.baselines)]
    rows = []
    for metric in overall.loc[overall["model"] == _MODEL, "metric"]:
        cells = [_cell(figures[_MODEL, metric], metric, words)]
        for name in model.baselines:
            cell = _cell(figures.get((name, metric)), metric, words)
            gain = _cell(figures.get((name, metric + _GAIN)), metric, words, "+")
            cells.append(cell | {"gain": f"Δ {gain['value']} ({gain['interval']})" if gain["interval"] else ""})
        rows.append({"name": _metric(metric, words), "why": _why(metric, words), "cells": cells})
    return names, rows


def by_slice(model: TrainedModel, words: Words) -> tuple[list[str], list[dict[str, Any]]]:
    """Return how the model itself does in each slice: names of some metrics, and of each slice name, n and cells."""
    figures = model.evaluation[(model.evaluation["model"] == _MODEL) & (model.evaluation["slice"] != _ALL)]
    metrics = [metric for metric in _IN_SLICES if (figures["metric"] == metric).any()]
    rows = []
    for part, measured in figures.groupby("slice", sort=False):
        cells = {row.metric: row for row in measured.itertuples(index=False)}
        rows.append(
            {
                "name": _slice(str(part), words),
                "n": f"{measured['n'].iloc[0]:,.0f}",
                "cells": [_cell(cells.get(metric), metric, words) for metric in metrics],
            }
        )
    return [_metric(metric, words) for metric in metrics], rows


def _slice(given: str, words: Words) -> str:
    """Return what a slice, ``{dimension}={part}``, is called."""
    dimension, mark, part = given.partition("=")
    known = f"{words.name('slice', dimension)}: {words.name(dimension, part)}"
    return known if mark else shown(given)


def _cell(figure: Any, metric: str, words: Words, sign: str = "") -> dict[str, str]:
    """Write a row of the figures, or that there is none."""
    if figure is None or pd.isna(figure.value):
        return {"value": "–", "interval": "", "gain": ""}
    value, low, high = (_written(number, metric, sign) for number in (figure.value, figure.low, figure.high))
    known = not (pd.isna(figure.low) or pd.isna(figure.high))
    return {
        "value": value,
        "interval": words.say("report_trust_interval", low=low, high=high) if known else "",
        "gain": "",
    }


def _written(figure: float, metric: str, sign: str) -> str:
    digits = ".1%" if metric in _AS_PERCENT else ".2f" if "lift" in metric else ".3f"
    return f"{figure:{sign}{digits}}".replace("-", "−")


def _metric(metric: str, words: Words) -> str:
    try:
        return words.say(f"metric_{metric}")
    except KeyError:
        return shown(metric)


def _why(metric: str, words: Words) -> str:
    try:
        return words.say(f"metric_{metric}_why")
    except KeyError:
        return ""
