"""The churn classifier: boosted trees of the right size, with probabilities that can be used as money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from churnml.errors import DataError
from churnml.models.boosting import CANDIDATES, Effort, Ladder, Problem, climb, predicted, refitted
from churnml.models.calibration import Calibrator, choose_calibrator, error_of_shift, lasting, level_shift, shifted
from churnml.models.columns_of import ModelColumns
from churnml.models.contributions import Contributions, centres_of
from churnml.models.estimator import Kept, TableEstimator, counted_rows, one_of
from churnml.models.folds import inner_folds, later_rows
from churnml.models.line import Line

Array = npt.NDArray[np.float64]


class ChurnClassifier(ClassifierMixin, TableEstimator):  # type: ignore[misc]
    """Predict who leaves, as calibrated probabilities.

    LightGBM with a ladder of capacities, from 4 to 31 leaves with constants or lines in them, or 4 over a logistic
    regression, chosen by log loss on rows not seen, as is whether sums and ratios of columns that share a word help;
    texts of many values are encoded by cross-fitted means; calibrated on rows not seen, of later dates where there are
    dates (none, beta or isotonic, as their log loss says). Classes are never weighted: that would spoil the
    probabilities.

    Parameters
    ----------
    population_rate : float, optional
        The true share of churners, where the training sample was stratified; the odds are corrected to it.
    effort : {"best", "fast"}
        How much is tried; ``fast`` takes a tenth of the time.
    capacity : str, optional
        What to take in place of a search, as ``search_["capacity"]`` calls it.
    label_days : int
        Days from a row's ``as_of`` until its outcome is known: inner folds keep so far apart.
    random_state : int, RandomState or None
        The same number gives the same model, on any number of cores.

    Attributes
    ----------
    classes_ : array of shape (2,)
        The labels, sorted; the second is the one that is predicted.
    calibrator_ : Calibrator
        What the raw probabilities go through.
    search_ : dict
        ``losses`` of each capacity, the ``capacity`` and ``rounds`` chosen, ``calibration``, and the dates that it was
        ``fitted`` and ``judged`` on.
    """

    def __init__(
        self,
        population_rate: float | None = None,
        *,
        effort: Effort = "best",
        capacity: str | None = None,
        label_days: int = 0,
        random_state: Any = None,
    ) -> None:
        self.population_rate = population_rate
        self.effort = effort
        self.capacity = capacity
        self.label_days = label_days
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, as_of: Any = None) -> Self:  # noqa: N803
        """Fit on customers whose outcome is known.

        Parameters
        ----------
        X : DataFrame of shape (n, columns)
            Numbers, booleans, times, categories and text, with nulls.
        y : array of shape (n,)
            Two classes, without nulls.
        sample_weight : array of shape (n,), optional
            How much each row counts.
        groups : array of shape (n,), optional
            Customers; the rows of one are kept together in inner folds.
        as_of : array of shape (n,), optional
            The rows' dates; the shape of the calibration is then learned from later dates than the trees.

        Returns
        -------
        ChurnClassifier
            Itself.

        Raises
        ------
        DataError
            If there are not two classes, or X or y hold what no model can be fitted on.
        """
        frame = self.frame(X, fitting=True)
        self.classes_, outcome = two_classes(y, len(frame))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        target = outcome.astype(np.float64)
        rows, weight, groups, as_of = counted_rows(frame, sample_weight, groups, as_of)
        frame, target = frame.iloc[rows], target[rows]
        rate = None if self.population_rate is None else float(self.population_rate)
        if rate is not None and not 0 < rate < 1:
            raise DataError(
                f"population_rate is {rate}",
                "give the share of churners, above 0 and below 1, or nothing",
            )
        if len(np.unique(target)) < 2:
            raise DataError("all rows that have a weight are of one class", "look at sample_weight", rows=len(frame))
        effort = one_of(CANDIDATES, "effort", self.effort)
        ladder = Ladder.of(len(frame), effort)
        tried = list(ladder.candidates)
        if self.capacity is not None:
            tried = [one_of(CANDIDATES[effort], "capacity", self.capacity)]
        folds = inner_folds(target, groups, seed=seed)
        later = later_rows(as_of, label_days=self.label_days)
        construct = any(one.columns == "constructed" for one in tried)
        self.columns_, matrix = ModelColumns.learned(frame, target, groups, construct=construct, seed=seed)
        known = np.arange(len(target)) if later is None else later.fit
        forward = self.columns_.known_from(known, frame, matrix, target, groups, seed=seed)
        width = len(self.columns_.kinds)
        if not Line.fits(matrix[:, :width], target, self.columns_.categorical):
            tried = [one for one in tried if not one.over_line] or tried[:1]
        if not self.columns_.made:
            tried = list(dict.fromkeys(replace(one, columns="given") for one in tried))
        objective = {"objective": "binary", "metric": "binary_logloss"}
        matrices = {"given": matrix[:, :width], "constructed": matrix}
        earlier = None if forward is None else {"given": forward[:, :width], "constructed": forward}
        problem = Problem(matrices, target, weight, self.columns_.categorical, objective, seed, ladder.step, earlier)
        climbed = climb(problem, folds, tried, compared_on=ladder.compared_on)
        if climbed.chosen.columns == "given":
            self.columns_ = replace(self.columns_, made=())
        self.booster_, self.line_ = climbed.booster, climbed.line
        self.centres_ = centres_of(climbed.booster, matrices[climbed.chosen.columns], seed)
        customers = np.arange(len(target)) if groups is None else groups
        judged = np.arange(len(target)) if later is None else later.judge
        left, counts, whose = target[judged], weight[judged], customers[judged]
        unseen, self.shift_ = climbed.unseen, 0.0
        if later is not None:
            unseen = refitted(problem, climbed, later)
            drift = level_shift(unseen, left, counts)
            unseen = shifted(unseen, drift)
            self.shift_ = lasting(drift, error_of_shift(unseen, left, counts, whose))
        self.calibrator_ = choose_calibrator(unseen, left, climbed.fold[judged], counts, whose)
        if rate is not None:
            self.shift_ = float(logit(rate) - logit(np.average(target, weights=weight)))
        self.search_ = {
            "losses": climbed.losses,
            "capacity": str(climbed.chosen),
            "rounds": climbed.rounds,
            "calibration": self.calibrator_.method,
            "fitted": [str(day) for day in later.fitted] if later else [],
            "judged": [str(day) for day in later.judged] if later else [],
        }
        return self

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """Return the probabilities of both classes, shape (n, 2).

        Raises
        ------
        ChurnmlError
            If the columns are not those of the training.
        """
        check_is_fitted(self)
        return self.probabilities(self.columns_.matrix(self.frame(X)))

    def probabilities(self, matrix: Array) -> Array:
        """Return the probabilities of both classes for rows that are a matrix already."""
        left = self.calibrator_(predicted(self.booster_, matrix, line=self.line_))
        if self.shift_:
            left = shifted(left, self.shift_)
        return np.column_stack([1 - left, left])

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Return the likelier class of each row, shape (n,)."""
        left = self.predict_proba(X)[:, 1] > 0.5
        return np.asarray(self.classes_[left.astype(int)])

    def contributions(self, X: Any) -> pd.DataFrame:  # noqa: N803
        """Return what each column adds to the log-odds before calibration, exactly (see `contributions`): n x columns.

        What a constructed column adds is shared evenly by the columns that it is made of.
        """
        check_is_fitted(self)
        added = self.added(self.columns_.matrix(self.frame(X)), Contributions(self.booster_, self.centres_))
        return pd.DataFrame(added, columns=list(self.columns_.kinds))

    def added(self, matrix: Array, prepared: Contributions) -> Array:
        """Return what `contributions` returns, for rows that are a matrix already."""
        added = prepared(matrix)
        if self.line_ is not None:
            added += self.line_.contributions(matrix)
        own = added[:, : len(self.columns_.kinds)]
        for place, made in enumerate(self.columns_.made, start=own.shape[1]):
            own[:, list(made.of)] += added[:, [place]] / len(made.of)
        return own

    def _kept(self) -> Kept:
        kept = {
            "classes": self.classes_.tolist(),
            "centres": self.centres_,
            "line": self.line_ and self.line_.to_dict(),
            "calibrator": self.calibrator_.to_dict(),
            "shift": self.shift_,
            "search": self.search_,
        }
        return {"booster": self.booster_}, kept

    def _restore(self, boosters: Mapping[str, lgb.Booster], kept: Mapping[str, Any]) -> None:
        self.booster_ = boosters["booster"]
        self.classes_ = np.array(kept["classes"])
        self.centres_ = kept["centres"]
        self.line_ = kept["line"] and Line.from_dict(kept["line"])
        self.calibrator_ = Calibrator(**kept["calibrator"])
        self.shift_ = kept["shift"]
        self.search_ = kept["search"]


def two_classes(y: Any, rows: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Return the two classes of a label, and which of them each row has.

    Raises
    ------
    DataError
        If it has a null, another length, or not two classes.
    """
    label = column_or_1d(y, warn=True)
    if label.dtype.kind == "f":
        assert_all_finite(label, input_name="y")
    if pd.isna(label).any():
        raise DataError("Input y contains NaN", "leave out the rows whose outcome is not known", rows=len(label))
    check_consistent_length(label, np.empty(rows))
    check_classification_targets(label)
    classes, outcome = np.unique(label, return_inverse=True)
    if len(classes) > 2:
        raise DataError(
            f"Only binary classification is supported. The type of the target is {type_of_target(label)}.",
            "give a label of two classes",
        )
    if len(classes) < 2:
        raise DataError(
            f"a churn model needs customers who left and customers who stayed: the {rows:,} rows hold one class",
            "take more dates, or a longer horizon",
            rows=rows,
        )
    return classes, outcome
