"""Judging predictions for rows that the model has not seen: one long table, intervals by resampling customers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from churnml.columns import AS_OF, CUSTOMER_ID, WEIGHT
from churnml.evaluation.metrics import Metric

Array = npt.NDArray[np.float64]

OBSERVED, PREDICTED = "observed", "predicted"
DRAWS = 200
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


def judge(tested: pd.DataFrame, metrics: dict[str, Metric], *, seed: int = 0) -> pd.DataFrame:
    """Measure a model and its baselines on the same rows.

    Parameters
    ----------
    tested : DataFrame
        ``customer_id``, ``as_of``, ``weight``, ``observed``, ``predicted``, and a column of predictions for each
        baseline.
    metrics : dict of callable
        By name.
    seed : int
        Of the resampling of customers.

    Returns
    -------
    DataFrame
        One row for each ``model`` (``model`` or a baseline's name), ``metric`` and ``slice`` (``all``): ``value``,
        its 95 % interval ``low`` to ``high`` (percentiles of 200 bootstraps that draw customers with all their rows)
        and ``n`` rows. Metrics called ``{metric}_gain`` of a baseline are the model's less the baseline's, in pairs.
    """
    observed = tested[OBSERVED].to_numpy(dtype=np.float64)
    baselines = baselines_of(tested)
    names = {PREDICTED: "model", **{name: name for name in baselines}}
    predictions = {name: tested[column].to_numpy(dtype=np.float64) for column, name in names.items()}
    orders = {name: np.argsort(column, kind="stable") for name, column in predictions.items()}

    def measured(weight: Array) -> dict[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = {}
        for name, column in predictions.items():
            order = orders[name][weight[orders[name]] > 0]  # sorting what is sorted costs next to nothing
            rows = observed[order], column[order], weight[order]
            found |= {(name, metric): compute(*rows) for metric, compute in metrics.items()}
        gains = {
            (name, f"{metric}_gain"): found["model", metric] - found[name, metric]
            for name in baselines
            for metric in metrics
        }
        return found | gains

    own = tested[WEIGHT].to_numpy(dtype=np.float64) if WEIGHT in tested else np.ones(len(observed))
    point = measured(own)
    drawn = pd.DataFrame([measured(own * weight) for weight in _resampled(tested, observed, seed)])
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # a figure that no draw has is nan
        bounds = np.nanpercentile(drawn.to_numpy(), _INTERVAL, axis=0)
    rows = [
        {"model": model, "metric": metric, "slice": "all", "value": value, "low": low, "high": high}
        for ((model, metric), value), low, high in zip(point.items(), *bounds, strict=True)
    ]
    return pd.DataFrame(rows).assign(n=len(observed))


def baselines_of(tested: pd.DataFrame) -> list[str]:
    """List the columns of a table of tested rows that are baselines' predictions."""
    return [str(name) for name in tested.columns if name not in (CUSTOMER_ID, AS_OF, WEIGHT, OBSERVED, PREDICTED)]


def figure(evaluation: pd.DataFrame, metric: str, model: str = "model") -> Figure:
    """Return one number of an evaluation with its interval."""
    row = evaluation[(evaluation["model"] == model) & (evaluation["metric"] == metric)].iloc[0]
    return Figure(float(row["value"]), float(row["low"]), float(row["high"]))


def _resampled(tested: pd.DataFrame, observed: Array, seed: int) -> Iterator[Array]:
    """Yield weights: how often each row's customer was drawn; draws of one outcome only are drawn again."""
    customers, everyone = pd.factorize(tested[CUSTOMER_ID])
    rng = np.random.default_rng(seed)
    several = np.ptp(observed) > 0
    left = DRAWS
    while left:
        drawn = np.bincount(rng.integers(0, len(everyone), len(everyone)), minlength=len(everyone))
        weight = drawn[customers].astype(np.float64)
        if not several or np.ptp(observed[weight > 0]) > 0:
            left -= 1
            yield weight
