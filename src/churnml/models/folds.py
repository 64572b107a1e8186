"""Inner folds: forward in time where rows have dates, a customer's rows always together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from churnml.errors import DataError

Rows = npt.NDArray[np.intp]

MANY_ROWS = 50_000
_FOLDS, _FOLDS_OF_MANY = 3, 2


@dataclass(frozen=True)
class Folds:
    """Rows to fit on and rows to judge by, each judged at most once.

    Attributes
    ----------
    pairs : list of tuple
        Positions of the rows to fit on and to judge by.
    fitted, judged : list of datetime.date
        The dates of those rows; empty where the folds are not forward in time.
    """

    pairs: list[tuple[Rows, Rows]]
    fitted: list[dt.date]
    judged: list[dt.date]

    @property
    def known(self) -> Rows:
        """The rows that any fold is fitted on."""
        return np.unique(np.concatenate([fit for fit, _ in self.pairs]))


def days_of(as_of: Any) -> pd.Series[Any]:
    """Return dates, however they are given, as times without a zone."""
    return pd.to_datetime(pd.Series(np.asarray(as_of))).dt.tz_localize(None)


def inner_folds(
    outcome: npt.NDArray[Any], groups: Any = None, as_of: Any = None, *, label_days: int = 0, seed: int = 0
) -> Folds:
    """Cut rows into folds for tuning and calibration.

    Parameters
    ----------
    outcome : array of shape (n,)
        Without groups or dates, folds have equal shares of it.
    groups : array of shape (n,), optional
        Customers: the rows of one are never on both sides of a fold.
    as_of : array of shape (n,), optional
        Dates. The last third of them is judged, by models of the dates whose outcome was known at the first of these;
        where there are none, fewer dates are judged; where there are none even then, dates play no part.
    label_days : int
        Days from a date until its outcome is known.
    seed : int
        Of the drawing of customers.

    Returns
    -------
    Folds
        Three pairs, or two of more than 50,000 rows.

    Raises
    ------
    DataError
        If there are fewer customers than folds.
    """
    count = _FOLDS if len(outcome) <= MANY_ROWS else _FOLDS_OF_MANY
    customers = np.arange(len(outcome)) if groups is None else pd.factorize(np.asarray(groups))[0]
    if groups is None:
        least = min(np.count_nonzero(outcome > 0), np.count_nonzero(outcome <= 0))
        stratified = StratifiedKFold if least >= count else KFold
        splitter = stratified(count, shuffle=True, random_state=seed).split(customers, outcome > 0)
    else:
        found = len(np.unique(customers))
        if found < count:
            raise DataError(
                f"groups hold {found} of the {count} customers that a model needs at least",
                "take more customers, or leave groups out where each row is a customer",
                customers=found,
            )
        splitter = GroupKFold(count, shuffle=True, random_state=seed).split(customers, groups=customers)
    pairs = [(fit, judge) for fit, judge in splitter]
    if as_of is None:
        return Folds(pairs, [], [])
    days = days_of(as_of).dt.date
    fitted, judged = forward(sorted(set(days)), label_days)
    if not judged:
        return Folds(pairs, [], [])
    may_fit, may_judge = days.isin(fitted).to_numpy(), days.isin(judged).to_numpy()
    return Folds([(fit[may_fit[fit]], judge[may_judge[judge]]) for fit, judge in pairs], fitted, judged)


@dataclass(frozen=True)
class Later:
    """Rows to fit on, and later ones to judge by, as a model is fitted and used.

    Attributes
    ----------
    fit, judge : array of int
        Positions.
    fitted, judged : list of datetime.date
        Their dates.
    """

    fit: Rows
    judge: Rows
    fitted: list[dt.date]
    judged: list[dt.date]


def later_rows(as_of: Any, *, label_days: int) -> Later | None:
    """Choose the last third of the dates, and those whose outcome was known at the first of them (see `forward`).

    None without dates, or where no outcome is known before the last one.
    """
    if as_of is None:
        return None
    days = days_of(as_of).dt.date
    fitted, judged = forward(sorted(set(days)), label_days)
    if not judged:
        return None
    fit, judge = (np.flatnonzero(days.isin(chosen)) for chosen in (fitted, judged))
    return Later(fit, judge, fitted, judged)


def forward(dates: Sequence[dt.date], label_days: int) -> tuple[list[dt.date], list[dt.date]]:
    """Choose the dates to fit on and to judge by; both empty where no outcome is known before the last date."""
    gap = dt.timedelta(days=label_days)
    for count in range(max(len(dates) // 3, 1), 0, -1):
        judged = list(dates[-count:])
        fitted = [day for day in dates if day + gap <= judged[0] and day < judged[0]]
        if fitted:
            return fitted, judged
    return [], []
