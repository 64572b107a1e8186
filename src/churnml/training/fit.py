"""Fitting: judged out of time beside the baselines, then fitted again on every date whose outcome is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold

from churnml.columns import (
    AS_OF,
    CAUSE,
    CAUSE_PROBABILITIES,
    CHURN_PROBABILITY,
    CHURNED,
    CUSTOMER_ID,
    DURATION_DAYS,
    EXPECTED_VALUE,
    VALUE,
    VALUE_IF_STAYS,
    WEIGHT,
)
from churnml.config import Config
from churnml.evaluation.judge import OBSERVED, PREDICTED, judge
from churnml.evaluation.metrics import CHURN_METRICS, VALUE_METRICS
from churnml.evaluation.verdict import Verdict
from churnml.models.baselines import last_years_spend, logistic_regression, recency_rule
from churnml.models.bundle import Bundle, Estimator
from churnml.models.churn import ChurnClassifier
from churnml.models.hazard import HazardModel
from churnml.models.value import ValueRegressor
from churnml.tiering.spend import YEAR
from churnml.training.data import TrainingData
from churnml.training.dates import Schedule
from churnml.training.gates import Evidence, churn_verdict, value_verdict

_FOLDS = 5  # where there is one date only


@dataclass(frozen=True)
class Trained:
    """A model that is fitted and judged, and not yet registered.

    Attributes
    ----------
    model : {"churn", "value"}
        Which.
    bundle : Bundle
        Fitted on every date whose outcome is known.
    tested : DataFrame
        Rows that the judged model had not seen: ``customer_id``, ``as_of``, ``observed``, ``predicted``, baselines.
    evaluation : DataFrame
        See `evaluation.judge`.
    verdict : Verdict
        Of the gates.
    schedule : Schedule
        Dates.
    """

    model: str
    bundle: Bundle
    tested: pd.DataFrame
    evaluation: pd.DataFrame
    verdict: Verdict
    schedule: Schedule


def fit_churn(data: TrainingData, facts: dict[str, Any], *, seed: int) -> Trained:
    """Train, judge and fit again the churn model.

    Parameters
    ----------
    data : TrainingData
        Panel and split.
    facts : dict
        Provenance, which the bundle carries.
    seed : int
        Of all that is drawn.

    Returns
    -------
    Trained
        With a verdict.
    """
    schedule = data.churn

    def fitted(rows: pd.DataFrame, features: pd.DataFrame, **parameters: Any) -> ChurnClassifier:
        model = ChurnClassifier(label_days=schedule.outcome_days, random_state=seed, **parameters)
        dates = rows[AS_OF] if schedule.out_of_time else None
        left = rows[CHURNED].astype(int)
        return model.fit(features, left, sample_weight=rows[WEIGHT], groups=rows[CUSTOMER_ID], as_of=dates)

    def tested(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, ChurnClassifier]:
        left, weight = train[CHURNED].to_numpy(dtype=np.float64), train[WEIGHT].to_numpy()
        features, unseen = data.read(train), data.read(test)
        model = fitted(train, features)
        predictions = {
            OBSERVED: test[CHURNED].to_numpy(dtype=np.float64),
            PREDICTED: model.predict_proba(unseen)[:, 1],
            "recency": recency_rule(features, left, unseen, weight),
            "logistic": logistic_regression(features, left, unseen, weight),
        }
        return test[[CUSTOMER_ID, AS_OF, WEIGHT]].assign(**predictions), model

    rows, model = _tested(data.churn_rows, schedule, tested, seed)
    evaluation = judge(rows, CHURN_METRICS, seed=seed)
    train, test = (int(data.churn_rows(dates)[CHURNED].sum()) for dates in (schedule.train, schedule.test))
    verdict = churn_verdict(evaluation, Evidence(schedule.tests_later, data.leaks, train, test))
    known = data.churn_rows(schedule.known)
    final = fitted(known, data.read(known), capacity=model.search_["capacity"])
    models: dict[str, Estimator] = {CHURN_PROBABILITY: final}
    watched = data.watched_rows(schedule.known)
    if len(watched):
        models[CAUSE_PROBABILITIES] = fit_hazard(data, watched, schedule, seed=seed)
    facts = {**facts, "as_of": _texts(schedule.known), "touched": data.touched[CHURNED].to_dict()}
    bundle = Bundle(models, facts)
    return Trained("churn", bundle, rows, evaluation, verdict, schedule)


def fit_hazard(data: TrainingData, watched: pd.DataFrame, schedule: Schedule, *, seed: int) -> HazardModel:
    """Fit when and why customers leave.

    Parameters
    ----------
    data : TrainingData
        Panel.
    watched : DataFrame
        What `TrainingData.watched_rows` gave.
    schedule : Schedule
        Of the churn model.
    seed : int
        Of all that is drawn.

    Returns
    -------
    HazardModel
        Fitted; no gate judges it.
    """
    model = HazardModel(label_days=schedule.outcome_days, random_state=seed)
    dates = watched[AS_OF] if schedule.out_of_time else None
    features, duration, weight = data.read(watched), watched[DURATION_DAYS], watched[WEIGHT]
    return model.fit(features, duration, watched[CAUSE], sample_weight=weight, groups=watched[CUSTOMER_ID], as_of=dates)


def fit_value(data: TrainingData, config: Config, facts: dict[str, Any], schedule: Schedule, *, seed: int) -> Trained:
    """Train, judge and fit again the value model; ``value_if_stays`` is fitted on those who stayed.

    Parameters
    ----------
    data : TrainingData
        Panel and split.
    config : Config
        For horizon and margin.
    facts : dict
        Provenance, which the bundle carries.
    schedule : Schedule
        Of the value model.
    seed : int
        Of all that is drawn.

    Returns
    -------
    Trained
        With a verdict.
    """

    def fitted(rows: pd.DataFrame) -> ValueRegressor:
        model = ValueRegressor(label_days=schedule.outcome_days, random_state=seed)
        return model.fit(
            data.read(rows), rows[VALUE], sample_weight=rows[WEIGHT], groups=rows[CUSTOMER_ID], as_of=rows[AS_OF]
        )

    def tested(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, ValueRegressor]:
        model = fitted(train)
        value = config.value
        spend = last_years_spend(test[YEAR.name], horizon_days=value.horizon_days, margin_rate=value.margin_rate)
        predictions = {
            OBSERVED: test[VALUE].to_numpy(dtype=np.float64),
            PREDICTED: model.predict(data.read(test)),
            "last_year_spend": spend,
        }
        return test[[CUSTOMER_ID, AS_OF, WEIGHT]].assign(**predictions), model

    rows, _ = _tested(data.value_rows, schedule, tested, seed)
    evaluation = judge(rows, VALUE_METRICS, seed=seed)
    verdict = value_verdict(evaluation, Evidence(schedule.tests_later, data.leaks))
    known = data.value_rows(schedule.known)
    models: dict[str, Estimator] = {
        EXPECTED_VALUE: fitted(known),
        VALUE_IF_STAYS: fitted(known[known[CHURNED].eq(0).fillna(False)]),
    }
    facts = {**facts, "as_of": _texts(schedule.known), "touched": data.touched[VALUE].to_dict()}
    bundle = Bundle(models, facts)
    return Trained("value", bundle, rows, evaluation, verdict, schedule)


def _tested(
    rows_at: Callable[[list[dt.date]], pd.DataFrame],
    schedule: Schedule,
    tested: Callable[[pd.DataFrame, pd.DataFrame], tuple[pd.DataFrame, Any]],
    seed: int,
) -> tuple[pd.DataFrame, Any]:
    """Predict rows by models that have not seen them: later ones, or, without a later date, other customers."""
    if schedule.out_of_time:
        found, model = tested(rows_at(schedule.train), rows_at(schedule.test))
        return found.reset_index(drop=True), model
    rows = rows_at(schedule.known)
    folds = GroupKFold(_FOLDS, shuffle=True, random_state=seed).split(rows, groups=rows[CUSTOMER_ID])
    parts = [tested(rows.iloc[train], rows.iloc[test]) for train, test in folds]
    return pd.concat([part for part, _ in parts], ignore_index=True), parts[-1][1]


def _texts(dates: list[dt.date]) -> list[str]:
    return [str(day) for day in dates]
