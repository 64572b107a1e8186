"""The gates: what a model has to show before it may score customers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from churnml.config import Gates
from churnml.evaluation.judge import ALL, MODEL, figure
from churnml.evaluation.verdict import Gate, Verdict
from churnml.training.rivals import CHAMPION, NO_CHAMPION, Comparison

_CHAMPION_GATE = "not_worse_than_champion"
_TOLD = 3  # slices in a sentence


@dataclass(frozen=True)
class Evidence:
    """What the gates ask beyond the evaluation.

    Attributes
    ----------
    out_of_time : bool
        Whether the test lies later than the training.
    leaks : list of str
        Columns that give the outcome away.
    train, test : int
        Panel rows that tell something: with ``churned`` = 1, or of value models with a value other than 0.
    champion : Comparison
        Whether, and how fairly, the champion predicted the same rows.
    """

    out_of_time: bool
    leaks: list[str]
    train: int = 0
    test: int = 0
    champion: Comparison = NO_CHAMPION


def churn_verdict(evaluation: pd.DataFrame, evidence: Evidence, limits: Gates | None = None) -> Verdict:
    """Judge a churn model by its evaluation against the baselines `recency` and `logistic`, and the champion."""
    limits = limits or Gates()
    auc, rule = figure(evaluation, "auc"), figure(evaluation, "auc", "recency")
    gates = [
        Gate("out_of_time", evidence.out_of_time, {}),
        Gate("beats_recency", auc.value > rule.value, {"auc": auc.value, "recency_auc": rule.value}),
        _not_worse(evaluation, "logistic", "log_loss", lower_is_better=True),
        _not_worse_than_champion(evaluation, evidence.champion, "log_loss", lower_is_better=True),
        _level(evaluation, limits),
        _calibrated(evaluation, limits),
        _even_slices(evaluation, limits),
        _enough("enough_churners", evidence, limits),
        _no_leak(evidence),
    ]
    return Verdict("churn", tuple(gates))


def value_verdict(evaluation: pd.DataFrame, evidence: Evidence, limits: Gates | None = None) -> Verdict:
    """Judge a value model by its evaluation against the baseline `last_year_spend`, and the champion."""
    limits = limits or Gates()
    gates = [
        Gate("out_of_time", evidence.out_of_time, {}),
        _not_worse(evaluation, "last_year_spend", "normalised_gini", lower_is_better=False),
        _not_worse_than_champion(evaluation, evidence.champion, "normalised_gini", lower_is_better=False),
        _level(evaluation, limits),
        _enough("enough_payers", evidence, limits),
        _no_leak(evidence),
    ]
    return Verdict("value", tuple(gates))


def _not_worse(evaluation: pd.DataFrame, baseline: str, metric: str, *, lower_is_better: bool) -> Gate:
    passed, facts = _gain(evaluation, baseline, metric, lower_is_better=lower_is_better)
    return Gate("not_worse_than", passed, {"baseline": baseline, **facts})


def _not_worse_than_champion(
    evaluation: pd.DataFrame, comparison: Comparison, metric: str, *, lower_is_better: bool
) -> Gate:
    told = {} if comparison.case == "compared" else {"case": comparison.case}
    champion = {} if comparison.version is None else {"champion": comparison.version}
    if not comparison.predicted:
        return Gate(_CHAMPION_GATE, comparison.case != "unreachable", told | champion)
    passed, facts = _gain(evaluation, CHAMPION, metric, lower_is_better=lower_is_better)
    return Gate(_CHAMPION_GATE, passed, told | champion | facts)


def none_after_all(gate: Gate) -> Gate:
    """Return a gate that could not ask for the champion as it stands where there is none; any other as it is."""
    asked = gate.name == _CHAMPION_GATE and gate.facts.get("case") == "unreachable"
    return Gate(_CHAMPION_GATE, True, {"case": "none"}) if asked else gate


def _gain(
    evaluation: pd.DataFrame, baseline: str, metric: str, *, lower_is_better: bool
) -> tuple[bool, dict[str, Any]]:
    gain = figure(evaluation, f"{metric}_gain", baseline)
    worse = gain.low > 0 if lower_is_better else gain.high < 0
    return not worse, {"metric": metric, "difference": gain.value, "low": gain.low, "high": gain.high}


def _level(evaluation: pd.DataFrame, limits: Gates) -> Gate:
    ratio = figure(evaluation, "level")
    passed = limits.level_low <= ratio.value <= limits.level_high or ratio.holds(1.0)
    facts = {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
    return Gate("level", passed, facts | {"least": limits.level_low, "most": limits.level_high})


def _calibrated(evaluation: pd.DataFrame, limits: Gates) -> Gate:
    error, expected = figure(evaluation, "ece").value, figure(evaluation, "ece_expected").value
    facts = {"ece": error, "expected": expected, "most": limits.ece_excess}
    return Gate("calibrated", error - expected <= limits.ece_excess, facts)


def _even_slices(evaluation: pd.DataFrame, limits: Gates) -> Gate:
    """Refuse where a group is served much worse than all; one that is served better is nobody's loss."""
    whole = figure(evaluation, "auc").value
    measured = evaluation[(evaluation["model"] == MODEL) & (evaluation["metric"] == "auc")]
    everyone = measured.loc[measured["slice"] == ALL, "n"].iloc[0]
    parts = measured[(measured["slice"] != ALL) & (measured["n"] < everyone)].dropna(subset="value")
    large = parts[parts["positives"] >= limits.slice_churners]
    low = large[large["value"] < whole - limits.slice_auc].sort_values("value")
    worst = [f"{row.slice} ({row.value:.3f})" for row in low.head(_TOLD).itertuples()]
    facts = {"auc": whole, "slices": len(large), "churners": limits.slice_churners, "most": limits.slice_auc}
    case = {} if len(large) else {"case": "none"}
    return Gate("even_slices", low.empty, case | facts | {"worst": ", ".join(worst)})


def _enough(name: str, evidence: Evidence, limits: Gates) -> Gate:
    train, test = limits.train_churners, limits.test_churners
    facts = {"train": evidence.train, "test": evidence.test, "needed_train": train, "needed_test": test}
    return Gate(name, evidence.train >= train and evidence.test >= test, facts)


def _no_leak(evidence: Evidence) -> Gate:
    return Gate("no_leak", not evidence.leaks, {"columns": ", ".join(evidence.leaks)})
