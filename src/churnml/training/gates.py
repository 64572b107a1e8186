"""The gates: what a model has to show before it may score customers."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from churnml.evaluation.judge import figure
from churnml.evaluation.verdict import Gate, Verdict
from churnml.snapshots.readiness import TEST_CHURNERS, TRAIN_CHURNERS

LEVEL_LOW, LEVEL_HIGH = 0.9, 1.1


@dataclass(frozen=True)
class Evidence:
    """What the gates ask beyond the evaluation.

    Attributes
    ----------
    out_of_time : bool
        Whether the test lies later than the training.
    leaks : list of str
        Columns that give the outcome away.
    train_churners, test_churners : int
        Panel rows with ``churned`` = 1; only asked of churn models.
    """

    out_of_time: bool
    leaks: list[str]
    train_churners: int = 0
    test_churners: int = 0


def churn_verdict(evaluation: pd.DataFrame, evidence: Evidence) -> Verdict:
    """Judge a churn model by its evaluation against the baselines `recency` and `logistic`."""
    auc, rule = figure(evaluation, "auc"), figure(evaluation, "auc", "recency")
    gates = [
        Gate("out_of_time", evidence.out_of_time, {}),
        Gate("beats_recency", auc.value > rule.value, {"auc": auc.value, "recency_auc": rule.value}),
        _not_worse(evaluation, "logistic", "log_loss", lower_is_better=True),
        _level(evaluation),
        _enough(evidence),
        _no_leak(evidence),
    ]
    return Verdict("churn", tuple(gates))


def value_verdict(evaluation: pd.DataFrame, evidence: Evidence) -> Verdict:
    """Judge a value model by its evaluation against the baseline `last_year_spend`."""
    gates = [
        Gate("out_of_time", evidence.out_of_time, {}),
        _not_worse(evaluation, "last_year_spend", "normalised_gini", lower_is_better=False),
        _level(evaluation),
        _no_leak(evidence),
    ]
    return Verdict("value", tuple(gates))


def _not_worse(evaluation: pd.DataFrame, baseline: str, metric: str, *, lower_is_better: bool) -> Gate:
    gain = figure(evaluation, f"{metric}_gain", baseline)
    worse = gain.low > 0 if lower_is_better else gain.high < 0
    facts = {"baseline": baseline, "metric": metric, "difference": gain.value, "low": gain.low, "high": gain.high}
    return Gate("not_worse_than", not worse, facts)


def _level(evaluation: pd.DataFrame) -> Gate:
    ratio = figure(evaluation, "level")
    passed = LEVEL_LOW <= ratio.value <= LEVEL_HIGH or ratio.holds(1.0)
    return Gate("level", passed, {"ratio": ratio.value, "low": ratio.low, "high": ratio.high})


def _enough(evidence: Evidence) -> Gate:
    train, test = evidence.train_churners, evidence.test_churners
    facts = {"train": train, "test": test, "needed_train": TRAIN_CHURNERS, "needed_test": TEST_CHURNERS}
    return Gate("enough_churners", train >= TRAIN_CHURNERS and test >= TEST_CHURNERS, facts)


def _no_leak(evidence: Evidence) -> Gate:
    return Gate("no_leak", not evidence.leaks, {"columns": ", ".join(evidence.leaks)})
