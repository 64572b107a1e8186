"""Grading by monthly spend."""

from __future__ import annotations

import datetime as dt
from typing import Any

import ibis
import numpy as np
import pandas as pd

from churnml.asof import start_of
from churnml.columns import CUSTOMER_ID, VALUE_TIER
from churnml.config import TierScheme
from churnml.feature_extraction.bills import billed
from churnml.feature_extraction.engine import extract
from churnml.population import at_risk
from churnml.tables.histories import Histories

QUARTER, YEAR = billed(90), billed(365)  # what monthly spend, and last year's, is made of, whatever the windows
SPEND = (QUARTER, YEAR)


def monthly_spend(rows: pd.DataFrame) -> pd.Series[Any]:
    """Return what customers are billed a month: a third of the last 90 days' bills, in money."""
    return rows[QUARTER.name].astype("float64") / 3


def value_tier(spend: pd.Series[Any], scheme: TierScheme) -> pd.Series[Any]:
    """Grade customers: the highest level whose amount they reach.

    Parameters
    ----------
    spend : Series of shape (n,)
        Monthly spend; a negative one counts as 0.
    scheme : TierScheme
        Levels and the amount from which on each holds.

    Returns
    -------
    Series of shape (n,)
        Names of levels; null below the lowest.
    """
    levels = sorted(scheme.levels.items(), key=lambda level: level[1])
    place = np.searchsorted([amount for _, amount in levels], spend.clip(lower=0).to_numpy(), side="right") - 1
    names = [name for name, _ in levels]
    found = [names[number] if number >= 0 else None for number in place.tolist()]
    return pd.Series(found, index=spend.index, dtype="str", name=VALUE_TIER)


def monthly_spend_at(histories: Histories, as_of: dt.date) -> pd.Series[Any]:
    """Return the monthly spend of everyone at risk at a date, in money, by ``customer_id``."""
    instant = ibis.literal(start_of(as_of))
    found = extract(histories, at_risk(histories, as_of), [QUARTER], {}, instant)
    return monthly_spend(found.to_pyarrow().to_pandas().set_index(CUSTOMER_ID))
