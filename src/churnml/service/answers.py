"""What is answered, for the document: handlers write the bytes themselves."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Number = float | None
Text = str | None


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(extra="forbid")


class Problem(Answer):
    """What is wrong, and what to do."""

    code: str = Field(description="What a program tells errors apart by.", examples=["invalid"])
    message: str = Field(examples=["customer_ids: Field required"])
    details: dict[str, Any] = Field(description="The same as data.")


class Error(Answer):
    """What is answered in place of what was asked for."""

    error: Problem


class Reason(Answer):
    """Why a customer may leave."""

    code: str
    feature: str
    value: Number
    effect: float = Field(description="In log-odds.")
    text_en: str
    text_zh: str


class Score(Answer):
    """One customer's score."""

    customer_id: str
    as_of: dt.date
    status: Literal["scored", "not_scored"]
    status_reason: Text
    churn_probability: Number = Field(ge=0, le=1)
    churn_percentile: Number = Field(ge=0, le=100)
    expected_value: Number
    value_if_stays: Number
    value_at_risk: Number
    value_tier: Text
    risk_band: Text
    cause_probabilities: dict[str, float] | None
    reasons: list[Reason]
    churn_model_version: Text
    value_model_version: Text


class Versions(Answer):
    """Which models scored."""

    churn: str
    value: Text


class _OfRelease(Answer):
    as_of: dt.date = Field(description="Of the store, or of what was sent.")
    age_days: int = Field(description="How long ago the as-of date of the release was.")
    release: str = Field(description="What `churnml publish` made: store and models.")
    models: Versions
    warnings: list[str]


class ScoresAnswer(_OfRelease):
    """Scores in the order asked."""

    scores: list[Score]


class Profile(Answer):
    """What is known of a customer beside the score."""

    segment: Text
    account_manager: Text
    key_account: bool
    personal: dict[str, Any] = Field(description="The personal columns; `***` for the retention team.")


class CustomerAnswer(_OfRelease):
    """One customer."""

    score: Score
    profile: Profile
    history: dict[str, list[dict[str, Any]]] = Field(description="The latest rows of each table, usage by month.")


class Offered(Answer):
    """An offer, on the terms of the day."""

    id: str
    channel: str
    cost: float
    discount: float
    discount_days: int
    assumed_save_rate: Number


class Campaign(Answer):
    """How a campaign was opened."""

    id: str
    as_of: dt.date
    opened_at: dt.datetime
    budget: Number
    capacity: dict[str, int]
    offers: list[Offered]
    control_share: float
    explore_share: float
    cool_down_days: int
    churn_model_version: Text
    value_model_version: Text
    summary: dict[str, float]


class CampaignsAnswer(Answer):
    """All campaigns, by as-of date and name."""

    campaigns: list[Campaign]


class Target(Answer):
    """Whom to contact, with what, and why."""

    rank: int
    assignment_id: str
    customer_id: str
    key_account: bool
    value_tier: Text
    segment: Text
    offer_id: Text
    channel: Text
    churn_probability: Number
    risk_band: Text
    value_at_risk: Number
    expected_profit: Number
    reasons: list[Reason]
    account_manager: Text
    personal: dict[str, Any] = Field(description="The personal columns; `***` for the retention team.")


class TargetsAnswer(Answer):
    """A page of the call list, in the order in which to contact."""

    targets: list[Target]
    next_cursor: Text = Field(description="Where the next page begins; null on the last.")


class ModelAnswer(_OfRelease):
    """What scores."""

    published_at: dt.datetime
    facts: dict[str, Any] = Field(description="Trained when, on what, with which metrics.")


class Status(Answer):
    """How the service is."""

    status: str
