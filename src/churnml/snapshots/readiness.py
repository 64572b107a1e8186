"""Whether the histories hold enough to train and to test on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from churnml.asof import DAY, dates_between
from churnml.columns import CHURNED, CHURNED_AT
from churnml.config import Gates
from churnml.labels.outcome import churned, is_observed, observed_until
from churnml.population import at_risk
from churnml.snapshots.splits import out_of_time
from churnml.tables.coverage import Finding
from churnml.tables.histories import Histories

EVENTS = ("usage", "bills", "complaints", "surveys", "costs", "contacts")  # tables that tell of every month

_LONGER_HORIZONS = (90, 120, 180, 270, 365)
_MONTH = 365.25 / 12  # days
_WARM_UP_DAYS = 30  # of history before the first as-of date


@dataclass(frozen=True)
class Split:
    """Panel rows with ``churned`` = 1 that there are to train and to test on, out of time.

    Attributes
    ----------
    train, test : int
        Counts.
    train_dates : int
        How many dates there are to train on.
    at_risk : int
        Customers to test on.
    """

    train: int
    test: int
    train_dates: int = 0
    at_risk: int = 0

    def enough(self, needed: Gates) -> bool:
        """Tell whether that is as many as are needed."""
        return self.train >= needed.train_churners and self.test >= needed.test_churners


def usable_dates(histories: Histories) -> list[dt.date]:
    """List the as-of dates whose outcome is known: of ``training``, or else the first of each month.

    Parameters
    ----------
    histories : Histories
        The operator's tables.

    Returns
    -------
    list of datetime.date
        Ascending; may be empty.
    """
    label = histories.config.label
    last = (observed_until(histories) - (label.lead_days + label.horizon_days) * DAY).date()
    if histories.config.training is not None:
        return [day for day in histories.config.training.dates() if day <= last]
    first = first_row(histories) + (_WARM_UP_DAYS + 31) * DAY
    return dates_between(first.date().replace(day=1), last, "1mo")


def readiness(histories: Histories) -> tuple[bool, list[Finding]]:
    """Tell whether there is enough to train a model and test it out of time, and what is missing.

    Parameters
    ----------
    histories : Histories
        The operator's tables.

    Returns
    -------
    enough : bool
        As many churners to train and to test on as ``gates`` asks for, test dates a whole outcome window
        after the train dates.
    findings : list of Finding
        What is missing, in churners, months and customers; and which longer horizon, or types of departure taken
        together, would do.
    """
    if not is_observed(histories):
        return False, [Finding(None, None, "not_observed", {})]
    label = histories.config.label
    gap = label.lead_days + label.horizon_days
    dates = usable_dates(histories)
    if not dates:
        until = observed_until(histories)
        facts: dict[str, Any] = {
            "until": until,
            "latest": (until - gap * DAY).date(),
            "first": first_row(histories).date(),
        }
        return False, [Finding(None, None, "no_outcome", facts)]
    needed = histories.config.gates
    missing = out_of_time(dates, gap).missing_days
    if missing:
        facts = {"gap": gap, "first": dates[0], "last": dates[-1], "missing": missing}
        stayed, left = outcomes(histories, dates[-1])
        found = [Finding(None, None, "one_date", facts)]
        if left and left < needed.test_churners:
            found.append(_few("few_to_test", left, needed.test_churners))
            found.append(_more_customers(stayed + left, needed.test_churners / left))
        return False, found
    split = _split(histories)
    if split.enough(needed):
        return True, []
    findings = [
        _few(key, found, least)
        for key, found, least in (
            ("few_to_train", split.train, needed.train_churners),
            ("few_to_test", split.test, needed.test_churners),
        )
        if found < least
    ]
    return False, [*findings, *_more(dates, split, needed), *_pooled(histories), _longer(histories)]


def _few(key: str, found: int, needed: int) -> Finding:
    return Finding(None, None, key, {"found": found, "needed": needed, "missing": needed - found})


def _more_customers(now: int, factor: float) -> Finding:
    return Finding(None, None, "more_customers", {"now": now, "customers": ceil(now * factor)})


def _more(dates: Sequence[dt.date], split: Split, needed: Gates) -> list[Finding]:
    """Tell how many more months or customers it takes at the rate so far."""
    if not split.train or not split.test:
        return []
    factors = needed.train_churners / split.train, needed.test_churners / split.test
    found = [_more_customers(split.at_risk, max(factors))]
    if factors[0] > 1:
        months = split.train_dates * (dates[-1] - dates[0]).days / (len(dates) - 1) / _MONTH
        found.insert(0, Finding(None, None, "more_months", {"months": ceil(months * (factors[0] - 1))}))
    return found


def _pooled(histories: Histories) -> list[Finding]:
    """Tell whether departures of every type together would be enough; segments always are together."""
    label = histories.config.label
    if label.mode != "terminated" or not label.types:
        return []
    split = _split(_asked(histories, types=None))
    if not split.enough(histories.config.gates):
        return []
    facts = {"types": ", ".join(label.types), "train": split.train, "test": split.test}
    return [Finding(None, None, "every_type", facts)]


def _longer(histories: Histories) -> Finding:
    now = histories.config.label.horizon_days
    for days in (days for days in _LONGER_HORIZONS if days > now):
        split = _split(_asked(histories, horizon_days=days))
        if split.enough(histories.config.gates):
            return Finding(None, None, "longer_horizon", {"days": days, "train": split.train, "test": split.test})
    return Finding(None, None, "no_horizon", {"days": max(now, _LONGER_HORIZONS[-1])})


def _asked(histories: Histories, **label: Any) -> Histories:
    config = histories.config
    return replace(histories, config=config.model_copy(update={"label": config.label.model_copy(update=label)}))


def _split(histories: Histories) -> Split:
    """Count churners, the last usable date being the test, those a whole outcome window before it the training."""
    label = histories.config.label
    dates = usable_dates(histories)
    if not dates:
        return Split(0, 0)
    split = out_of_time(dates, label.lead_days + label.horizon_days)
    train = sum(outcomes(histories, day)[1] for day in split.train)
    stayed, left = outcomes(histories, split.test[0])
    return Split(train, left, len(split.train), stayed + left)


def outcomes(histories: Histories, as_of: dt.date) -> tuple[int, int]:
    """Return how many of the customers at risk at a date stayed and how many left."""
    label = churned(histories, at_risk(histories, as_of), as_of)
    counts = label.agg(stayed=(label[CHURNED] == 0).sum(), left=(label[CHURNED] == 1).sum()).to_pyarrow().to_pylist()
    return counts[0]["stayed"] or 0, counts[0]["left"] or 0


def first_row(histories: Histories) -> dt.datetime:
    """Return when the histories begin: with events, where there are any, or else plans or sign-ups.

    Whoever left before that may be missing, so that earlier dates would show those alone who stayed. Where customers
    terminate, histories begin no earlier than an outcome in which somebody left.
    """
    firsts = {name: report.first for name, report in histories.reports.items() if report.first}
    moments = [first for name, first in firsts.items() if name in EVENTS]
    others = [firsts[name] for name in ("subscriptions", "customers") if name in firsts]
    begun = min(moments) if moments else next(iter(others), observed_until(histories))
    label = histories.config.label
    if label.mode == "inactive":
        return begun
    left = histories.newest("customers")[CHURNED_AT].min().to_pyarrow().as_py()
    return begun if left is None else max(begun, left - (label.lead_days + label.horizon_days) * DAY)
