"""Judging predictions for rows that the model has not seen: one long table, intervals by resampling customers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from churnml.columns import AS_OF, CUSTOMER_ID, WEIGHT
from churnml.evaluation.metrics import Metric, coverage, expected_calibration_error
from churnml.evaluation.profit import MONEY_METRICS

Array = npt.NDArray[np.float64]

OBSERVED, PREDICTED = "observed", "predicted"
WORTH = "worth"  # what a customer brings who stays, in money
LOW, HIGH = "predicted_low", "predicted_high"  # interval of a predicted value
NO_BASELINES = (CUSTOMER_ID, AS_OF, WEIGHT, OBSERVED, PREDICTED, WORTH, LOW, HIGH)
ALL, MODEL = "all", "model"

DRAWS = 200
SLICE_DRAWS = 50
_SLICE_INTERVALS = ("auc", "log_loss", "level", "normalised_gini")  # the others would take long, and decide nothing
_OF_EITHER_OUTCOME = 10  # rows that a slice needs to be measured by
_ROWS = 30
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class Figure:
    """A number with its 95 % interval.

    Attributes
    ----------
    value, low, high : float
        The number and its bounds.
    """

    value: float
    low: float
    high: float

    def holds(self, number: float) -> bool:
        """Tell whether the interval holds a number."""
        return self.low <= number <= self.high


def judge(
    tested: pd.DataFrame, metrics: dict[str, Metric], *, seed: int = 0, slices: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Measure a model and its baselines on the same rows, and the model in parts of them.

    Parameters
    ----------
    tested : DataFrame of shape (n, columns)
        ``customer_id``, ``as_of``, ``observed``, ``predicted``, and a column of predictions for each baseline. Where
        there are ``weight``, ``worth`` (money) or ``predicted_low`` and ``predicted_high``, rows count by it, and
        profits or coverage are measured too.
    metrics : dict of callable
        By name.
    seed : int
        Of the resampling of customers.
    slices : DataFrame of shape (n, dimensions), optional
        For each row of ``tested`` the part it belongs to, by each of some columns.

    Returns
    -------
    DataFrame
        One row for each ``model`` (``model`` or a baseline's name), ``metric`` and ``slice`` (``all``, or
        ``{dimension}={part}``, of the model alone): ``value``, its 95 % interval ``low`` to ``high`` (percentiles of
        200 bootstraps that draw customers with all their rows, 50 in slices and there of AUC, log loss, level and Gini
        only), ``n`` rows and ``positives`` (rows with an outcome above 0). Metrics called ``{metric}_gain`` of a
        baseline are the model's less the baseline's, in pairs. ``ece_expected`` is the mean ``ece`` of outcomes drawn
        from the predictions, with the span of 95 % of the draws. Slices with fewer than 30 rows, or with
        probabilities and fewer than 10 rows of either outcome, have null figures.
    """
    columns = {MODEL: PREDICTED, **{name: name for name in baselines_of(tested)}}
    found = _judged(tested, columns, metrics, DRAWS, seed)
    parts = [] if slices is None else [_sliced(tested, column, metrics, seed) for _, column in slices.items()]
    return pd.concat([found, *parts], ignore_index=True)


def baselines_of(tested: pd.DataFrame) -> list[str]:
    """List the columns of a table of tested rows that are baselines' predictions."""
    return [str(name) for name in tested.columns if name not in NO_BASELINES]


def figure(evaluation: pd.DataFrame, metric: str, model: str = MODEL) -> Figure:
    """Return one number of an evaluation, of all rows, with its interval."""
    asked = (evaluation["model"] == model) & (evaluation["metric"] == metric) & (evaluation["slice"] == ALL)
    row = evaluation[asked].iloc[0]
    return Figure(float(row["value"]), float(row["low"]), float(row["high"]))


