"""A line under the trees: ridge logistic regression, for what adds up over many columns."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from churnml.models.folds import MANY_ROWS

Array = npt.NDArray[np.float64]

_STRENGTH = 0.3  # C of scikit-learn
_TAIL = 0.001  # of a column at either end: beyond it the line goes on flat
_MOST_COLUMNS = 500  # of the regression: its Newton steps cost their square
_FEWEST_ROWS = 30  # of either outcome: of fewer it only learns them by heart
_DIGITS = 6  # of slopes: their last bits depend on the processor

# Threads of BLAS wait for each other by spinning, which costs ten times the fit where cores are busy; limits are of the
# whole process, so that no two may be set and taken back at once.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Term:
    """What one column adds to the log-odds.

    Attributes
    ----------
    low, high : float
        Where a number is cut off.
    centre, slope : float
        Of what lies between; slope per unit.
    codes : list of float
        In place of a slope: what each code adds; unseen codes add what the last one does.
    missing : float
        What a null adds.
    """

    low: float = 0.0
    high: float = 0.0
    centre: float = 0.0
    slope: float = 0.0
    codes: tuple[float, ...] = ()
    missing: float = 0.0


@dataclass(frozen=True)
class Line:
    """A logistic regression that reads a model's matrix as it is.

    Attributes
    ----------
    intercept : float
        Log-odds of a row at every centre.
    terms : tuple of Term
        One for each column.
    """

    intercept: float
    terms: tuple[Term, ...]

    @classmethod
    def fitted(cls, matrix: Array, target: Array, weight: Array, categorical: list[int], *, seed: int) -> Self:
        """Fit by penalised likelihood (le Cessie and van Houwelingen, 1992), slopes in units of the column's spread.

        Parameters
        ----------
        matrix : array of shape (n, columns)
            Rows, nulls as nan.
        target : array of shape (n,)
            0 or 1.
        weight : array of shape (n,)
            How much each row counts.
        categorical : list of int
            Columns that hold codes.
        seed : int
            Of the drawing of rows where they are many.

        Returns
        -------
        Line
            Fitted.
        """
        if not np.ptp(target):  # a fold of few rows
            rate = (np.sum(target) + 0.5) / (len(target) + 1)
            return cls(float(logit(rate)), tuple(Term() for _ in matrix.T))
        if len(matrix) > MANY_ROWS:  # so many tell a few hundred slopes well enough
            drawn = np.sort(np.random.default_rng(seed).choice(len(matrix), MANY_ROWS, replace=False))
            matrix, target, weight = matrix[drawn], target[drawn], weight[drawn]
        plans = [_Plan.of(column, weight, coded=place in categorical) for place, column in enumerate(matrix.T)]
        design = np.column_stack([made for plan, column in zip(plans, matrix.T, strict=True) for made in plan(column)])
        model = LogisticRegression(C=_STRENGTH, solver="newton-cholesky", tol=1e-8)
        with _one_at_a_time, threadpool_limits(1, user_api="blas"):
            model.fit(design, target, sample_weight=weight)
        slopes = iter(np.round(model.coef_[0], _DIGITS).tolist())
        terms, middles = zip(*(plan.term(slopes) for plan in plans), strict=True)
        return cls(round(float(model.intercept_[0]), _DIGITS) + sum(middles), terms)

    @staticmethod
    def fits(matrix: Array, target: Array, categorical: list[int]) -> bool:
        """Tell whether there are rows enough of either outcome, and not too many columns, codes counted one by one."""
        if min(np.sum(target), np.sum(1 - target)) < _FEWEST_ROWS:
            return False
        codes = sum(int(np.nanmax(matrix[:, place], initial=0)) + 1 for place in categorical)
        return bool(matrix.shape[1] - len(categorical) + codes <= _MOST_COLUMNS)

    def __call__(self, matrix: Array) -> Array:
        """Return the log-odds of each row, shape (n,)."""
        return np.asarray(self.intercept + self.contributions(matrix).sum(axis=1))

    def contributions(self, matrix: Array) -> Array:
        """Return what each column adds, shape (n, columns); columns beyond the terms add nothing."""
        numbers = np.array([[term.low, term.high, term.centre, term.slope, term.missing] for term in self.terms])
        low, high, centre, slope, missing = numbers.T
        given = matrix[:, : len(self.terms)]
        added = np.zeros(matrix.shape)
        added[:, : len(self.terms)] = (np.clip(given, low, high) - centre) * slope
        for place, codes in ((place, term.codes) for place, term in enumerate(self.terms) if term.codes):
            code = np.nan_to_num(given[:, place], nan=0)
            added[:, place] = np.array(codes)[np.minimum(code, len(codes) - 1).astype(np.intp)]
        added[:, : len(self.terms)][np.isnan(given)] = np.broadcast_to(missing, given.shape)[np.isnan(given)]
        return added

    def to_dict(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Self:
        """Return what `to_dict` gave."""
        return cls(kept["intercept"], tuple(Term(**{**term, "codes": tuple(term["codes"])}) for term in kept["terms"]))


@dataclass(frozen=True)
class _Plan:
    """How a column is read by the regression: scaled or by codes, and whether it is null."""

    low: float
    high: float
    centre: float
    scale: float
    shares: tuple[float, ...]  # of codes
    missing: float  # share of nulls

    @classmethod
    def of(cls, column: Array, weight: Array, *, coded: bool) -> Self:
        there = ~np.isnan(column)
        missing = 1 - float(np.sum(weight[there]) / np.sum(weight))
        if not there.any():
            return cls(0.0, 0.0, 0.0, 0.0, (), 0.0)
        known, mass = column[there], weight[there]
        if coded:
            counts = np.bincount(known.astype(np.intp), mass)
            return cls(0.0, 0.0, 0.0, 0.0, tuple((counts / counts.sum()).tolist()), missing)
        low, high = np.quantile(known, [_TAIL, 1 - _TAIL]).tolist()
        if low == high:  # a rare value is all that there is
            low, high = float(known.min()), float(known.max())
        cut = np.clip(known, low, high)
        centre = float(np.average(cut, weights=mass))
        scale = float(np.sqrt(np.average((cut - centre) ** 2, weights=mass)))
        return cls(low, high, centre, scale, (), missing)

    def __call__(self, column: Array) -> Iterator[Array]:
        there = ~np.isnan(column)
        if self.shares:
            codes = np.where(there, column, -1)
            yield from (np.asarray(codes == code, dtype=np.float64) for code in range(len(self.shares)))
        elif self.scale:
            yield np.where(there, (np.clip(column, self.low, self.high) - self.centre) / self.scale, 0.0)
        if 0 < self.missing < 1:
            yield np.asarray(~there, dtype=np.float64)

    def term(self, slopes: Iterator[float]) -> tuple[Term, float]:
        """Return the term, and what it adds at its middle beyond 0."""
        codes = [next(slopes) for _ in self.shares]
        slope = next(slopes) / self.scale if self.scale else 0.0
        missing = next(slopes) if 0 < self.missing < 1 else 0.0
        middle = sum(share * added for share, added in zip(self.shares, codes, strict=True))
        centred = tuple(added - middle for added in codes)
        return Term(self.low, self.high, self.centre, slope, centred, missing - middle), middle
