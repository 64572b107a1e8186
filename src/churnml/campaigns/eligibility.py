"""Who is left alone, and why."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from churnml.asof import Span
from churnml.campaigns import schema as s
from churnml.campaigns.store import assignments_of, campaigns
from churnml.columns import CUSTOMER_ID, VALUE_IF_STAYS
from churnml.tables.histories import Histories


def exclusions(histories: Histories, scores: pd.DataFrame, as_of: dt.date) -> pd.Series[Any]:
    """Return why customers are not eligible for a campaign.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    scores : DataFrame
        ``customer_id``, ``status``, ``value_if_stays``.
    as_of : datetime.date
        T.

    Returns
    -------
    Series
        By ``customer_id``: null, or the first that holds of ``not_scored``, ``no_value`` (a score without
        ``value_if_stays``), ``cool_down`` (treated or control in ``contacts`` within ``cool_down_days`` before T),
        ``in_campaign`` (treated or control in a campaign of ours less than ``cool_down_days`` away from T).
    """
    days = histories.config.campaign.cool_down_days
    customers = scores[CUSTOMER_ID]
    holds = {
        s.NOT_SCORED: scores["status"] != "scored",
        s.NO_VALUE: scores[VALUE_IF_STAYS].isna(),
        s.COOL_DOWN: customers.isin(_contacted(histories, as_of, days)),
        s.IN_CAMPAIGN: customers.isin(_drawn_elsewhere(histories, as_of, days)),
    }
    reason = np.select([holds[name].to_numpy() for name in s.EXCLUSIONS], list(s.EXCLUSIONS), "")
    return pd.Series(reason, index=pd.Index(customers), dtype="str", name=s.REASON).replace("", None)


def _contacted(histories: Histories, as_of: dt.date, days: int) -> pd.Series[Any]:
    """Return who is in ``contacts`` as known at T; a control of an experiment must stay untouched, too."""
    window = Span.before(as_of, days)
    rows = histories.known("contacts", window.end)
    recent = rows.filter(rows["assigned_at"] >= window.start, rows[s.ARM].notin([s.NOT_SELECTED, s.EXCLUDED]))
    found: pd.Series[Any] = recent.select(CUSTOMER_ID).distinct().to_pyarrow().to_pandas()[CUSTOMER_ID]
    return found


def _drawn_elsewhere(histories: Histories, as_of: dt.date, days: int) -> set[str]:
    near = [kept.id for kept in campaigns(histories.config) if abs((kept.as_of - as_of).days) < days]
    return {customer for name in near for customer in assignments_of(histories.config, name, arms=s.DRAWN)[CUSTOMER_ID]}
