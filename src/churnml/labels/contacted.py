"""Whose outcome a campaign of ours has changed: models would take those we saved for those who stay anyway.

Customers who were treated are left out, and those who might have been and were not stand for them, by the inverse of
the chance that they were left alone (Horvitz and Thompson, 1952).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from churnml.asof import DAY, Span, start_of
from churnml.columns import AS_OF, CUSTOMER_ID, WEIGHT
from churnml.tables.histories import Histories

OWN_CALL = "own_call"


def contacted(histories: Histories, outcome: Span, as_of: dt.date) -> ir.Table:
    """Return what campaigns mean for the label of each customer that they touched.

    Parameters
    ----------
    histories : Histories
        The operator's tables, of which the newest versions count.
    outcome : Span
        When the label's outcome happens.
    as_of : datetime.date
        T: what was assigned in the ``campaign.cool_down_days`` before it, or until the end of the outcome, counts.

    Returns
    -------
    ibis Table
        ``customer_id``, ``weight`` (0 for who was treated by lot; else ``1 / (1 - propensity)``, multiplied over the
        campaigns in which they were control) and ``own_call``: whether a contact was not drawn by lot, such as an
        answer to the customer's own call; it changes nothing.
    """
    rows = histories.newest("contacts")
    begin = start_of(as_of) - histories.config.campaign.cool_down_days * DAY
    rows = rows.filter(rows["assigned_at"] >= begin, rows["assigned_at"] < outcome.end)
    by_lot, treated = rows["propensity"].notnull(), rows["arm"] == "treated"  # noqa: PD004 - of ibis
    left_alone = (by_lot & ~treated & (rows["propensity"] < 1)).ifelse(-(1 - rows["propensity"]).ln(), 0.0)
    weight = (by_lot & treated).any().ifelse(0.0, left_alone.sum().exp())
    return rows.group_by(CUSTOMER_ID).agg(weight.name(WEIGHT), (~by_lot & treated).any().name(OWN_CALL))


def weights(histories: Histories, outcomes: Sequence[tuple[dt.date, Span]]) -> pd.DataFrame:
    """Return `contacted` of several dates, with ``as_of``; empty where there are no contacts."""
    if not outcomes or not histories.has("contacts"):
        return pd.DataFrame(columns=[CUSTOMER_ID, AS_OF, WEIGHT, OWN_CALL])
    parts = [
        contacted(histories, outcome, as_of).mutate(ibis.literal(start_of(as_of)).name(AS_OF))
        for as_of, outcome in outcomes
    ]
    frames: list[pd.DataFrame] = [histories.fetch(part).to_pandas() for part in parts]
    return pd.concat(frames, ignore_index=True)
