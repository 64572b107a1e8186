"""A campaign's list for the service: a page of it at a time, without the operator's tables at hand."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import select

from churnml.campaigns import schema as s
from churnml.campaigns.store import require_campaign
from churnml.columns import CHURN_PROBABILITY, CUSTOMER_ID, RISK_BAND, VALUE_AT_RISK, VALUE_TIER
from churnml.config import Config
from churnml.state.database import among, reading
from churnml.state.tables import ASSIGNMENTS

_KEPT = ("rank", s.ASSIGNMENT_ID, CUSTOMER_ID, "key_account", s.OFFER_ID, s.CHANNEL, CHURN_PROBABILITY)
_SCORED = (VALUE_TIER, RISK_BAND, VALUE_AT_RISK, "reasons")


def targets(
    config: Config, name: str, *, after: int = 0, limit: int, manager_customers: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Return a page of a campaign's list.

    Parameters
    ----------
    config : Config
        Where it is kept.
    name : str
        The campaign.
    after : int
        The ``rank`` of the last row of the page before; 0 for the first page.
    limit : int
        How many rows at most.
    manager_customers : collection of str, optional
        Only these customers; everybody by default.

    Returns
    -------
    list of dict
        The treated, key accounts first, then by descending ``expected_profit``, all as of the day on which it was
        opened: ``rank`` (from 1, never another; of the whole list, so that a page of few customers has gaps, as has
        one from which somebody was forgotten), ``assignment_id``, ``customer_id``, ``key_account``, ``value_tier``,
        ``offer_id``, ``channel``, ``churn_probability``, ``risk_band``, ``value_at_risk``, ``expected_profit``,
        ``reasons`` (as in a score, in both languages).

    Raises
    ------
    NoCampaignError
        If there is no such campaign.
    """
    columns = (*_KEPT, s.EXPECTED_PROFIT, "score")
    page = (
        select(*(ASSIGNMENTS.c[column] for column in columns))
        .where(ASSIGNMENTS.c.campaign_id == name, ASSIGNMENTS.c.rank > after)
        .order_by(ASSIGNMENTS.c.rank)
        .limit(limit)
    )
    with reading(config) as connection:
        require_campaign(connection, name)
        if manager_customers is not None:
            page = page.where(among(connection, ASSIGNMENTS.c[CUSTOMER_ID], manager_customers))
        rows = connection.execute(page).mappings().all()
    return [_row(dict(row)) for row in rows]


def _row(row: dict[str, Any]) -> dict[str, Any]:
    score = json.loads(row.pop("score"))
    return row | {column: score[column] for column in _SCORED}
