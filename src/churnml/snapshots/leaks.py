"""Columns that alone give the outcome away: what tells it that well was made from it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import TargetEncoder
from sklearn.tree import DecisionTreeRegressor

from churnml.columns import CHURNED
from churnml.feature_extraction.declare import Feature
from churnml.tables.coverage import Finding

NEARLY_DECIDES = 0.95
# An attribute has no time of its own, so it is easily written after the fact: it is suspected earlier.
ATTRIBUTE_NEARLY_DECIDES = 0.90
ENOUGH_OF_EACH = 25
# Some who leave, and hardly anybody else: a flag that is set on departure, for a few of them.
FEW_BUT_SURE = 10
TIMES_THE_ODDS = 100

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
        is at least .95 (.90 for attributes of customers, which have no time of their own), or by which 10 customers or
        more are picked out of fold whose odds of leaving are 100 times those of all; none where there are too few
        customers of either outcome to judge.
    """
    known = panel[panel[CHURNED].notna()]
    if len(known) > _ROWS:
        known = known.sample(_ROWS, random_state=0)
    outcome = known[CHURNED].to_numpy(dtype=int)
    if min(outcome.sum(), len(outcome) - outcome.sum()) < ENOUGH_OF_EACH:
        return []
    sure = TIMES_THE_ODDS * _odds(int(outcome.sum()), len(outcome))
    findings = []
    for feature in features:
        column = known[feature.name]
        by_null = float(roc_auc_score(outcome, column.isna()))
        by_null = max(by_null, 1 - by_null)
        by_value, suspects = _by_value(column, outcome, sure)
        picked, left = int(suspects.sum()), int(outcome[suspects].sum())
        limit = ATTRIBUTE_NEARLY_DECIDES if feature.source == "customers" else NEARLY_DECIDES
        facts: dict[str, Any] = {"as_of": as_of}
        if by_null >= limit:
            key, facts = "decides_by_null", {"auc": by_null, **facts}
        elif by_value >= limit:
            key, facts = "decides_by_value", {"auc": by_value, **facts}
        elif picked >= FEW_BUT_SURE and _odds(left, picked) >= sure:
            key, facts = "decides_for_some", {"left": left, "picked": picked, **facts}
        else:
            continue
        findings.append(Finding(feature.source, feature.column or feature.name, key, facts))
    return findings


def _odds(left: int, of: int) -> float:
    """Return the odds of leaving, with half a customer on either side so that they are finite (Haldane, 1956)."""
    return (left + 0.5) / (of - left + 0.5)


def _by_value(column: pd.Series[Any], outcome: np.ndarray[Any, Any], sure: float) -> tuple[float, np.ndarray[Any, Any]]:
    """Return the mean AUC of the folds, each by a model of the others, and whose odds they find to reach a bound."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        moments = pd.api.types.is_datetime64_any_dtype(column)
        numbers = (column - pd.Timestamp(0)).dt.total_seconds() if moments else column.astype("float64")
        values = numbers.to_numpy(dtype="float64").reshape(-1, 1)
        model = DecisionTreeRegressor(max_leaf_nodes=_LEAVES, min_samples_leaf=5, random_state=0)
    else:
        values = column.astype(object).where(column.notna(), "").astype(str).to_numpy(dtype=object).reshape(-1, 1)
        model = TargetEncoder(target_type="continuous")
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    aucs, predicted = [], np.zeros(len(outcome))
    for train, test in folds.split(values, outcome):
        model.fit(values[train], outcome[train])
        predict = model.predict if isinstance(model, DecisionTreeRegressor) else model.transform
        predicted[test] = np.ravel(predict(values[test]))
        aucs.append(roc_auc_score(outcome[test], predicted[test]))
    return float(np.mean(aucs)), predicted >= sure / (1 + sure)
