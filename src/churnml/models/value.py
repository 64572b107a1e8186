"""The value regressor: what customers bring, with many zeros, a heavy tail, and some who cost more than they bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from churnml.models.boosting import Candidate, Problem, climb, load_booster, predicted, save_booster
from churnml.models.calibration import MOST_SHIFT
from churnml.models.columns_of import ModelColumns
from churnml.models.estimator import TableEstimator
from churnml.models.folds import Folds, inner_folds

Array = npt.NDArray[np.float64]

_TWEEDIE = {"objective": "tweedie", "metric": "tweedie", "tweedie_variance_power": 1.5, "learning_rate": 0.1}
_LADDER = (Candidate(15),)
_ENOUGH = 50  # rows other than zero, to learn from


class ValueRegressor(RegressorMixin, TableEstimator):  # type: ignore[misc]
    """Predict what customers bring, as expected money.

    Gains and losses are learned apart, each by LightGBM with a Tweedie loss (a mass of zeros and a heavy tail:
    Jorgensen, 1987), and each is scaled, by a tenth at most, so that its total is right on rows that the models have
    not seen. The expected value is their difference.

    Parameters
    ----------
    label_days : int
        Days from a row's ``as_of`` until its value is known.
    random_state : int, RandomState or None
        The same number gives the same model.

    Attributes
    ----------
    levels_ : dict of float
        The scale of ``gain`` and of ``loss``.
    search_ : dict
        ``losses``, ``capacity`` and ``rounds`` of both.
    """

    def __init__(self, *, label_days: int = 0, random_state: Any = None) -> None:
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
        """
        frame = self.frame(X, fitting=True)
        value = np.asarray(column_or_1d(y, warn=True), dtype=np.float64)
        assert_all_finite(value, input_name="y")
        check_consistent_length(frame, value)
        weight = _check_sample_weight(sample_weight, frame, ensure_non_negative=True)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.columns_, matrix = ModelColumns.learned(frame, value, groups, seed=seed)
        folds = inner_folds(value, groups, as_of, label_days=self.label_days, seed=seed)
        self.boosters_: dict[str, Any] = {}
        self.levels_: dict[str, float] = {}
        self.search_: dict[str, Any] = {}
        for part, amounts in (("gain", np.maximum(value, 0.0)), ("loss", np.maximum(-value, 0.0))):
            self._fit_part(part, matrix, amounts, weight, folds, seed)
        return self

    def _fit_part(self, part: str, matrix: Array, amounts: Array, weight: Array, folds: Folds, seed: int) -> None:
        mean = float(np.average(amounts, weights=weight))
        if np.count_nonzero(amounts) < _ENOUGH:
            self.levels_[part] = mean
            return
        # money in any currency is learned in units of its mean
        problem = Problem({"given": matrix}, amounts / mean, weight, self.columns_.categorical, _TWEEDIE, seed)
        climbed = climb(problem, folds, _LADDER)
        judged = climbed.fold >= 0
        forecast = float(np.sum(climbed.unseen[judged] * weight[judged]))
        self.boosters_[part] = climbed.booster
        scale = float(np.sum(problem.target[judged] * weight[judged])) / forecast
        self.levels_[part] = mean * float(np.clip(scale, np.exp(-MOST_SHIFT), np.exp(MOST_SHIFT)))
        self.search_[part] = {
            "losses": climbed.losses,
            "capacity": str(climbed.chosen),
            "rounds": climbed.rounds,
        }

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Return the expected value of each row, shape (n,), in money.

        Raises
        ------
        ChurnmlError
            If the columns are not those of the training.
        """
        check_is_fitted(self)
        return self.expected(self.columns_.matrix(self.frame(X)))

    def expected(self, matrix: Array) -> Array:
        """Return the expected value for rows that are a matrix already."""
        gain, loss = (self._part(part, matrix) for part in ("gain", "loss"))
        return gain - loss

    def _part(self, part: str, matrix: Array) -> Array:
        if part not in self.boosters_:
            return np.full(len(matrix), self.levels_[part])
        return self.levels_[part] * predicted(self.boosters_[part], matrix)

    def save(self, folder: Path) -> None:
        """Write the model into an empty folder, as text."""
        check_is_fitted(self)
        for part, booster in self.boosters_.items():
            save_booster(booster, Path(folder) / f"{part}.txt")
        kept = {"levels": self.levels_, "parts": list(self.boosters_), "search": self.search_}
        self.write(Path(folder) / "model.json", kept)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model that was saved; it predicts the same bits.

        Raises
        ------
        ChurnmlError
            If a file is missing or damaged.
        """
        model, kept = cls.read(Path(folder) / "model.json")
        model.boosters_ = {part: load_booster(Path(folder) / f"{part}.txt") for part in kept["parts"]}
        model.levels_ = kept["levels"]
        model.search_ = kept["search"]
        return model
