"""Metrics: pure, weighted, blind to the order of rows, and ties share what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

Array = npt.NDArray[np.float64]
Metric = Callable[[Array, Array, Array], float]  # of observed, predicted and weights, each of shape (n,)

BINS = 10


def top_decile_lift(observed: Array, predicted: Array, weight: Array) -> float:
    """Return how many times the average rate the tenth with the highest predictions has."""
    rate = _evenly(observed, predicted, weight)
    order = np.argsort(predicted, kind="stable")[::-1]
    mass = np.cumsum(weight[order])
    before = mass - weight[order]
    share = np.clip((0.1 * mass[-1] - before) / np.maximum(weight[order], 1e-300), 0, 1) * weight[order]
    return float(np.sum(share * rate[order]) / np.sum(share) / np.average(observed, weights=weight))


def calibration_error(observed: Array, predicted: Array, weight: Array) -> float:
    """Return the expected calibration error over ten bins of equal mass (Naeini, Cooper and Hauskrecht, 2015)."""
    gap, mass = _binned(_evenly(observed, predicted, weight) - predicted, predicted, weight)
    return float(np.sum(np.abs(gap)) / np.sum(mass))


def level(observed: Array, predicted: Array, weight: Array) -> float:
    """Return the mean prediction over the mean observed, nan where nothing was observed."""
    total = float(np.sum(observed * weight))
    return float(np.sum(predicted * weight)) / total if total else float("nan")


def bias(observed: Array, predicted: Array, weight: Array) -> float:
    """Return by which share all predictions together are too high (or, negative, too low)."""
    return level(observed, predicted, weight) - 1


def coverage(observed: Array, low: Array, high: Array, weight: Array) -> float:
    """Return the share of what was observed that lies within its interval, the ends included."""
    return float(np.average((low <= observed) & (observed <= high), weights=weight))


def expected_calibration_error(predicted: Array, weight: Array, *, draws: int, seed: int = 0) -> Array:
    """Return the calibration errors that perfect probabilities would show on so few rows.

    The error of ten bins is never 0: it falls with the root of n, and only what lies above this says anything about the
    probabilities (Broecker and Smith, 2007).

    Parameters
    ----------
    predicted : array of shape (n,)
        Probabilities, from which outcomes are drawn.
    weight : array of shape (n,)
        How much each row counts: of few heavy rows more error is to be expected.
    draws : int
        How many times.
    seed : int
        Of the draws.

    Returns
    -------
    array of shape (draws,)
        The error of each draw; their mean is what to expect.
    """
    order, rng = np.argsort(predicted, kind="stable"), np.random.default_rng(seed)
    ranked, weight = predicted[order], weight[order]
    drawn = ((rng.random(len(ranked)) < ranked).astype(np.float64) for _ in range(draws))
    return np.array([calibration_error(outcomes, ranked, weight) for outcomes in drawn])


def normalised_gini(observed: Array, predicted: Array, weight: Array) -> float:
    """Return the Gini of values in the order of predictions over that in their own order; 1 is a perfect ranking."""
    centred = (observed - np.average(observed, weights=weight)) * weight
    best = float(np.sum(centred * mid_ranks(observed, weight)))
    return float(np.sum(centred * mid_ranks(predicted, weight))) / best if best else float("nan")


def decile_mape(observed: Array, predicted: Array, weight: Array) -> float:
    """Return the mean absolute difference of realised and predicted value by decile, over the mean value."""
    gap, mass = _binned(_evenly(observed, predicted, weight) - predicted, predicted, weight)
    mean = abs(float(np.average(observed, weights=weight)))
    return float(np.sum(np.abs(gap)) / np.sum(mass)) / mean if mean else float("nan")


def _weighted(metric: Callable[..., Any], **more: Any) -> Metric:
    return lambda observed, predicted, weight: float(metric(observed, predicted, sample_weight=weight, **more))


CHURN_METRICS: dict[str, Metric] = {
    "auc": _weighted(roc_auc_score),
    "pr_auc": _weighted(average_precision_score),
    "top_decile_lift": top_decile_lift,
    "log_loss": _weighted(log_loss, labels=[0, 1]),
    "brier": _weighted(brier_score_loss, pos_label=1),
    "ece": calibration_error,
    "level": level,
}

VALUE_METRICS: dict[str, Metric] = {
    "normalised_gini": normalised_gini,
    "decile_mape": decile_mape,
    "level": level,
    "bias": bias,
}


def _evenly(observed: Array, predicted: Array, weight: Array) -> Array:
    """Give rows of one prediction the mean of what was observed of them, so that their order cannot matter."""
    place = places(predicted)
    mass = np.maximum(np.bincount(place, weight), 1e-300)
    return np.asarray((np.bincount(place, observed * weight) / mass)[place])


def places(values: Array) -> npt.NDArray[np.intp]:
    """Return the place of each row's value among the distinct values, ascending."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    place = np.empty(len(values), dtype=np.intp)
    place[order] = np.cumsum(np.concatenate([[False], ranked[1:] != ranked[:-1]]))
    return place


def mid_ranks(values: Array, weight: Array) -> Array:
    """Return how much weight lies below each row, and half of what shares its value."""
    place = places(values)
    mass = np.bincount(place, weight)
    return np.asarray((np.cumsum(mass) - mass / 2)[place])


def _binned(amount: Array, predicted: Array, weight: Array) -> tuple[Array, Array]:
    """Sum amounts in bins of equal mass by prediction; a row that spans two bins is shared."""
    order = np.argsort(predicted, kind="stable")
    mass = np.concatenate([[0.0], np.cumsum(weight[order])])
    sums = np.concatenate([[0.0], np.cumsum(amount[order] * weight[order])])
    edges = np.linspace(0, mass[-1], BINS + 1)
    return np.diff(np.interp(edges, mass, sums)), np.diff(edges)
