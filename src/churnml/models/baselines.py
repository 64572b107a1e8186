"""What a model has to beat: a rule of thumb, a linear model, and last year's spend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from churnml.models.calibration import EDGE
from churnml.models.columns_of import ModelColumns

Array = npt.NDArray[np.float64]

_LEVELS = 40  # of a text column


@dataclass(frozen=True)
class Rule:
    """A rule of thumb: one column, and which end of it is the likelier to leave.

    Attributes
    ----------
    column : str
        The feature.
    higher : bool
        Whether those with more of it are the likelier to leave.
    """

    column: str
    higher: bool

    def risk(self, rows: pd.DataFrame, silent: float) -> Array:
        """Return the column, nulls as ``silent``, so that more is worse."""
        values = rows[self.column].astype("float64").fillna(silent).to_numpy(dtype=np.float64)
        return np.asarray(values if self.higher else -values, dtype=np.float64)

    def silent(self, train: pd.DataFrame) -> float:
        """Return what a null stands for: silence beyond everyone's, or else nothing unusual."""
        known = train[self.column].astype("float64").dropna()
        return float(known.max()) + 1 if self.column == _RECENCY.column else float(known.median())

    def predict(self, train: pd.DataFrame, churned: Array, test: pd.DataFrame, weight: Array | None = None) -> Array:
        """Predict by the rule alone, made a probability on the training rows: array of shape (m,)."""
        silent = self.silent(train)
        steps = IsotonicRegression(out_of_bounds="clip")
        steps.fit(self.risk(train, silent), churned, sample_weight=weight)
        return _probabilities(steps.predict(self.risk(test, silent)))


_RECENCY, _TENURE = Rule("usage_days_since_last", higher=True), Rule("account_tenure_days", higher=False)
RULES = (
    _RECENCY,
    _TENURE,
    Rule("usage_active_days_30d", higher=False),
    Rule("bills_days_overdue_max", higher=True),
    Rule("complaints_count_90d", higher=True),
    Rule("complaints_open_count", higher=True),
    Rule("surveys_score_last", higher=False),
    Rule("account_days_to_contract_end", higher=False),
)


def _usable(rule: Rule, train: pd.DataFrame) -> bool:
    return rule.column in train and bool(train[rule.column].notna().any())


def recency_rule(train: pd.DataFrame, churned: Array, test: pd.DataFrame, weight: Array | None = None) -> Array:
    """Predict by the days since the last usage alone, made a probability on the training rows.

    Parameters
    ----------
    train : DataFrame
        Features. Without usage, the newer customer is the likelier to leave.
    churned : array of shape (n,)
        0 or 1, of the training rows.
    test : DataFrame
        Features of the rows to predict.
    weight : array of shape (n,), optional
        How much each training row counts.

    Returns
    -------
    array of shape (m,)
        Probabilities of the test rows.
    """
    rule = next((rule for rule in (_RECENCY, _TENURE) if _usable(rule, train)), None)
    if rule is None:
        return _probabilities(np.full(len(test), np.average(churned, weights=weight)))
    return rule.predict(train, churned, test, weight)


def best_rule(train: pd.DataFrame, churned: Array, weight: Array | None = None) -> Rule:
    """Choose the rule of thumb that tells leavers best on the training rows, by AUC.

    Parameters
    ----------
    train : DataFrame
        Features.
    churned : array of shape (n,)
        0 or 1, both of which are there.
    weight : array of shape (n,), optional
        How much each row counts.

    Returns
    -------
    Rule
        Of silence, tenure, activity, overdue bills, complaints, satisfaction and contract end: one column whose
        direction is known beforehand, for of few leavers nothing finer can be learned.
    """
    usable = [rule for rule in RULES if _usable(rule, train)] or [_TENURE]
    return max(
        usable, key=lambda rule: roc_auc_score(churned, rule.risk(train, rule.silent(train)), sample_weight=weight)
    )


def logistic_regression(train: pd.DataFrame, churned: Array, test: pd.DataFrame, weight: Array | None = None) -> Array:
    """Predict by a logistic regression on scaled numbers and coded text.

    Parameters
    ----------
    train : DataFrame
        Features, with nulls (filled by the median, and told to the model).
    churned : array of shape (n,)
        0 or 1, of the training rows.
    test : DataFrame
        Features of the rows to predict.
    weight : array of shape (n,), optional
        How much each training row counts.

    Returns
    -------
    array of shape (m,)
        Probabilities of the test rows.
    """
    columns = ModelColumns.of(train, most=_LEVELS)
    text = columns.categorical
    numbers = [place for place in range(len(columns.kinds)) if place not in text]
    logs = FunctionTransformer(_signed_log)
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    codes = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=-1, keep_empty_features=True),
        OneHotEncoder(handle_unknown="ignore"),
    )
    prepared = ColumnTransformer(
        [("numbers", make_pipeline(fill, logs, StandardScaler()), numbers), ("text", codes, text)]
    )
    model = make_pipeline(prepared, LogisticRegression(C=0.1, max_iter=2000, tol=1e-3))
    model.fit(columns.matrix(train).astype(np.float32), churned, logisticregression__sample_weight=weight)
    return _probabilities(model.predict_proba(columns.matrix(test).astype(np.float32))[:, 1])


def _probabilities(raw: Any) -> Array:
    return np.asarray(np.clip(raw, EDGE, 1 - EDGE), dtype=np.float64)


def _signed_log(values: Array) -> Array:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def last_years_spend(spend: pd.Series[Any], *, horizon_days: int, margin_rate: float) -> Array:
    """Predict that a customer brings what they were billed in the last 365 days, in proportion to the horizon.

    Parameters
    ----------
    spend : Series of shape (n,)
        Billed in the 365 days before the date, money.
    horizon_days : int
        Over how many days value is asked for.
    margin_rate : float
        What of a bill is margin.

    Returns
    -------
    array of shape (n,)
        Money.
    """
    return spend.to_numpy(dtype=np.float64) * margin_rate * horizon_days / 365
