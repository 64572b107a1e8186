"""Drawing up a campaign: everyone in the population once, with an arm and the reason for it."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churnml.campaigns import schema as s
from churnml.campaigns.arms import held_back, treated_share
from churnml.campaigns.exploring import explore
from churnml.campaigns.limits import NOTHING, Limit, counts_of, limits_of
from churnml.campaigns.offers import Matrix, expected, usable_offers
from churnml.campaigns.selection import select
from churnml.columns import CHURN_PROBABILITY, CUSTOMER_ID, RISK_BAND, VALUE_TIER
from churnml.config import Campaign, Offer
from churnml.errors import ChurnmlError

_NAMESPACE = uuid.UUID("6f0c4a0e-5b0a-4d9b-9c55-0c9a4c2e7d11")  # of assignments


def draw_up(
    scores: pd.DataFrame,
    monthly_spend: pd.Series[Any],
    excluded: pd.Series[Any],
    campaign: Campaign,
    *,
    name: str,
    as_of: dt.date,
    seed: int,
) -> pd.DataFrame:
    """Give everyone in the population an arm.

    First some of the eligible are explored, with what budget and capacity allow; what is left of both, enlarged for the
    control group, goes to the selection; then the control group is drawn among the selected.

    Parameters
    ----------
    scores : DataFrame
        One row for each customer at risk (contract, section 5), in any order.
    monthly_spend : Series
        Money a month, by ``customer_id``.
    excluded : Series
        Why a customer is not eligible, by ``customer_id``; null or absent for the eligible.
    campaign : Campaign
        Offers, limits and shares.
    name : str
        The campaign.
    as_of : datetime.date
        T.
    seed : int
        The same seed gives the same assignments; another date gives others, so that customers are not held back time
        and again.

    Returns
    -------
    DataFrame
        The columns of an assignment, treated first, then control, not selected and excluded, each by descending
        ``expected_profit``. Not selected customers have that of their best offer, excluded ones and controls of the
        exploration none.

    Raises
    ------
    ChurnmlError
        If offers, shares or limits cannot be used.
    """
    offers, limits = means(campaign, seed)
    exploring, ties, holding = map(np.random.default_rng, np.random.SeedSequence([seed, as_of.toordinal()]).spawn(3))
    rows = scores.sort_values(CUSTOMER_ID, ignore_index=True)
    uplift, profit = expected(rows, monthly_spend, offers)
    reason = excluded.reindex(rows[CUSTOMER_ID]).to_numpy(dtype=object)
    eligible = np.flatnonzero(pd.isna(reason))

    drawn = _Drawn(len(rows), offers)
    explored, offer = explore(eligible, campaign.explore_share, len(offers), limits, exploring)
    drawn.explored(explored, offer)
    rest = ties.permutation(np.setdiff1d(eligible, explored))
    limits = tuple(limit.less(counts_of(offer, len(offers))) for limit in limits)
    chosen = select(profit[rest], [limit.enlarged(campaign.control_share) for limit in limits])
    selected, offer = rest[chosen != NOTHING], chosen[chosen != NOTHING]
    in_order = np.argsort(selected)  # of the customers, so that chance does not hang on who is shuffled how
    selected, offer = selected[in_order], offer[in_order]
    control = held_back(offer, _strata(rows.iloc[selected]), campaign.control_share, limits, holding)
    drawn.selected(selected, offer, control)
    drawn.left_over(rest[chosen == NOTHING], profit)
    drawn.excluded(np.flatnonzero(~pd.isna(reason)), reason)
    return _sorted(drawn.assignments(rows, uplift, profit).assign(**{s.CAMPAIGN_ID: name}))


def means(campaign: Campaign, seed: int) -> tuple[tuple[Offer, ...], tuple[Limit, ...]]:
    """Return what a campaign has to offer, and what it may use.

    Raises
    ------
    ChurnmlError
        If offers, shares, limits or the seed cannot be used.
    """
    _check(campaign.control_share, seed)
    offers = usable_offers(campaign)
    return offers, limits_of(offers, campaign.capacity, campaign.budget)


def summary_of(assignments: pd.DataFrame, offers: Sequence[Offer]) -> dict[str, int | float]:
    """Count a campaign's assignments.

    Parameters
    ----------
    assignments : DataFrame
        As `draw_up` gives them.
    offers : sequence of Offer
        What was offered.

    Returns
    -------
    dict
        ``population`` and the customers in each arm; ``expected_profit`` and ``cost`` of the treated, in money.
    """
    arms = assignments[s.ARM].value_counts()
    treated = assignments[assignments[s.ARM] == s.TREATED]
    cost = {offer.id: offer.cost for offer in offers}
    return {
        "population": len(assignments),
        **{arm: int(arms.get(arm, 0)) for arm in s.ARMS},
        "expected_profit": math.fsum(treated[s.EXPECTED_PROFIT]),
        "cost": math.fsum(cost[offer] for offer in treated[s.OFFER_ID]),
    }


class _Drawn:
    """What has been decided so far, by the rows of the sorted scores."""

    def __init__(self, count: int, offers: tuple[Offer, ...]) -> None:
        self.offers = offers
        self.arm = np.full(count, None, dtype=object)
        self.reason = np.full(count, None, dtype=object)
        self.propensity = np.full(count, np.nan)
        self.judged = np.full(count, NOTHING)  # the offer whose uplift and profit are told
        self.given = np.full(count, NOTHING)  # the offer of who is drawn

    def explored(self, rows: NDArray[Any], offer: NDArray[Any]) -> None:
        self.arm[rows] = np.where(offer == NOTHING, s.CONTROL, s.TREATED)
        self.reason[rows] = s.EXPLORE
        self.propensity[rows] = (offer != NOTHING).mean() if len(rows) else np.nan
        self.judged[rows] = self.given[rows] = offer

    def selected(self, rows: NDArray[Any], offer: NDArray[Any], control: NDArray[np.bool_]) -> None:
        self.arm[rows] = np.where(control, s.CONTROL, s.TREATED)
        self.reason[rows] = np.where(control, s.HELD_BACK, s.SELECTED)
        share = treated_share(offer, control)
        self.propensity[rows] = np.where(share < 1, share, np.nan)  # without a control group nothing is random
        self.judged[rows] = self.given[rows] = offer

    def left_over(self, rows: NDArray[Any], profit: Matrix) -> None:
        best = profit[rows].argmax(axis=1)
        self.arm[rows] = s.NOT_SELECTED
        gains = profit[rows, best] > 0
        self.reason[rows] = np.where(gains, s.BEYOND_LIMITS, s.NO_PROFITABLE_OFFER)
        self.judged[rows] = best

    def excluded(self, rows: NDArray[Any], reason: NDArray[Any]) -> None:
        self.arm[rows] = s.EXCLUDED
        self.reason[rows] = reason[rows]

    def assignments(self, rows: pd.DataFrame, uplift: Matrix, profit: Matrix) -> pd.DataFrame:
        judged, given = self.judged != NOTHING, self.given
        ids = np.array([offer.id for offer in self.offers] + [None], dtype=object)
        channels = np.array([offer.channel for offer in self.offers] + [None], dtype=object)
        places = np.arange(len(rows)), self.judged
        return pd.DataFrame(
            {
                CUSTOMER_ID: rows[CUSTOMER_ID],
                s.ARM: self.arm,
                s.OFFER_ID: ids[given],
                s.CHANNEL: channels[given],
                s.EXPECTED_PROFIT: np.where(judged, profit[places], np.nan),
                CHURN_PROBABILITY: rows[CHURN_PROBABILITY].astype("float64"),
                s.UPLIFT: np.where(judged, uplift[places], np.nan),
                s.UPLIFT_SOURCE: pd.Series(s.ASSUMED, index=rows.index).where(judged),
                s.PROPENSITY: self.propensity,
                s.REASON: self.reason,
            }
        )


def _check(control_share: float, seed: int) -> None:
    if control_share == 1:
        raise ChurnmlError(
            "campaign.control_share is 1: nobody would be treated",
            "give less, such as 0.1",
            key="campaign.control_share",
        )
    if seed < 0:
        raise ChurnmlError(f"the seed {seed} is below 0", "give 0 or more", value=seed)


def _strata(rows: pd.DataFrame) -> NDArray[Any]:
    """Return a number for each combination of grade and risk, in their order."""
    levels = rows[[VALUE_TIER, RISK_BAND]].astype("str").fillna("")
    return np.asarray(levels.groupby([VALUE_TIER, RISK_BAND]).ngroup(), dtype=np.int64)


def _sorted(assignments: pd.DataFrame) -> pd.DataFrame:
    """Put the assignments in order and give each its number, the same whenever this campaign is drawn up again."""
    name = str(assignments[s.CAMPAIGN_ID].iloc[0])
    numbers = [str(uuid.uuid5(_NAMESPACE, f"{name}\n{customer}")) for customer in assignments[CUSTOMER_ID]]
    order = pd.Categorical(assignments[s.ARM], categories=list(s.ARMS), ordered=True).codes
    assignments[s.ASSIGNMENT_ID] = numbers
    ordered = assignments.assign(order=order).sort_values(
        ["order", s.EXPECTED_PROFIT, CUSTOMER_ID], ascending=[True, False, True], ignore_index=True
    )
    return s.typed(ordered)
