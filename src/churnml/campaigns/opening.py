"""Opening a campaign: from scores to assignments that are kept."""

from __future__ import annotations

import datetime as dt
import warnings
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from churnml.campaigns import schema
from churnml.campaigns.assignments import draw_up, means, summary_of
from churnml.campaigns.customers import key_accounts
from churnml.campaigns.eligibility import exclusions
from churnml.campaigns.store import CampaignRecord, keep, require_new_name
from churnml.columns import AS_OF, CHURN_PROBABILITY, CUSTOMER_ID, VALUE_IF_STAYS
from churnml.config import Campaign, Config
from churnml.errors import ChurnmlError, ChurnmlWarning
from churnml.scoring.score import SCHEMA as SCORES
from churnml.tables.histories import Histories


@dataclass(frozen=True)
class Opened:
    """A campaign that was opened.

    Attributes
    ----------
    assignments : DataFrame
        Everyone in the population once, treated first.
    summary : dict
        ``population``, ``treated``, ``control``, ``not_selected``, ``excluded``; ``expected_profit`` and ``cost`` of
        the treated, in money.
    """

    assignments: pd.DataFrame
    summary: dict[str, int | float]

    @property
    def explored(self) -> dict[str, int | float]:
        """How many were drawn to explore, and what they and the others are expected to bring; empty without any."""
        treated = self.assignments[self.assignments[schema.ARM] == schema.TREATED]
        drawn = treated["reason"] == "explore"
        profit = treated[schema.EXPECTED_PROFIT]
        told = {"explored_profit": float(profit[drawn].sum()), "selected_profit": float(profit[~drawn].sum())}
        return {"explored": int(drawn.sum()), **told} if drawn.any() else {}


def open_campaign(
    histories: Histories,
    scores: pd.DataFrame,
    monthly_spend: pd.Series[Any],
    *,
    name: str,
    as_of: dt.date,
    budget: float | None = None,
    seed: int = 0,
) -> Opened:
    """Draw up a campaign and keep it.

    Parameters
    ----------
    histories : Histories
        The operator's tables, with the configuration of offers and limits.
    scores : DataFrame
        The scores of everyone at risk at T (contract, section 5).
    monthly_spend : Series
        A third of what was billed in the 90 days before T, in money, by ``customer_id``.
    name : str
        What the campaign is to be called.
    as_of : datetime.date
        T.
    budget : float, optional
        What the offers may cost together, in money, in place of ``campaign.budget``.
    seed : int
        The same seed and scores give the same assignments.

    Returns
    -------
    Opened
        Its assignments and their numbers.

    Raises
    ------
    ChurnmlError
        If the name cannot be used, the scores are not those of T or have no ``value_if_stays``, or offers and limits
        cannot be used.
    """
    config = histories.config
    settings = planned(config, name, budget=budget, seed=seed)
    _check(scores, as_of)
    excluded = exclusions(histories, scores, as_of)
    assignments = draw_up(scores, monthly_spend, excluded, settings, name=name, as_of=as_of, seed=seed)
    summary = summary_of(assignments, settings.offers)
    record = CampaignRecord(
        id=name,
        as_of=as_of,
        seed=seed,
        **settings.model_dump(),
        churn_model_version=_version(scores["churn_model_version"]),
        value_model_version=_version(scores["value_model_version"]),
        config_hash=config.hash,
        opened_at=config.now().replace(microsecond=0, tzinfo=ZoneInfo(config.timezone)),
        summary=summary,
    )
    keep(config, record, assignments, scores, key_accounts(histories, scores))
    return Opened(assignments, summary)


def planned(config: Config, name: str, *, budget: float | None = None, seed: int = 0) -> Campaign:
    """Return how a campaign is to be drawn up, once it is sure that it can be.

    Warns of a capacity for a channel that no offer has: it limits nothing.

    Raises
    ------
    ChurnmlError
        If the name cannot be used, or offers, limits and shares.
    """
    require_new_name(config, name)
    campaign = config.campaign
    if budget is not None:
        campaign = campaign.model_copy(update={"budget": float(budget)})
    offers, _ = means(campaign, seed)
    channels = dict.fromkeys(offer.channel for offer in offers)
    for channel in campaign.capacity:
        if channel not in channels:
            told = f"campaign.capacity.{channel} limits nothing: the offers go by {', '.join(channels)}"
            warnings.warn(ChurnmlWarning(told), stacklevel=3)
    return campaign


def _check(scores: pd.DataFrame, as_of: dt.date) -> None:
    """Raise if scores are not what a campaign can be drawn up from."""
    remedy = f"take those that churnml score wrote for {as_of}"
    missing = [column for column in SCORES.names if column not in scores]
    if missing:
        raise ChurnmlError(f"the scores have no column {', '.join(missing)}", remedy, column=missing)
    twice = int(scores[CUSTOMER_ID].duplicated().sum())
    if twice or scores[CUSTOMER_ID].isna().any():
        raise ChurnmlError(
            f"the scores have {twice:,} customers twice, or some without customer_id", remedy, rows=twice
        )
    other = pd.to_datetime(scores[AS_OF]) != pd.Timestamp(as_of)
    if other.any():
        found = scores.loc[other, AS_OF].iloc[0]
        raise ChurnmlError(f"the scores are of {found:%Y-%m-%d}, not of {as_of}", remedy, date=str(as_of))
    probability = scores[CHURN_PROBABILITY]
    wrong = int(((scores["status"] == "scored") & ~probability.between(0, 1)).sum())
    if wrong:
        raise ChurnmlError(f"{wrong:,} scores have no churn_probability from 0 to 1", remedy, rows=wrong)
    if scores[VALUE_IF_STAYS].isna().all():
        raise ChurnmlError(
            "no score has a value_if_stays, so no offer can be weighed against its cost",
            "give the table bills, train again, and score again",
            column=VALUE_IF_STAYS,
        )


def _version(versions: pd.Series[Any]) -> str | None:
    found = versions.dropna()
    return None if found.empty else str(found.iloc[0])
