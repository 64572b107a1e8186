"""Columns that alone give the outcome away: what tells it that well was made from it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.preprocessing import TargetEncoder
from sklearn.tree import DecisionTreeRegressor

from churnml.columns import CHURNED
from churnml.feature_extraction.declare import Feature
from churnml.tables.coverage import Finding

NEARLY_DECIDES = 0.95
ENOUGH_OF_EACH = 25

_ROWS = 20_000
_LEAVES = 8
_FOLDS = 5


def leaking_columns(panel: pd.DataFrame, features: list[Feature], as_of: dt.date) -> list[Finding]:
    """List the features that by themselves, or by being null, nearly decide the outcome.

    Parameters
    ----------
    panel : pandas.DataFrame
        Features and ``churned`` at one date, one row for each customer; rows with a null label are left out.
    features : list of Feature
        Which columns to judge.
    as_of : datetime.date
        The date, for the message.

    Returns
    -------
    list of Finding
        A column whose out-of-fold AUC (5 folds; a tree of 8 leaves, or target encoding for text) or whose nulls' AUC
        is at least .95; none where there are too few customers of either outcome to judge.
    """
    known = panel[panel[CHURNED].notna()]
    if len(known) > _ROWS:
        known = known.sample(_ROWS, random_state=0)
    outcome = known[CHURNED].to_numpy(dtype=int)
    if min(outcome.sum(), len(outcome) - outcome.sum()) < ENOUGH_OF_EACH:
        return []
    findings = []
    for feature in features:
        column = known[feature.name]
        by_null = float(roc_auc_score(outcome, column.isna()))
        by_null = max(by_null, 1 - by_null)
        by_value = _auc_of_value(column, outcome)
        if max(by_null, by_value) >= NEARLY_DECIDES:
            key, auc = ("decides_by_null", by_null) if by_null >= NEARLY_DECIDES else ("decides_by_value", by_value)
            findings.append(Finding(feature.source, feature.column or feature.name, key, {"auc": auc, "as_of": as_of}))
    return findings


def _auc_of_value(column: pd.Series, outcome: np.ndarray) -> float:
    """Return the out-of-fold AUC; where even the fit to all rows is below the limit, that of the fit."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        moments = pd.api.types.is_datetime64_any_dtype(column)
        numbers = (column - pd.Timestamp(0)).dt.total_seconds() if moments else column.astype("float64")
        values = numbers.to_numpy(dtype="float64").reshape(-1, 1)
        model = DecisionTreeRegressor(max_leaf_nodes=_LEAVES, min_samples_leaf=5, random_state=0)
        fitted = model.fit(values, outcome).predict(values)
    else:
        values = column.astype(object).where(column.notna(), "").astype(str).to_numpy(dtype=object).reshape(-1, 1)
        model = TargetEncoder(target_type="continuous", random_state=0)
        fitted = model.fit(values, outcome).transform(values)[:, 0]
    auc = float(roc_auc_score(outcome, fitted))
    if auc < NEARLY_DECIDES:
        return auc
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    method = "predict" if isinstance(model, DecisionTreeRegressor) else "transform"
    return float(roc_auc_score(outcome, np.ravel(cross_val_predict(model, values, outcome, cv=folds, method=method))))
