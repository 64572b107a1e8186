"""Grading by monthly spend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from churnml.columns import BILLED_IN_QUARTER, VALUE_TIER
from churnml.config import TierScheme


def monthly_spend(rows: pd.DataFrame) -> pd.Series[Any]:
    """Return what customers are billed a month: a third of the last 90 days' bills, in money."""
    return rows[BILLED_IN_QUARTER].astype("float64") / 3


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


def reached(levels: Mapping[str, float], amount: float) -> str | None:
    """Return the highest level whose amount is reached; None below the lowest."""
    found = [(start, place, name) for place, (name, start) in enumerate(levels.items()) if start <= amount]
    return max(found)[2] if found else None
