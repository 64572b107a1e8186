"""What each offer is expected to bring with each customer (contract, section 7)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churnml.columns import CHURN_PROBABILITY, CUSTOMER_ID, VALUE_IF_STAYS
from churnml.config import Campaign, Offer
from churnml.errors import ChurnmlError

Matrix = NDArray[np.float64]


def usable_offers(campaign: Campaign) -> tuple[Offer, ...]:
    """Return the offers of a campaign, all of which can be judged.

    Parameters
    ----------
    campaign : Campaign
        The section of the configuration.

    Returns
    -------
    tuple of Offer
        In the order of the configuration.

    Raises
    ------
    ChurnmlError
        If there is none, two have one id, or one has no ``assumed_save_rate``.
    """
    key = "campaign.offers"
    if not campaign.offers:
        raise ChurnmlError(f"{key} is empty: there is nothing to offer", "list what customers can be offered", key=key)
    seen: set[str] = set()
    for offer in campaign.offers:
        if offer.id in seen:
            raise ChurnmlError(
                f"{key}: two offers have the id {offer.id}", "give each its own", key=key, value=offer.id
            )
        seen.add(offer.id)
        if offer.assumed_save_rate is None:
            raise ChurnmlError(
                f"{key}: {offer.id} has no assumed_save_rate, and there is no uplift model yet",
                "give the share of leavers that it is assumed to keep, such as 0.1",
                key=key,
                value=offer.id,
            )
    return campaign.offers


def expected(scores: pd.DataFrame, monthly_spend: pd.Series[Any], offers: tuple[Offer, ...]) -> tuple[Matrix, Matrix]:
    """Return what each offer is expected to change and to bring.

    ``uplift = churn_probability x assumed_save_rate`` and ``expected_profit = uplift x value_if_stays
    - (1 - churn_probability + uplift) x discount x monthly spend x discount_days / 30 - cost``.

    Parameters
    ----------
    scores : DataFrame of n rows
        ``customer_id``, ``churn_probability``, ``value_if_stays`` (money).
    monthly_spend : Series
        Money a month, by ``customer_id``.
    offers : tuple of Offer
        The k offers.

    Returns
    -------
    uplift : float array of shape (n, k)
        P(stays | offered) - P(stays | not); nan where the customer has no score.
    profit : float array of shape (n, k)
        Money; nan where the customer has no score.

    Raises
    ------
    ChurnmlError
        If a customer with a score has no monthly spend that a discount could be of.
    """
    leaves = scores[[CHURN_PROBABILITY]].to_numpy(dtype="float64")
    value = scores[[VALUE_IF_STAYS]].to_numpy(dtype="float64")
    spend = monthly_spend.reindex(scores[CUSTOMER_ID]).to_numpy(dtype="float64")[:, None]
    unknown = int((np.isfinite(leaves) & ~np.isfinite(spend)).sum())
    if unknown:
        raise ChurnmlError(
            f"{unknown:,} customers with a score have no monthly spend",
            "give a third of bills_amount_sum_90d for everyone with a score",
            rows=unknown,
        )
    uplift = leaves * np.array([offer.assumed_save_rate for offer in offers], dtype="float64")
    given_away = np.array([offer.discount for offer in offers]) * spend
    months = np.array([offer.discount_days for offer in offers]) / 30
    cost = np.array([offer.cost for offer in offers])
    return uplift, uplift * value - (1 - leaves + uplift) * given_away * months - cost
