"""The churn classifier: boosted trees of the right size, with probabilities that can be used as money."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from churnml.errors import ChurnmlError
from churnml.models.boosting import Problem, climb, load_booster, predicted, save_booster
from churnml.models.calibration import EDGE, Calibrator, choose_calibrator
from churnml.models.columns_of import ModelColumns, as_frame
from churnml.models.folds import inner_folds

Array = npt.NDArray[np.float64]


class ChurnClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predict who leaves, as calibrated probabilities.

    LightGBM with a ladder of capacities chosen by log loss on rows not seen; calibrated on such rows (none, beta or
    isotonic, as their log loss says). Classes are never weighted: that would spoil the probabilities.

    Parameters
    ----------
    population_rate : float, optional
        The true share of churners, where the training sample was stratified; the odds are corrected to it.
    ladder : sequence of int
        Numbers of leaves to choose from.
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
        ``losses`` of each capacity, the ``leaves`` and ``rounds`` chosen, ``calibration``, the dates that inner folds
        ``fitted`` and ``judged``.
    """

    def __init__(
        self,
        population_rate: float | None = None,
        *,
        ladder: Sequence[int] = (4, 15),
        label_days: int = 0,
        random_state: Any = None,
    ) -> None:
        self.population_rate = population_rate
        self.ladder = ladder
        self.label_days = label_days
        self.random_state = random_state

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
            The rows' dates; inner folds then go forward in time.

        Returns
        -------
        ChurnClassifier
            Itself.

        Raises
        ------
        ChurnmlError
            If there are not two classes.
        """
        frame = as_frame(X)
        self.classes_, outcome = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) != 2:
            raise ChurnmlError(
                f"a churn model needs customers who left and customers who stayed: the {len(outcome):,} rows hold "
                f"{len(self.classes_)} class",
                "take more dates, or a longer horizon",
                rows=len(outcome),
            )
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        target = outcome.astype(np.float64)
        weight = np.ones(len(target)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        self.columns_ = ModelColumns.of(frame)
        self.feature_names_in_ = np.array(list(self.columns_.kinds), dtype=object)
        self.n_features_in_ = len(self.columns_.kinds)
        folds = inner_folds(target, groups, as_of, label_days=self.label_days, seed=seed)
        objective = {"objective": "binary", "metric": "binary_logloss"}
        matrix = self.columns_.matrix(frame)
        climbed = climb(Problem(matrix, target, weight, self.columns_.categorical, objective, seed), folds, self.ladder)
        judged = climbed.fold >= 0
        self.booster_ = climbed.booster
        self.calibrator_ = choose_calibrator(
            climbed.unseen[judged], target[judged], climbed.fold[judged], weight[judged]
        )
        self.shift_ = 0.0
        if self.population_rate is not None:
            self.shift_ = float(logit(self.population_rate) - logit(np.average(target, weights=weight)))
        self.search_ = {
            "losses": climbed.losses,
            "leaves": climbed.leaves,
            "rounds": climbed.rounds,
            "calibration": self.calibrator_.method,
            "fitted": [str(day) for day in folds.fitted],
            "judged": [str(day) for day in folds.judged],
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
        return self.probabilities(self.columns_.matrix(as_frame(X)))

    def probabilities(self, matrix: Array) -> Array:
        """Return the probabilities of both classes for rows that are a matrix already."""
        left = self.calibrator_(predicted(self.booster_, matrix))
        if self.shift_:
            left = np.clip(expit(logit(left) + self.shift_), EDGE, 1 - EDGE)
        return np.column_stack([1 - left, left])

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Return the likelier class of each row, shape (n,)."""
        return np.asarray(self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)])

    def contributions(self, X: Any) -> pd.DataFrame:  # noqa: N803
        """Return what each column adds to the log-odds, exactly (Lundberg, Erion and Lee, 2018): n x columns."""
        check_is_fitted(self)
        matrix = self.columns_.matrix(as_frame(X))
        added = np.asarray(self.booster_.predict(matrix, pred_contrib=True, num_threads=0))[:, :-1]
        return pd.DataFrame(added, columns=list(self.columns_.kinds))

    def save(self, folder: Path) -> None:
        """Write the model into an empty folder, as text."""
        check_is_fitted(self)
        save_booster(self.booster_, Path(folder) / "booster.txt")
        kept = {
            "classes": self.classes_.tolist(),
            "columns": self.columns_.to_dict(),
            "calibrator": self.calibrator_.to_dict(),
            "shift": self.shift_,
            "search": self.search_,
            "parameters": {"population_rate": self.population_rate, "label_days": self.label_days},
        }
        (Path(folder) / "model.json").write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model that was saved; it predicts the same bits.

        Raises
        ------
        ChurnmlError
            If a file is missing or damaged.
        """
        kept = read_json(Path(folder) / "model.json")
        model = cls(**kept["parameters"])
        model.booster_ = load_booster(Path(folder) / "booster.txt")
        model.classes_ = np.array(kept["classes"])
        model.columns_ = ModelColumns(**kept["columns"])
        model.feature_names_in_ = np.array(list(model.columns_.kinds), dtype=object)
        model.n_features_in_ = len(model.columns_.kinds)
        model.calibrator_ = Calibrator(**kept["calibrator"])
        model.shift_ = kept["shift"]
        model.search_ = kept["search"]
        return model


def read_json(file: Path) -> Any:
    """Read what `save` wrote.

    Raises
    ------
    ChurnmlError
        If the file is missing or damaged.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ChurnmlError(f"the model {file} cannot be read ({str(error)[:80]})", "train again") from None
