"""What to do while there is too little to train on: the best rule of thumb, judged as a model would be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from churnml.columns import AS_OF, CHURNED, CUSTOMER_ID
from churnml.evaluation.judge import OBSERVED, PREDICTED, figure, judge
from churnml.evaluation.metrics import CHURN_METRICS
from churnml.models.baselines import RULES, best_rule
from churnml.snapshots.panel import Panel
from churnml.snapshots.readiness import usable_dates
from churnml.snapshots.splits import out_of_time
from churnml.tables.coverage import Finding
from churnml.tables.histories import Histories
from churnml.wording import LANGUAGES, say

_DATES = 4  # the last ones: a rule of one column learns nothing more from others
_FOLDS = 5  # where there is one date only
_CHANCE = 0.5  # AUC
_METRICS = {name: CHURN_METRICS[name] for name in ("auc", "top_decile_lift")}


def rule_meanwhile(histories: Histories, *, progress: bool = False) -> Finding | None:
    """Find the best rule of thumb, by earlier dates or other customers than those that it is measured on.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    Finding or None
        The rule with its AUC and lift in the top decile, that none is better than chance, or that none can be measured;
        None where no outcome is known.
    """
    dates = usable_dates(histories)
    if not dates:
        return None
    config = histories.config
    ours = config.features.model_copy(update={"python": None})  # no rule reads a feature of the operator's own
    histories = replace(histories, config=config.model_copy(update={"features": ours}))
    label = config.label
    split = out_of_time(dates, label.lead_days + label.horizon_days)
    panel = Panel(histories, [*split.train[-_DATES:], *split.test], labels=True, only=[rule.column for rule in RULES])
    rows = panel.to_pandas(progress=progress).dropna(subset=CHURNED)
    later = rows[AS_OF].isin(pd.to_datetime(split.test))
    pairs = _pairs(rows, later.to_numpy(), out_of_time=bool(split.train))
    if not pairs:
        facts: dict[str, Any] = {"left": int(rows.loc[later, CHURNED].sum()), "rows": int(later.sum())}
        return Finding(None, None, "no_rule_meanwhile", facts)
    left = rows[CHURNED].to_numpy(dtype=np.float64)
    rules, tested = [], []
    for train, test in pairs:
        rule = best_rule(rows.iloc[train], left[train])
        predicted = rule.predict(rows.iloc[train], left[train], rows.iloc[test])
        rules.append(rule)
        tested.append(rows.iloc[test][[CUSTOMER_ID, AS_OF]].assign(**{OBSERVED: left[test], PREDICTED: predicted}))
    best = max(rules, key=rules.count)
    found = pd.concat(tested, ignore_index=True)
    evaluation = judge(found, _METRICS)
    auc, lift = figure(evaluation, "auc"), figure(evaluation, "top_decile_lift")
    feature = next(feature for feature in panel.features if feature.name == best.column)
    direction = "rule_higher" if best.higher else "rule_lower"
    how = "rule_out_of_time" if split.train else "rule_others"
    facts = {
        "rule": best.column,
        "phrase": {"en": feature.phrase_en[:1].lower() + feature.phrase_en[1:], "zh": feature.phrase_zh},
        "direction": {lang: say(direction, lang) for lang in LANGUAGES},
        "how": {lang: say(how, lang) for lang in LANGUAGES},
        "auc": auc.value,
        "auc_low": auc.low,
        "auc_high": auc.high,
        "lift": lift.value,
        "lift_low": lift.low,
        "lift_high": lift.high,
        "left": int(found[OBSERVED].sum()),
        "rows": len(found),
    }
    return Finding(None, None, "rule_meanwhile" if auc.low > _CHANCE else "no_better_rule", facts)


def _pairs(rows: pd.DataFrame, later: npt.NDArray[np.bool_], *, out_of_time: bool) -> list[tuple[Any, Any]]:
    """Return rows to choose a rule by and rows to measure it on; none where one of them lacks an outcome."""
    left = rows[CHURNED].to_numpy()
    if out_of_time:
        pair = np.flatnonzero(~later), np.flatnonzero(later)
        return [pair] if all(len(np.unique(left[part])) == 2 for part in pair) else []
    least = int(min(left.sum(), len(left) - left.sum()))
    if least < 2:
        return []
    return list(StratifiedKFold(min(_FOLDS, least), shuffle=True, random_state=0).split(rows, left))
