"""Calibration: what a model calls a probability, made one; fitted on rows that the model has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit, logit, xlog1py, xlogy
from scipy.stats import norm
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

Array = npt.NDArray[np.float64]
Method = Literal["none", "beta", "isotonic"]

EDGE = 1e-6  # no probability is nearer to 0 or 1
MOST_SHIFT = 0.1  # log-odds, or the logarithm of money: how far one season may move a level
_OWN, _SEASON = 0.1, 0.5  # standard deviations of drifts and seasons, in log-odds
_MOSTLY_OWN = 0.8  # how often a shift is a drift
_SURE = 2  # standard errors by which a method must lower the log loss to be preferred to a simpler one


@dataclass(frozen=True)
class Calibrator:
    """A map from raw to calibrated probabilities that never falls.

    Attributes
    ----------
    method : {"none", "beta", "isotonic"}
        ``beta``: ``logit(q) = a ln(p) - b ln(1 - p) + c`` (Kull, Silva Filho and Flach, 2017); ``isotonic``: linear
        between knots.
    numbers : dict of list of float
        ``a``, ``b``, ``c``, or the knots ``x``, ``y``.
    """

    method: Method
    numbers: dict[str, list[float]]

    def __call__(self, raw: Array) -> Array:
        """Return calibrated probabilities, shape (n,), within [1e-6, 1 - 1e-6]."""
        raw = np.clip(raw, EDGE, 1 - EDGE)
        if self.method == "isotonic":
            raw = np.interp(raw, self.numbers["x"], self.numbers["y"])
        elif self.method == "beta":
            (a,), (b,), (c,) = (self.numbers[name] for name in "abc")
            raw = expit(a * np.log(raw) - b * np.log1p(-raw) + c)
        return np.clip(raw, EDGE, 1 - EDGE)

    def to_dict(self) -> dict[str, Any]:
        """Return it as it is kept; reading it back gives the same bits."""
        return {"method": self.method, "numbers": self.numbers}


def choose_calibrator(
    raw: Array, observed: Array, folds: npt.NDArray[np.intp], weight: Array, customers: npt.NDArray[np.intp]
) -> Calibrator:
    """Fit the method that has the lowest log loss on folds that it was not fitted on.

    Parameters
    ----------
    raw : array of shape (n,)
        Probabilities by models that have not seen the row.
    observed : array of shape (n,)
        0 or 1.
    folds : array of shape (n,)
        The fold of each row.
    weight : array of shape (n,)
        Weights.
    customers : array of shape (n,)
        Whose rows they are: a method must gain more than two standard errors over customers, or the simpler one stays.

    Returns
    -------
    Calibrator
        Fitted on all the rows.
    """
    raw = np.clip(raw, EDGE, 1 - EDGE)
    best, lowest = Calibrator("none", {}), _losses(raw, observed)
    methods: tuple[Method, ...] = ("beta", "isotonic")
    for method in methods:
        judged = np.empty_like(raw)
        for fold in np.unique(folds):
            inside = folds == fold
            judged[inside] = _fitted(method, raw[~inside], observed[~inside], weight[~inside])(raw[inside])
        losses = _losses(judged, observed)
        gains = np.bincount(customers, weight * (lowest - losses))
        if gains.sum() > _SURE * np.sqrt(np.sum(gains**2)):
            best, lowest = _fitted(method, raw, observed, weight), losses
    return best


def _losses(probability: Array, observed: Array) -> Array:
    return -np.asarray(xlogy(observed, probability) + xlog1py(1 - observed, -probability), dtype=np.float64)


def level_shift(raw: Array, observed: Array, weight: Array) -> float:
    """Return the log-odds to add to probabilities so that their mean is what was observed."""
    odds, rate = logit(np.clip(raw, EDGE, 1 - EDGE)), float(np.average(observed, weights=weight))
    if not 0 < rate < 1:
        return 0.0
    return float(brentq(lambda shift: np.average(expit(odds + shift), weights=weight) - rate, -40, 40))


def lasting(shift: float, error: float) -> float:
    """Return what of a shift that later dates ask for is expected to last.

    It is either the model's own, which lasts (early dates have shorter histories), small; or the season, large, which
    does not last and which a year of history cannot tell from a trend. This is the mean of the former, given the shift
    and its standard error: small ones are kept, what may be chance is shrunk, and of large ones nothing is left.
    """
    own, season = (norm.pdf(shift, scale=np.hypot(spread, error)) for spread in (_OWN, _SEASON))
    weight = _MOSTLY_OWN * own / (_MOSTLY_OWN * own + (1 - _MOSTLY_OWN) * season)
    return float(shift * weight * _OWN**2 / (_OWN**2 + error**2))


def error_of_shift(probability: Array, observed: Array, weight: Array, customers: npt.NDArray[np.intp]) -> float:
    """Return the standard error of `level_shift`, customers being what is drawn; probabilities have the right level."""
    residuals = np.bincount(customers, weight * (observed - probability))
    return float(np.sqrt(np.sum(residuals**2)) / np.sum(weight * probability * (1 - probability)))


def shifted(probability: Array, shift: float) -> Array:
    """Return probabilities with log-odds added, within [1e-6, 1 - 1e-6]."""
    odds = logit(np.clip(probability, EDGE, 1 - EDGE)) + shift
    return np.asarray(np.clip(expit(odds), EDGE, 1 - EDGE), dtype=np.float64)


def _fitted(method: Method, raw: Array, observed: Array, weight: Array) -> Calibrator:
    if method == "none" or len(np.unique(observed)) < 2:
        return Calibrator("none", {})
    if method == "beta":
        return _beta(raw, observed, weight)
    isotonic = IsotonicRegression(out_of_bounds="clip").fit(raw, observed, sample_weight=weight)
    x, y = isotonic.X_thresholds_, isotonic.y_thresholds_
    floor = 0.5 / len(raw)  # an empty bin is no proof that nobody leaves
    return Calibrator("isotonic", {"x": x.tolist(), "y": np.clip(y, floor, 1 - floor).tolist()})


def _beta(raw: Array, observed: Array, weight: Array) -> Calibrator:
    """Fit a and b at least 0, so that the order stays."""
    terms = np.column_stack([np.log(raw), -np.log1p(-raw)])
    used = [0, 1]
    while used:
        model = LogisticRegression(C=1e6, max_iter=1000).fit(terms[:, used], observed, sample_weight=weight)
        slopes = dict(zip(used, model.coef_[0].tolist(), strict=True))
        wrong = [number for number, slope in slopes.items() if slope < 0]
        if not wrong:
            a, b = (float(slopes.get(number, 0.0)) for number in (0, 1))
            return Calibrator("beta", {"a": [a], "b": [b], "c": [float(model.intercept_[0])]})
        used = [number for number in used if number not in wrong[:1]]
    return Calibrator("none", {})
