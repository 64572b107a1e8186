"""The value regressor: what customers bring, with many zeros, a heavy tail, and some who cost more than they bring."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted

from churnml.errors import DataError
from churnml.models.boosting import Candidate, Ladder, Problem, climb, predicted
from churnml.models.calibration import MOST_SHIFT
from churnml.models.columns_of import ModelColumns
from churnml.models.estimator import Kept, TableEstimator, counted_rows, one_of
from churnml.models.folds import Folds, inner_folds
from churnml.models.intervals import Intervals

Array = npt.NDArray[np.float64]

_TWEEDIE = {"objective": "tweedie", "metric": "tweedie", "tweedie_variance_power": 1.5}
_CANDIDATES = (Candidate(4), Candidate(8), Candidate(15))  # no lines in leaves: with a log link they run away
_ENOUGH = 50  # rows other than zero, to learn from


class ValueRegressor(RegressorMixin, TableEstimator):  # type: ignore[misc]
    """Predict what customers bring, as expected money.

    Gains and losses are learned apart, each by LightGBM with a Tweedie loss (a mass of zeros and a heavy tail:
    Jorgensen, 1987); the capacity, 4 to 15 leaves, is chosen by the loss on rows not seen. Each is scaled so that its
    total is that of the training, and where rows have dates moved, by a tenth at most, to the level of the last of
    them. The expected value is the difference. What no training row can show, that a base decays further, has to come
    from elsewhere: see `tied`. Intervals are conformal (see `Intervals`), from rows that the models have not seen.

    Parameters
    ----------
    capacity : mapping of str, optional
        What to take in place of a search for ``gain`` and ``loss``, as ``search_`` calls it.
    label_days : int
        Days from a row's ``as_of`` until its value is known.
    random_state : int, RandomState or None
        The same number gives the same model.

    Attributes
    ----------
    levels_ : dict of float
        The scale of ``gain`` and of ``loss``.
    intervals_ : Intervals
        How far outcomes lay from predictions on rows not seen.
    search_ : dict
        ``losses``, ``capacity`` and ``rounds`` of both, and ``drift``: the realised total over the forecast, forward
        in time, before it is cut; 1 without dates.
    """

    def __init__(
        self, *, capacity: Mapping[str, str] | None = None, label_days: int = 0, random_state: Any = None
    ) -> None:
        self.capacity = capacity
        self.label_days = label_days
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, as_of: Any = None) -> Self:  # noqa: N803
        """Fit on customers whose value is known.

        Parameters
        ----------
        X : DataFrame of shape (n, columns)
            Numbers, booleans, times, categories and text, with nulls.
        y : array of shape (n,)
            Money, without nulls; may be negative.
        sample_weight : array of shape (n,), optional
            How much each row counts.
        groups, as_of : array of shape (n,), optional
            Customers and dates, as for `ChurnClassifier`.

        Returns
        -------
        ValueRegressor
            Itself.

        Raises
        ------
        DataError
            If X, y or what describes the rows holds what no model can be fitted on, or there is no such capacity.
        """
        frame = self.frame(X, fitting=True)
        value = np.asarray(column_or_1d(y, warn=True), dtype=np.float64)
        assert_all_finite(value, input_name="y")
        check_consistent_length(frame, value)
        rows, weight, groups, as_of = counted_rows(frame, sample_weight, groups, as_of)
        frame, value = frame.iloc[rows], value[rows]
        taken = {
            one_of(("gain", "loss"), "part of value", part): one_of(_CANDIDATES, "capacity", capacity)
            for part, capacity in (self.capacity or {}).items()
        }
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        folds = inner_folds(value, groups, as_of, label_days=self.label_days, seed=seed)
        self.columns_, matrix = ModelColumns.learned(frame, value, groups, seed=seed)
        forward = self.columns_.known_from(folds.known, frame, matrix, value, groups, seed=seed)
        self.boosters_: dict[str, Any] = {}
        self.levels_: dict[str, float] = {}
        self.search_: dict[str, Any] = {}
        judged = np.sort(np.concatenate([judge for _, judge in folds.pairs]))
        earlier = None if forward is None else {"given": forward}
        codes = self.columns_.categorical
        problem = Problem({"given": matrix}, value, weight, codes, _TWEEDIE, seed, forward=earlier)
        gain = self._fit_part("gain", np.maximum(value, 0.0), problem, folds, taken)[judged]
        loss = self._fit_part("loss", np.maximum(-value, 0.0), problem, folds, taken)[judged]
        self.intervals_ = Intervals.learned(value[judged], gain - loss, _size(gain, loss), weight[judged])
        return self

    def _fit_part(
        self, part: str, amounts: Array, problem: Problem, folds: Folds, taken: Mapping[str, Candidate]
    ) -> Array:
        """Fit gains or losses; return what is predicted, in money, for rows that folds judge."""
        matrix, weight = problem.matrices["given"], problem.weight
        mean = float(np.average(amounts, weights=weight))
        if np.count_nonzero(amounts) < _ENOUGH:
            self.levels_[part] = mean
            return np.full(len(amounts), mean)
        # money in any currency is learned in units of its mean
        ladder = Ladder.of(len(amounts))
        tried = list(_CANDIDATES if ladder.compared_on is None else _CANDIDATES[::2])
        if part in taken:
            tried = [taken[part]]
        climbed = climb(replace(problem, target=amounts / mean), folds, tried, compared_on=ladder.compared_on)
        # a Tweedie loss that stops early forecasts less than the total it has seen
        level = mean / float(np.average(predicted(climbed.booster, matrix), weights=weight))
        drift = 1.0
        if folds.judged:
            judged = climbed.fold >= 0
            drift = float(np.sum(amounts[judged] * weight[judged]))
            drift /= level * float(np.sum(climbed.unseen[judged] * weight[judged]))
        self.boosters_[part] = climbed.booster
        self.levels_[part] = level * float(np.clip(drift, np.exp(-MOST_SHIFT), np.exp(MOST_SHIFT)))
        self.search_[part] = {
            "losses": climbed.losses,
            "capacity": str(climbed.chosen),
            "rounds": climbed.rounds,
            "drift": drift,
        }
        return self.levels_[part] * climbed.unseen

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Return the expected value of each row, shape (n,), in money.

        Raises
        ------
        ChurnmlError
            If the columns are not those of the training.
        """
        check_is_fitted(self)
        return self.expected(self.columns_.matrix(self.frame(X)))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Array:  # noqa: N803
        """Return intervals that hold so large a share of what customers bring.

        It is held overall and among those of any one level of the prediction, as long as they behave like the rows that
        inner folds judged; not for each customer's own reasons.

        Parameters
        ----------
        X : DataFrame of shape (n, columns)
            The columns of the training.
        coverage : float
            Between 0 and 1.

        Returns
        -------
        array of shape (n, 2)
            Lower and upper end, in money; the prediction lies between them. Where most bring nothing, the lower end is
            0 and all that is left out lies above; where nearly all do, more than the share is held.

        Raises
        ------
        ChurnmlError
            If the columns are not those of the training, or the coverage is none.
        """
        check_is_fitted(self)
        gain, loss = self._parts(self.columns_.matrix(self.frame(X)))
        return self.intervals_(gain - loss, _size(gain, loss), coverage)

    def tied(self, X: Any, total: float) -> Self:  # noqa: N803
        """Return the model with its level moved so that predictions for these rows add up to a total.

        A cohort that decays brings less each year than it did in the training, which no feature of single customers may
        show. A forecast of the whole that knows of it sets the level (survival x margin, or `BetaGeometric` where
        customers come and go unseen); the model keeps the order and the shares, and intervals move along.

        Parameters
        ----------
        X : DataFrame of shape (n, columns)
            All customers whom the total is of.
        total : float
            What they will bring together, money.

        Returns
        -------
        ValueRegressor
            A copy; this one stays as it is.

        Raises
        ------
        ChurnmlError
            If the columns are not those of the training, or the total is not finite or has not the predictions' sign.
        """
        forecast = float(np.sum(self.predict(X)))
        ratio = total / forecast if forecast else float("nan")
        if not (np.isfinite(ratio) and ratio > 0):
            raise DataError(
                f"predictions that add up to {forecast:.6g} cannot be tied to a total of {total:.6g}",
                "give a finite total of the same sign",
            )
        model = copy.copy(self)
        model.levels_ = {part: level * ratio for part, level in self.levels_.items()}
        edges = [edge * ratio for edge in self.intervals_.edges]  # scales of outcomes follow the levels
        model.intervals_ = replace(self.intervals_, edges=edges)
        return model

    def expected(self, matrix: Array) -> Array:
        """Return the expected value for rows that are a matrix already."""
        gain, loss = self._parts(matrix)
        return gain - loss

    def _parts(self, matrix: Array) -> tuple[Array, Array]:
        return self._part("gain", matrix), self._part("loss", matrix)

    def _part(self, part: str, matrix: Array) -> Array:
        if part not in self.boosters_:
            return np.full(len(matrix), self.levels_[part])
        return self.levels_[part] * predicted(self.boosters_[part], matrix)

    def _kept(self) -> Kept:
        kept = {"levels": self.levels_, "intervals": self.intervals_.to_dict(), "search": self.search_}
        return self.boosters_, kept

    def _restore(self, boosters: Mapping[str, lgb.Booster], kept: Mapping[str, Any]) -> None:
        self.boosters_ = dict(boosters)
        self.levels_ = kept["levels"]
        self.intervals_ = Intervals(**kept["intervals"])
        self.search_ = kept["search"]


def _size(gain: Array, loss: Array) -> Array:
    """Return the expected size of a value, whatever its sign; 1 where nothing was ever brought or lost."""
    size = gain + loss
    return np.where(size > 0, size, 1.0)