def _sliced(tested: pd.DataFrame, column: pd.Series[str], metrics: dict[str, Metric], seed: int) -> pd.DataFrame:
    """Measure the model in each part that a column tells of."""
    found = []
    for part in sorted(column.unique()):
        rows = tested[(column == part).to_numpy()]
        left = int((rows[OBSERVED] > 0).sum())
        enough = len(rows) >= _ROWS and np.ptp(rows[OBSERVED]) > 0
        enough &= "ece" not in metrics or min(left, len(rows) - left) >= _OF_EITHER_OUTCOME
        if enough:
            judged = _judged(rows, {MODEL: PREDICTED}, metrics, SLICE_DRAWS, seed, _SLICE_INTERVALS)
        else:
            nothing = {"value": np.nan, "low": np.nan, "high": np.nan, "n": len(rows), "positives": left}
            judged = pd.DataFrame([{"model": MODEL, "metric": metric, **nothing} for metric in metrics])
        found.append(judged.assign(slice=f"{column.name}={part}"))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _judged(
    tested: pd.DataFrame,
    columns: dict[str, str],
    metrics: dict[str, Metric],
    draws: int,
    seed: int,
    bounded: tuple[str, ...] | None = None,
) -> pd.DataFrame:
    observed = tested[OBSERVED].to_numpy(dtype=np.float64)
    measures = {name: _measures(tested, tested[column], metrics) for name, column in columns.items()}
    measures[MODEL] |= _interval_measures(tested)

    def measured(weight: Array, only: tuple[str, ...] | None = None) -> dict[tuple[str, str], float]:
        found = {
            (name, metric): compute(weight)
            for name, ours in measures.items()
            for metric, compute in ours.items()
            if only is None or metric in only
        }
        gains = {
            (name, f"{metric}_gain"): found[MODEL, metric] - value
            for (name, metric), value in found.items()
            if name != MODEL
        }
        return found | gains

    own = tested[WEIGHT].to_numpy(dtype=np.float64) if WEIGHT in tested else np.ones(len(observed))
    point = measured(own)
    drawn = [measured(own * weight, bounded) for weight in _resampled(tested, observed, draws, seed)]
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # a figure that no draw has is nan
        bounds = np.nanpercentile([list(found.values()) for found in drawn], _INTERVAL, axis=0)
    keys = list(drawn[0])
    spans = {key: (float(low), float(high)) for key, low, high in zip(keys, *bounds, strict=True)}
    if "ece" in metrics:
        predicted = tested[PREDICTED].to_numpy(dtype=np.float64)
        errors = expected_calibration_error(predicted, own, draws=draws, seed=seed)
        point[MODEL, "ece_expected"] = float(errors.mean())
        low, high = np.percentile(errors, _INTERVAL)
        spans[MODEL, "ece_expected"] = float(low), float(high)
    unknown = (np.nan, np.nan)
    rows = [(*key, ALL, value, *spans.get(key, unknown)) for key, value in point.items()]
    table = pd.DataFrame(rows, columns=["model", "metric", "slice", "value", "low", "high"])
    return table.assign(n=len(observed), positives=int((observed > 0).sum()))


def _measures(
    tested: pd.DataFrame, predictions: pd.Series[float], metrics: dict[str, Metric]
) -> dict[str, Callable[[Array], float]]:
    """Return each metric as a function of the rows' weights alone; sorting what is sorted costs next to nothing."""
    predicted = predictions.to_numpy(dtype=np.float64)
    order = np.argsort(predicted, kind="stable")
    observed, predicted = tested[OBSERVED].to_numpy(dtype=np.float64)[order], predicted[order]

    def of(compute: Callable[..., float], *more: Array) -> Callable[[Array], float]:
        def measure(weight: Array) -> float:
            ranked = weight[order]
            drawn = ranked > 0
            rows = [column[drawn] for column in (observed, predicted, ranked, *more)]
            return compute(*rows)

        return measure

    found = {name: of(compute) for name, compute in metrics.items()}
    if WORTH in tested:
        worth = tested[WORTH].to_numpy(dtype=np.float64)[order]
        found |= {name: of(compute, worth) for name, compute in MONEY_METRICS.items()}
    return found


def _interval_measures(tested: pd.DataFrame) -> dict[str, Callable[[Array], float]]:
    if LOW not in tested or HIGH not in tested:
        return {}
    observed, low, high = (tested[name].to_numpy(dtype=np.float64) for name in (OBSERVED, LOW, HIGH))
    return {"coverage": lambda weight: coverage(observed, low, high, weight)}


def _resampled(tested: pd.DataFrame, observed: Array, draws: int, seed: int) -> Iterator[Array]:
    """Yield weights: how often each row's customer was drawn; draws of one outcome only are drawn again."""
    customers, everyone = pd.factorize(tested[CUSTOMER_ID])
    rng = np.random.default_rng(seed)
    several = np.ptp(observed) > 0
    left = draws
    while left:
        drawn = np.bincount(rng.integers(0, len(everyone), len(everyone)), minlength=len(everyone))
        weight = drawn[customers].astype(np.float64)
        if not several or np.ptp(observed[weight > 0]) > 0:
            left -= 1
            yield weight
