"""What a model has to beat: a rule of thumb, a linear model, and last year's spend."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from churnml.models.calibration import EDGE
from churnml.models.columns_of import ModelColumns

Array = npt.NDArray[np.float64]

_LEVELS = 40  # of a text column

_RECENCY = ("usage_days_since_last", "account_tenure_days")


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
    name = next((column for column in _RECENCY if column in train and train[column].notna().any()), None)
    if name is None:
        return _probabilities(np.full(len(test), np.average(churned, weights=weight)))
    longer_is_worse = name == _RECENCY[0]
    silent = float(train[name].max()) + 1  # never seen, or too long ago
    rule = IsotonicRegression(increasing=longer_is_worse, out_of_bounds="clip")
    rule.fit(_filled(train[name], silent), churned, sample_weight=weight)
    return _probabilities(rule.predict(_filled(test[name], silent)))


def _filled(column: pd.Series[Any], value: float) -> Array:
    return np.asarray(column.astype("float64").fillna(value), dtype=np.float64)


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
