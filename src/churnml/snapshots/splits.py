"""Splitting as-of dates so that a model is tested later than anything that it was trained on could show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from churnml.asof import DAY


@dataclass(frozen=True)
class OutOfTime:
    """Dates to train on and to test on.

    Attributes
    ----------
    train, test : list of datetime.date
        Ascending. Where both are there, the outcome of every train date is known at the first test date.
    missing_days : int
        How much longer the dates would have to span for there to be a train date; 0 where there is one.
    """

    train: list[dt.date]
    test: list[dt.date]
    missing_days: int


def out_of_time(dates: Sequence[dt.date], outcome_days: int) -> OutOfTime:
    """Test on the last date, and train on those whose outcome was known by then.

    Parameters
    ----------
    dates : sequence of datetime.date
        Dates whose outcome is known; at least one.
    outcome_days : int
        Days from a date to the end of its outcome: lead + horizon for churn.

    Returns
    -------
    OutOfTime
        Every train date plus ``outcome_days`` is no later than the test date.
    """
    days = sorted(set(dates))
    last = days[-1]
    train = [day for day in days if day + outcome_days * DAY <= last and day < last]
    missing = 0 if train else max(outcome_days - (last - days[0]).days, 1)
    return OutOfTime(train, [last], missing)


def overlapping(train: Sequence[dt.date], test: Sequence[dt.date], outcome_days: int) -> list[dt.date]:
    """Return the train dates whose outcome reaches past the first test date: a model would be tested on what it saw."""
    return [day for day in train if day + outcome_days * DAY > min(test)]
