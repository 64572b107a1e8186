"""What a report is made from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from churnml.columns import CUSTOMER_ID, WEIGHT
from churnml.config import Offer
from churnml.evaluation.judge import baselines_of
from churnml.evaluation.verdict import Verdict

KEY_SEGMENT = "key"
ModelName = Literal["churn", "value"]

_SCORES = (
    "customer_id", "status", "status_reason", "churn_probability", "churn_percentile", "value_at_risk", "value_tier",
    "risk_band", "reasons",
)  # fmt: skip
_ASSIGNMENTS = (
    "campaign_id", "customer_id", "arm", "offer_id", "channel", "expected_profit", "uplift", "uplift_source", "reason",
)  # fmt: skip
_TESTED = ("customer_id", "as_of", "observed", "predicted")
_EVALUATION = ("model", "metric", "slice", "value", "low", "high", "n")


@dataclass(frozen=True)
class TrainedModel:
    """A trained model, and how it did on customers whose outcome it had not seen.

    Attributes
    ----------
    version : str
        Its version in the registry.
    promoted : bool
        Whether it is the version in use.
    trained_on, tested_on : tuple of datetime.date
        As-of dates of the rows it was fitted on before the test, and of those it was tested on.
    out_of_time : bool
        Whether the test's outcomes all lie after those of training.
    tested : pandas.DataFrame
        One row for each customer and test date: ``customer_id``, ``as_of``, ``observed`` (1 left, 0 stayed; for the
        value model money), ``predicted``, and one column for each baseline, named after it (the higher the riskier);
        ``weight`` where rows stand for more or fewer than one.
    evaluation : pandas.DataFrame
        As `churnml.evaluation.judge.judge` gives it, one row for each figure: ``model`` (``model`` or a baseline's
        name), ``metric``, ``slice`` (``all``, or a part of the rows), ``value``, ``low`` and ``high`` (95 % interval,
        may be null), ``n`` (rows).
    verdict : Verdict
        What the gates say.
    touched : mapping of int
        Labels that campaigns touched: ``removed``, ``weighted``, ``own_calls`` and what comes of them; empty where that
        was not counted.
    """

    version: str
    promoted: bool
    trained_on: tuple[dt.date, ...]
    tested_on: tuple[dt.date, ...]
    out_of_time: bool
    tested: pd.DataFrame
    evaluation: pd.DataFrame
    verdict: Verdict
    touched: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(self.tested, _TESTED, "tested")
        _require(self.evaluation, _EVALUATION, "evaluation")

    @property
    def baselines(self) -> list[str]:
        """What the model is compared with, by the columns of ``tested``."""
        return baselines_of(self.tested)

    @property
    def weight(self) -> pd.Series[float]:
        """How many customers each row of the test stands for."""
        return self.tested[WEIGHT] if WEIGHT in self.tested else pd.Series(1.0, self.tested.index)


@dataclass(frozen=True)
class Proposal:
    """A campaign as it was drawn up.

    Attributes
    ----------
    assignments : pandas.DataFrame
        Everyone in the population once, with the columns of the contract's section 7.
    summary : mapping
        What ``campaign open --json`` prints; ``expected_profit`` and ``cost`` are shown, in money.
    offers : sequence of Offer
        What customers can be offered.
    """

    assignments: pd.DataFrame
    summary: Mapping[str, Any]
    offers: Sequence[Offer] = ()

    def __post_init__(self) -> None:
        _require(self.assignments, _ASSIGNMENTS, "assignments")


@dataclass(frozen=True)
class Report:
    """Everything that a report is made from; it computes nothing that would need more.

    Attributes
    ----------
    project, currency : str
        As configured; the currency may be empty.
    as_of : datetime.date
        The day of the scores.
    lead_days, horizon_days : int
        Days from it to the window in which customers are expected to leave, and that window's length.
    value_horizon_days : int
        Days over which value is counted.
    churn : TrainedModel
        The churn model.
    value : TrainedModel, optional
        The value model; without bills there is none.
    scores : pandas.DataFrame
        The population, with the columns of the contract's section 5. Any further column is never shown.
    segments : pandas.Series, optional
        Segment by customer id; may hold nulls.
    key_tiers : tuple of str
        Tiers whose customers are key accounts, as those of the segment ``key`` are.
    campaign : Proposal, optional
        The campaign, where one was drawn up.
    risk_bands : mapping of str to float
        Where each band begins, 0-1.
    phrases : mapping of str to (str, str)
        What features are called, in English and Chinese, as in the catalogue.
    config : str
        The configuration's path, for the commands to go on with.
    next_steps : tuple of str
        Which commands to propose, of ``export``, ``outcomes``, ``report``, ``open``, ``explain``; those that do not
        apply are left out.
    """

    project: str
    currency: str
    as_of: dt.date
    lead_days: int
    horizon_days: int
    value_horizon_days: int
    churn: TrainedModel
    scores: pd.DataFrame
    value: TrainedModel | None = None
    segments: pd.Series[Any] | None = None
    key_tiers: tuple[str, ...] = ()
    campaign: Proposal | None = None
    risk_bands: Mapping[str, float] = field(default_factory=dict)
    phrases: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    config: str = "churnml.yaml"
    next_steps: tuple[str, ...] = ("export", "outcomes", "report", "open", "explain")

    def __post_init__(self) -> None:
        _require(self.scores, _SCORES, "scores")

    @cached_property
    def scored(self) -> pd.DataFrame:
        """The scored customers, numbers as floats, with ``segment`` and ``key`` (whether a key account)."""
        scored = self.scores[self.scores["status"] == "scored"].reset_index(drop=True)
        numbers = ("churn_probability", "churn_percentile", "value_at_risk")
        scored = scored.assign(**{name: pd.to_numeric(scored[name]).astype(float) for name in numbers})
        segment = pd.Series(None, index=scored.index, dtype=object)
        if self.segments is not None:
            segment = scored[CUSTOMER_ID].map(self.segments[~self.segments.index.duplicated()]).astype(object)
        key = (segment == KEY_SEGMENT) | scored["value_tier"].isin(self.key_tiers)
        return scored.assign(segment=segment.where(segment.notna(), None), key=key)

    @property
    def window(self) -> tuple[dt.date, dt.date]:
        """First and last day of the window in which customers are expected to leave."""
        first = self.as_of + dt.timedelta(days=self.lead_days)
        return first, first + dt.timedelta(days=self.horizon_days - 1)

    @property
    def models(self) -> dict[ModelName, TrainedModel]:
        """The models there are, the churn model first."""
        models: dict[ModelName, TrainedModel | None] = {"churn": self.churn, "value": self.value}
        return {name: model for name, model in models.items() if model is not None}


def _require(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(f"{name} lacks {', '.join(missing)}")
